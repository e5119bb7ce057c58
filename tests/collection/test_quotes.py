"""What is in quotation marks is in every hit, as it is written; so is the beginning of a word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import chromadb
import numpy as np
import pytest

from mm_rag import Collection, Encoder
from mm_rag.collection.lexical import LexicalIndex
from mm_rag.record import segment_to_metadata
from tests.collection.conftest import segment


def search(texts: Sequence[str], words: str) -> list[str]:
    index = LexicalIndex(None)
    index.put(segment(text, number) for number, text in enumerate(texts))
    by_id = {segment(text, number).id: text for number, text in enumerate(texts)}
    return [by_id[id_] for id_, _ in index.search(words, 10)]


STYLES = [
    '"check valve"',
    "\u201ccheck valve\u201d",
    "\u201echeck valve\u201c",
    "\u201echeck valve\u201d",
    "\u00abcheck valve\u00bb",
    "\u00ab\u00a0check valve\u00a0\u00bb",
    "\u00bbcheck valve\u00ab",
    "\u300ccheck valve\u300d",
    "\u300echeck valve\u300f",
    "\uff02check valve\uff02",
]


@pytest.mark.parametrize("query", STYLES)
def test_words_in_quotes_stand_next_to_each_other_in_that_order(query: str) -> None:
    texts = ["Every check valve is closed", "Valve check", "Check the valve"]
    assert search(texts, query) == [texts[0]]


def test_words_in_quotes_have_their_endings() -> None:
    texts = ["running shoe", "run shoes", "running shoes"]
    assert search(texts, '"running shoe"') == [texts[0]]
    assert set(search(texts, "running shoe")) == set(texts)


def test_case_accents_and_punctuation_in_quotes_do_not_matter() -> None:
    text = "At the CAF\u00c9, du Nord"
    assert search([text, "cafe nord"], '"cafe du nord"') == [text]
    assert search([text, "cafe nord"], '"Caf\u00e9 du Nord!"') == [text]


def test_a_phrase_is_needed_and_other_words_are_not() -> None:
    texts = ["check valve", "check valve and pump", "pump pump pump"]
    assert search(texts, 'pump "check valve"') == [texts[1], texts[0]]


def test_every_phrase_is_needed() -> None:
    texts = ["a red pump by a check valve", "red pump", "check valve"]
    assert search(texts, '"check valve" "red pump"') == [texts[0]]
    many = " ".join(f'"w{n} x"' for n in range(15))
    assert search([many, many.replace("w14", "w")], many) == [many]


def test_a_phrase_that_is_nowhere_is_not_found() -> None:
    assert search(["check valve", "pump"], '"pump valve"') == []
    assert search(["check valve", "pump"], 'pump "nowhere"') == []


@pytest.mark.parametrize("field", ["title", "heading", "name"])
def test_a_phrase_may_stand_in_title_heading_and_file_name(field: str) -> None:
    cases: dict[str, dict[str, object]] = {
        "title": {"title": "Check valve"},
        "heading": {"metadata": {"heading": "Check valve"}},
        "name": {"source": "/nowhere/check_valve.pdf"},
    }
    index = LexicalIndex(None)
    found = segment("Of steel.", 1, **cases[field])
    index.put([found, segment("valve check", 2)])
    assert [id_ for id_, _ in index.search('"check valve"', 5)] == [found.id]


def test_a_phrase_does_not_go_on_from_the_title_to_the_text() -> None:
    index = LexicalIndex(None)
    index.put([segment("valve", 1, title="check")])
    assert index.search('"check valve"', 5) == []


def test_a_code_in_quotes() -> None:
    texts = ["see ZX-02201", "see ZX-02210", "ZX and 02201"]
    assert search(texts, '"ZX-02201"') == [texts[0]]
    assert set(search(texts, '"02201"')) == {texts[0], texts[2]}
    assert search(texts, '"ZX-0220"') == []


def test_phrases_in_scripts_without_spaces() -> None:
    texts = ["安全阀必须每年检查", "阀安全检查", "第3章节"]
    assert search(texts, '"安全阀"') == [texts[0]]
    assert search(texts, "「安全阀」") == [texts[0]]
    assert set(search(texts, '"检查"')) == set(texts[:2])
    assert search(texts, '"阀必"') == [texts[0]]
    assert search(texts, '"阀每"') == []
    assert search(texts, '"第3章"') == [texts[2]]


@pytest.mark.parametrize(
    "query",
    [
        '"check valve',
        'check valve"',
        'a 5" check and 6" valve',
        '"" valve',
        "the check's 'valve x'",
    ],
)
def test_quotes_without_a_partner_inches_and_apostrophes_mean_nothing(query: str) -> None:
    texts = ["valve check", "something else"]
    assert search(texts, query) == [texts[0]]


def test_long_phrases_are_needed_to_their_end() -> None:
    words = [f"w{n}" for n in range(120)]
    text, other = " ".join(words), " ".join([*words[:100], "other", *words[101:]])
    assert search([text, other], f'"{text}"') == [text]


@pytest.mark.parametrize("query", ['"" valve', '" " valve', '"-" valve', '"\U0001f527" valve'])
def test_quotes_without_words_are_ignored(query: str) -> None:
    assert search(["a valve", "a pump"], query) == ["a valve"]


# Beginnings of words


def test_a_star_ends_the_beginning_of_a_word() -> None:
    texts = ["one valve", "two valves", "valvular disease", "a vale"]
    assert set(search(texts, "valv*")) == set(texts[:3])
    assert set(search(texts, "(VALVE*),")) == set(texts[:2])


def test_the_beginning_of_a_word_is_needed() -> None:
    texts = ["valves", "pump", "pump valve"]
    assert search(texts, "pump valv*")[0] == texts[2]
    assert set(search(texts, "pump valv*")) == {texts[0], texts[2]}
    assert search(texts, "pump gask*") == []


def test_the_beginning_of_an_identifier() -> None:
    texts = ["the XJ-940/B", "the XJ 940"]
    assert search(texts, "xj-9*") == [texts[0]]


def test_stars_around_a_word_mean_nothing() -> None:
    assert search(["a valve", "a pump"], "**gasket** *valve*") == ["a valve"]


@pytest.mark.parametrize("query", ["v*", "*", "**", "4*", "v*lve", "*val"])
def test_a_star_after_less_than_two_letters_is_ignored(query: str) -> None:
    assert search(["valve", "45"], query) == []
    assert search(["v", "45"], "v*") == ["v"]


def test_a_rarer_word_outweighs_a_beginning_that_many_words_have() -> None:
    texts = [*(f"valve{n} closed" for n in range(30)), "valve99 gasket"]
    assert search(texts, "valv* gasket")[0] == texts[-1]


# Through a collection


@pytest.mark.slow
@pytest.mark.parametrize("rerank", [False, True])
def test_hits_by_vector_have_what_is_in_quotes(collection: Collection, *, rerank: bool) -> None:
    texts = ["A check valve closes by itself", "Valves are checked", "A pump", "The valv of a pump"]
    collection.add(segment(text, number) for number, text in enumerate(texts))

    def found(query: str) -> set[str]:
        return {hit.segment.text for hit in collection.search(query, k=4, rerank=rerank)}

    assert found('pump "check valve"') == {texts[0]}
    assert found('"pump check"') == set()
    assert found("pump check*") == {texts[0], texts[1]}
    assert found('"check valve') == set(texts)


@pytest.mark.slow
def test_records_of_other_programs_have_what_is_in_quotes(
    collection: Collection, encoder: Encoder
) -> None:
    theirs = [segment(f"ferry number {n}", n) for n in range(3)]
    client: Any = chromadb.PersistentClient(str(collection.path / "chroma"))
    client.get_collection("default", embedding_function=None).add(
        ids=[f"theirs-{n}" for n in range(3)],
        embeddings=np.asarray(encoder.encode_document([each.text for each in theirs])),
        documents=[each.text for each in theirs],
        metadatas=[dict(segment_to_metadata(each)) for each in theirs],
    )
    client.close()
    hits = collection.search('ferry "number 1"', k=3)
    assert [hit.segment.text for hit in hits] == ["ferry number 1"]
    assert collection.search('"ferry 1"', k=3) == []
