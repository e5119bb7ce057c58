"""The default reranks English pages with a cross-encoder, and all others with late interaction."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mm_rag import Collection, Encoder, Hit, Reranker
from mm_rag.collection import collection as collections
from mm_rag.packaged import CROSS_ENCODER

from .conftest import segment

pytestmark = pytest.mark.slow

ENGLISH = (
    "The ferry to the island leaves every morning at seven, except on Sundays.",
    "Bread is baked in the village, and sold in the harbour until it is gone.",
    "The lighthouse was built in 1862 and can be visited in the summer.",
)
GERMAN = (
    "Die Fähre zur Insel fährt jeden Morgen um sieben Uhr, außer an Sonntagen.",
    "Das Brot wird im Dorf gebacken und im Hafen verkauft, bis nichts mehr übrig ist.",
    "Der Leuchtturm wurde 1862 gebaut und kann im Sommer besichtigt werden.",
)
QUESTION = "When does the boat to the island depart in the morning?"


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(device="cpu")


@pytest.fixture(scope="module")
def english() -> Reranker:
    return Reranker("mm-rag/ms-marco-minilm-l12")


@pytest.fixture
def collection() -> Iterator[Collection]:
    with Collection(":memory:") as made:
        yield made


def fill(collection: Collection, texts: Sequence[str]) -> None:
    collection.add(segment(text, number) for number, text in enumerate(texts))


def scores(hits: Sequence[Hit]) -> list[float]:
    return [hit.scores["rerank"] for hit in hits]


def expected(reranker: Reranker, question: str, hits: Sequence[Hit]) -> list[float]:
    return reranker.predict([(question, hit.segment.text) for hit in hits]).tolist()


def test_english_questions_about_english_pages(collection: Collection, english: Reranker) -> None:
    fill(collection, ENGLISH)

    hits = collection.search(QUESTION)

    assert hits[0].segment.text == ENGLISH[0]
    assert scores(hits) == expected(english, QUESTION, hits)
    assert 1.0 >= hits[0].score > hits[1].score > 0.0


@pytest.mark.parametrize(
    ("question", "texts", "answer"),
    [
        ("Wann fährt morgens das Schiff zur Insel ab?", ENGLISH, ENGLISH[0]),
        ("Когда утром уходит паром на остров?", ENGLISH, ENGLISH[0]),
        (QUESTION, GERMAN, GERMAN[0]),
        ("Wann fährt morgens das Schiff zur Insel ab?", GERMAN, GERMAN[0]),
    ],
)
def test_other_languages(
    collection: Collection, encoder: Encoder, question: str, texts: Sequence[str], answer: str
) -> None:
    fill(collection, texts)

    hits = collection.search(question)

    assert hits[0].segment.text == answer
    late = expected(Reranker(encoder=encoder), question, hits)
    assert scores(hits) == pytest.approx(late, abs=1e-5)


def test_a_page_in_another_language_keeps_its_score_among_english_ones(
    collection: Collection, english: Reranker
) -> None:
    fill(collection, (*ENGLISH, GERMAN[0]))

    hits = collection.search(QUESTION)

    assert {hit.segment.text for hit in hits[:2]} == {ENGLISH[0], GERMAN[0]}
    judged = [hit for hit in hits if "rerank" in hit.scores]
    assert {hit.segment.text for hit in judged} == set(ENGLISH)
    assert scores(judged) == expected(english, QUESTION, judged)


def test_a_pasted_page_is_left_to_late_interaction(
    collection: Collection, caplog: pytest.LogCaptureFixture
) -> None:
    fill(collection, ENGLISH)

    with caplog.at_level(logging.WARNING):
        hits = collection.search("The weather was mild and the streets were dry. " * 60 + QUESTION)

    assert hits
    assert all(-1.0 <= score <= 1.0 for score in scores(hits))
    assert caplog.records == []


def test_without_its_package_late_interaction_does_it_all(
    collection: Collection,
    encoder: Encoder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    missing = replace(CROSS_ENCODER.files[0], package="not-there")
    monkeypatch.setattr("mm_rag.reranker.CROSS_ENCODER", replace(CROSS_ENCODER, files=(missing,)))
    collections._english_reranker.cache_clear()  # pyright: ignore[reportPrivateUsage]
    fill(collection, ENGLISH)

    try:
        with caplog.at_level(logging.WARNING):
            hits = collection.search(QUESTION)
            collection.search(QUESTION)
    finally:
        collections._english_reranker.cache_clear()  # pyright: ignore[reportPrivateUsage]

    assert hits[0].segment.text == ENGLISH[0]
    late = expected(Reranker(encoder=encoder), QUESTION, hits)
    assert scores(hits) == pytest.approx(late, abs=1e-5)
    [warning] = [record.getMessage() for record in caplog.records]
    assert warning.startswith("English pages are reranked without a cross-encoder.")
    assert "not-there" in warning


def test_collections_of_the_former_default_have_it_too(tmp_path: Path, english: Reranker) -> None:
    with Collection(tmp_path, encoder=Encoder("mm-rag/minilm")) as made:
        fill(made, ENGLISH)
        assert all("rerank" not in hit.scores for hit in made.search(QUESTION))

    with Collection(tmp_path) as opened:
        hits = opened.search(QUESTION)

    assert scores(hits) == expected(english, QUESTION, hits)
