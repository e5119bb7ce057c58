"""Segments and Hits as they are printed, explained and copied."""

from __future__ import annotations

import copy
import pickle
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mm_rag import Collection, Segment
from mm_rag.segment import RELEVANT, Hit
from mm_rag.testing import fake_encoder


def passage(text: str, source: str = "/files/report.pdf") -> Segment:
    return Segment(modality="text", source=source, sha256="0" * 64, text=text, page=3)


def test_a_segment_is_printed_in_one_line() -> None:
    assert repr(passage("Revenue\ngrew.")) == "Segment(text, report.pdf page 3, 'Revenue grew.')"
    photo = Segment(modality="image", source="/a/b.png", sha256="0", media="/a/b.png")
    assert repr(photo) == "Segment(image, b.png)"
    assert len(repr(passage("word " * 10_000))) < 140


def test_a_hit_is_printed_with_what_was_found() -> None:
    page = passage("All of the page.")
    hit = Hit(segment=page, rank=1, score=0.8765, matched=(passage("The best passage."),))
    assert repr(hit) == f"Hit(rank=1, score=0.876, {page!r})"
    assert str(hit) == "1. report.pdf page 3 (0.88): The best passage."
    photo = Segment(modality="image", source="/a.png", sha256="0", media="/a.png", title="a sunset")
    assert str(Hit(segment=photo, rank=2, score=0.5)) == "2. a.png (0.50): a sunset"


def test_what_is_printed_commands_no_terminal() -> None:
    hit = Hit(segment=passage("a\x1b[31m\u202eb", "/a\x1b]0;b\n.pdf"), rank=1, score=0.5)
    assert repr(hit).isprintable()
    assert str(hit).isprintable()


def explained(query: str, text: str, **evidence: float) -> list[str]:
    hit = Hit(segment=passage(text), rank=1, score=0.93, evidence=evidence, query=query)
    return hit.explain().splitlines()


def test_a_hit_is_explained_by_its_signals_strongest_first() -> None:
    lines = explained(
        "When does the pump seal of ZX-02201 wear?",
        "Pumps and seals of the ZX-02201.",
        base=-4.2,
        looks=0.0,
        words=1.23,
        meaning=3.1,
        identifiers=5.0,
        required=3.0,
        reranker=2.0,
    )
    assert lines == [
        "0.93, likely relevant: report.pdf page 3",
        "Identifiers (+5.0): ZX-02201 is in it",
        "Meaning (+3.1): much closer to the query than unrelated content",
        "Required (+3.0): has what the query puts in quotes, or ends with a star",
        "Reranker (+2.0): beside the query, it reads like an answer",
        "Words (+1.2): has 3 of 4 words of the query: ZX-02201, pump, seal; not wear",
        "Looks (+0.0): looks unlike the query",
        "Base (-4.2): what every candidate of this search begins with",
    ]


@pytest.mark.parametrize(
    ("query", "text", "line"),
    [
        ("rope", "The rope.", "Words (+0.5): has the word of the query: rope"),
        ("mooring ropes", "a mooring rope", "Words (+0.5): has all 2 words of the query: mooring, "
         "ropes"),
        ("the of", "the", "Words (+0.5): has 1 of 2 words of the query: the; not of"),
        ("Pumpen", "Pumpe", "Words (+0.5): has other forms of words of the query"),
        ("bus*", "business", "Words (+0.5): has the word of the query: bus*"),
        ("ho* zz*", "hot", "Words (+0.5): has 1 of 2 words of the query: ho*; not zz*"),
        ("rope *", "rope", "Words (+0.5): has the word of the query: rope"),
        ("zx02201", "ZX-02201", "Words (+0.5): has the word of the query: zx02201"),
        ("is there a cat", "there is", "Words (+0.5): has only common words of the query"),
        ("report", "", "Words (+0.5): has the word of the query: report"),
        ("", "anything", "Words (+0.5): shares words with the query"),
    ],
)  # fmt: skip
def test_the_words_that_a_hit_shares_are_named(query: str, text: str, line: str) -> None:
    assert explained(query, text, words=0.5)[1:] == [line]


@pytest.mark.parametrize(
    ("name", "share", "said"),
    [
        ("meaning", 0.5, "closer to the query than most unrelated content"),
        ("meaning", 0.0, "about as close to the query as unrelated content may be"),
        ("meaning", -1.0, "no closer to the query than unrelated content"),
        ("words", -1.0, "has no word of the query"),
        ("identifiers", -2.0, "4711 is missing"),
        ("required", 3.0, "has what the query puts in quotes, or ends with a star"),
        ("looks", 3.0, "looks like the picture in the query"),
        ("reranker", 0.5, "beside the query, it may read like an answer"),
        ("reranker", -2.0, "beside the query, it does not read like an answer"),
    ],
)
def test_weak_and_opposing_signals_are_said_to_be(name: str, share: float, said: str) -> None:
    [_, line] = explained("order 4711", "nothing of it", **{name: share})
    assert line == f"{name.capitalize()} ({share:+.1f}): {said}"


def test_a_signal_of_an_extension_is_named() -> None:
    assert explained("a", "b", freshness=0.4)[1:] == ["Freshness (+0.4)"]


@pytest.mark.parametrize(
    ("score", "verdict", "is_relevant"),
    [
        (1.0, "1.00, likely relevant", True),
        (RELEVANT, f"{RELEVANT:.2f}, maybe relevant", True),
        (RELEVANT / 2, f"{RELEVANT / 2:.2f}, probably not relevant", False),
        (7.5, "7.50, the reranker's own score", True),
    ],
)
def test_a_score_is_a_verdict(score: float, verdict: str, is_relevant: bool) -> None:
    hit = Hit(segment=passage("a"), rank=1, score=score)
    assert hit.explain() == f"{verdict}: report.pdf page 3"
    assert hit.is_relevant is is_relevant


@pytest.mark.parametrize("query", ["a" * 100_000, "a-" * 50_000, "1-" * 50_000, "w1 " * 30_000])
def test_explaining_takes_time_in_proportion_to_the_query(query: str) -> None:
    began = time.monotonic()
    lines = explained(query, "1-1 rope", words=1.0, identifiers=1.0)
    assert time.monotonic() - began < 2.0
    assert max(map(len, lines)) < 500


def test_an_explanation_commands_no_terminal() -> None:
    lines = explained("\x1b[31m1 \u202eb", "\x1b[31m1 \u202eb", **{"\x1b[2J": 1.0, "words": 1.0})
    assert all(line.isprintable() for line in lines)


def test_hits_are_copied_and_pickled() -> None:
    with Collection(":memory:", encoder=fake_encoder()) as collection:
        collection.add([passage("the mooring rope"), replace(passage("a bicycle"), page=4)])
        hits = collection.search("mooring rope")
    assert hits[0].query == "mooring rope"
    assert pickle.loads(pickle.dumps(hits)) == copy.deepcopy(hits) == hits
    assert pickle.loads(pickle.dumps(hits[0])).explain() == hits[0].explain()
    assert sum(hits[0].evidence.values()) > sum(hits[1].evidence.values())


def test_a_collection_is_printed_with_its_place_and_size(tmp_path: Path) -> None:
    collection = Collection(tmp_path)
    assert repr(collection) == f"Collection({str(tmp_path)!r}, name='default', 0 segments)"
    collection.close()
    assert repr(collection).endswith("closed or damaged)")
