"""Codes, numbers, dates, addresses, paths and names of a query are found in any spelling."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from mm_rag.collection.lexical import LexicalIndex
from mm_rag.segment import Segment
from tests.collection.conftest import segment

MEMO = (
    "Memo to all staff. The pump in hall {hall} was inspected, and the valve was replaced by the "
    "night shift. Please quote reference {code} in all letters about it."
)


def index_of(segments: Sequence[Segment]) -> LexicalIndex:
    index = LexicalIndex(None)
    index.put(segments)
    return index


def codes_of(texts: Sequence[str], query: str) -> list[float]:
    """How much of the query's identifiers each text has; there are 30 others without."""
    segments = [segment(text, number) for number, text in enumerate(texts)]
    others = [segment("Nothing of the kind is said in here.", 100 + n) for n in range(30)]
    index = index_of([*segments, *others])
    matches = index.matches(query, [one.id for one in segments])
    return [round(matches[one.id].codes, 3) for one in segments]


@pytest.mark.parametrize(
    "query",
    [
        "ZX-00201",
        "zx00201",
        "zx 00201",
        "00201",
        "#00201",
        "What does the memo with the reference ZX-00201 say about the valve?",
        "Was steht im Schreiben ZX-00201 \u00fcber die Pumpe?",
        "ZX\u201100201",
        "\uff3a\uff38\uff0d\uff10\uff10\uff12\uff10\uff11",
        "\u8bf7\u53c2\u8003ZX-00201\u3002",
        "pump valve night shift hall staff inspected replaced letters about it ZX-00201",
    ],
)
def test_one_code_among_a_thousand_is_first(query: str) -> None:
    chance = random.Random(1)
    memos = [
        segment(MEMO.format(hall=chance.randint(1, 9), code=f"ZX-{n:05}"), n) for n in range(1_000)
    ]
    [(first, best), *others] = index_of(memos).search(query, 20)
    assert (first, best.codes) == (memos[201].id, 1.0)
    assert not any(match.codes for _, match in others)


SPELLINGS = [
    ("see ZX-02201", ["ZX-02201", "zx02201", "ZX 02201", "zx_02201", "02201", "ZX/02201"]),
    ("see ZX02201", ["ZX-02201", "zx 02201", "02201"]),
    ("see ZX 02201.", ["ZX-02201", "zx02201"]),
    ("bill INV-2024/0815", ["INV-2024/0815", "inv 2024/0815", "2024/0815", "INV20240815"]),
    ("it costs 1,200.50", ["1200.50", "1 200,50", "1.200,50", "1200.5", "1'200.50"]),
    ("it costs 1,234", ["1234", "1 234", "1.234"]),
    ("on 2024-03-05", ["5 March 2024", "05.03.2024", "March 5, 2024", "5. M\u00e4rz 2024"]),
    ("on March 5th, 2024", ["2024-03-05", "5 mars 2024", "5 de marzo de 2024", "2024/3/5"]),
    ("2024\u5e743\u67085\u65e5", ["2024-03-05", "5 Mar 2024", "20240305"]),
    ("on 25/03/2024", ["2024-03-25", "March 25, 2024", "March 2024", "03/25/2024"]),
    ("ask ada.lovelace@example.org", ["ada.lovelace@example.org", "Ada.Lovelace@Example.org"]),
    ("see https://www.example.org/docs/a.html", ["example.org/docs/a.html", "example.org"]),
    ("in /etc/ssh/sshd_config.", ["/etc/ssh/sshd_config", "sshd_config", "ssh/sshd_config"]),
    (r"in C:\Users\ada\costs_2024.xlsx", ["costs_2024.xlsx", "C:/Users/ada/costs_2024.xlsx"]),
    ("it runs 2.3.1", ["2.3.1", "version 2.3.1"]),
    ("call +49 170 1234567", ["+49-170-1234567", "491701234567"]),
    ("to DE89 3704 0044 0532 0130 00", ["DE89370400440532013000"]),
    ("No \u0662\u0662\u0660\u0661\u0665", ["22015"]),
    ("in C++ and C#", ["C++", "C#"]),
    ("asked Ada Lovelace", ["Where was Lovelace born?"]),
]


@pytest.mark.parametrize(("text", "query"), [(t, q) for t, queries in SPELLINGS for q in queries])
def test_spellings_of_the_same(text: str, query: str) -> None:
    [codes] = codes_of([text], query)
    assert codes == (0.3 if "Lovelace" in text or query in UNSURE else 1.0)


UNSURE = {"1200.50", "1 200,50", "1.200,50", "1200.5", "1'200.50", "1234", "1 234", "1.234"} | {
    "March 2024"
}


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("see ZX-02210", "ZX-02201"),
        ("see ZX-02210", "02201"),
        ("see AB-13-77", "AB-12-77"),
        ("see ZX-022011", "ZX-02201"),
        ("it costs 1,200.50", "1,200.05"),
        ("it costs 1.2", "1,200"),
        ("on 2024-03-05", "2024-05-03"),
        ("on 2024-03-05", "6 March 2024"),
        ("on 05.03.2024", "May 3, 2024"),
        ("on 2024-13-45", "2024-03-05"),
        ("ask ada@example.org", "bob@example.org"),
        ("see /etc/ssh/a.conf", "/etc/ssh/b.conf"),
        ("version 2.3.1", "version 2.3.2"),
    ],
)
def test_a_neighbour_is_not_met(text: str, query: str) -> None:
    assert codes_of([text], query) == [0.0]


@pytest.mark.parametrize(
    "query",
    ["valve", "3 of 12 pumps", "12.5 % and 64.4", "a 3-month study", "well-known and/or e.g.", ""],
)
def test_words_and_short_numbers_identify_nothing(query: str) -> None:
    text = "valve 3 of 12 pumps 12.5 % and 64.4 a 3-month study well-known and/or e.g."
    assert codes_of([text], query) == [0.0]


def test_what_many_have_identifies_nothing() -> None:
    assert codes_of(["ISO 9001"] * 30, "ISO 9001") == [0.0] * 30
    assert codes_of(["ISO 9001"] * 5, "ISO 9001") == [1.0] * 5


def test_in_the_smallest_collection_a_code_is_met() -> None:
    index = index_of([segment("see ZX-02201")])
    assert index.search("zx 02201", 5)[0][1].codes == 1.0


def test_a_share_is_by_rarity() -> None:
    texts = ["ZX-02201 for AB-77001", "ZX-02201", "AB-77001", "AB-77001 again", "other"]
    both, rare, common, _, other = codes_of(texts, "AB-77001 and ZX-02201")
    assert both == 1.0
    assert rare > common > other == 0.0
    assert rare + common == pytest.approx(1.0, abs=0.002)
    assert codes_of(texts, "ZX-02201 and QQ-99999")[:2] == [1.0, 1.0]


@pytest.mark.parametrize("field", ["title", "heading", "name"])
def test_codes_in_title_heading_and_file_name(field: str) -> None:
    cases: dict[str, dict[str, object]] = {
        "title": {"title": "Bill ZX-02201"},
        "heading": {"metadata": {"heading": "Bill ZX-02201"}},
        "name": {"source": "/nowhere/bill_ZX-02201.pdf"},
    }
    index = index_of(
        [segment("pump", 1, **cases[field]), *(segment("pump", n) for n in range(2, 9))]
    )
    [(first, best), *_] = index.search("pump zx02201", 5)
    assert (first, best.codes) == (segment("", 1).id, 1.0)


def test_a_text_with_a_rare_code_is_found_before_a_hundred_that_share_all_other_words() -> None:
    words = "the pump of the north hall was inspected by the night shift in spring"
    index = index_of([*(segment(words, n) for n in range(100)), segment("ZX-02201", 100)])
    found = dict(index.search(f"{words} ZX-02201", 10))
    assert found[segment("", 100).id].codes == 1.0


def test_words_that_make_a_question_count_less() -> None:
    texts = ["How can I do this? You can do it.", "A gasket", *["The pump is old."] * 8]
    segments = [segment(text, number) for number, text in enumerate(texts)]
    [(first, _), *_] = index_of(segments).search("How can I do the gasket?", 3)
    assert first == segments[1].id


def test_a_misspelt_word_finds_its_nearest() -> None:
    texts = ["The ventilation of the hall", "The pump of the hall", "A ventricle"]
    segments = [segment(text, number) for number, text in enumerate(texts)]
    found = index_of(segments).search("ventilatoin", 3)
    assert [id_ for id_, _ in found] == [segments[0].id]
    assert 0.0 < found[0][1].share < index_of(segments).search("ventilation", 1)[0][1].share
    assert index_of(segments).search("pmp", 3) == []  # too short to tell
    assert index_of(segments).search("wunderbare Maschinenhallen nirgendwo ventilatoin", 3) == []
