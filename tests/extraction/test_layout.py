from __future__ import annotations

import time

import pytest

from mm_rag._printing import printable
from mm_rag.extraction.layout import TextLine, in_logical_order, rows, text_of

LEFT, RIGHT = 50.0, 320.0


def line(text: str, x: float, y: float, width: float = 240.0, height: float = 10.0) -> TextLine:
    return TextLine(text, (x, y, x + width, y + height))


def column(name: str, x: float, top: float, count: int) -> list[TextLine]:
    words = "with several words of ordinary prose"
    return [line(f"{name}{i} {words}", x, top + 12 * i) for i in range(count)]


def first_words(lines: list[TextLine]) -> list[str]:
    return [row.split()[0] for row in text_of(rows(lines)).splitlines() if row]


def test_two_columns_are_read_one_after_the_other() -> None:
    lines = [*column("left", LEFT, 100, 5), *column("right", RIGHT, 100, 5)]
    shuffled = sorted(lines, key=lambda one: one.box[1])
    expected = [f"{side}{i}" for side in ("left", "right") for i in range(5)]
    assert first_words(shuffled) == expected


def test_what_spans_both_columns_ends_them() -> None:
    above = [*column("a", LEFT, 100, 5), *column("b", RIGHT, 100, 5)]
    below = [*column("c", LEFT, 300, 5), *column("d", RIGHT, 300, 5)]
    title, caption = line("title", LEFT, 50, 500), line("caption", LEFT, 250, 500)
    starts = [word[0] for word in first_words([caption, *below, title, *above])]
    assert "".join(starts) == "t" + "aaaaa" + "bbbbb" + "c" + "ccccc" + "ddddd"


def test_a_receipt_is_read_across() -> None:
    items = ["Pizza", "Sausage", "Meatballs", "Onion", "Cheese", "Red sauce"]
    lines = [line(item, 40, 30 * i, width=100) for i, item in enumerate(items)]
    lines += [line(f"${i}.00", 600, 30 * i + 2, width=60) for i in range(len(items))]
    text = text_of(rows(lines)).splitlines()
    assert [row for row in text if row] == [f"{item} ${i}.00" for i, item in enumerate(items)]


def test_a_wide_gap_begins_a_paragraph() -> None:
    assert text_of(rows([line("a", 0, 0), line("b", 0, 12), line("c", 0, 40)])) == "a\nb\n\nc"


def test_words_broken_at_the_end_of_a_line_are_joined() -> None:
    def joined(first: str, second: str) -> str:
        return text_of(rows([line(first, 0, 0), line(second, 0, 12)]))

    assert joined("dense represen-", "tations work") == "dense representations work"
    assert joined("state-of-the-", "art") == "state-of-the-art"
    assert joined("Lucene-", "BM25") == "Lucene-BM25"
    assert joined("pages 10-", "12") == "pages 10-12"


def test_nothing_reads_as_nothing() -> None:
    assert rows([]) == []
    assert text_of([]) == ""


def test_what_a_database_refuses_is_left_out() -> None:
    assert printable("a\0b\ud800c\uf0b7d\xade\tf\ng") == "abcd-e\tf\ng"


def test_three_columns_are_read_one_after_the_other() -> None:
    lines = [
        line(f"{side}{i} some words of prose", x, 12.0 * i, width=150)
        for i in range(6)
        for side, x in (("a", 0), ("b", 170), ("c", 340))
    ]
    assert first_words(lines) == [f"{side}{i}" for side in "abc" for i in range(6)]


def test_words_from_right_to_left_are_put_in_logical_order() -> None:
    shown = ["\u05d3", "ABC", "-", "def", "12", "\u05d2", "\u05d1", "7", "\u05d0"]
    shown = [word * 3 if word > "\u0500" else word for word in shown]
    words = [line(word, 20.0 * at, 0, width=15) for at, word in enumerate(shown)]
    order = [
        word.text[:1] if word.text > "\u0500" else word.text for word in in_logical_order(words)
    ]
    expected = ["\u05d0", "7", "\u05d1", "\u05d2", "ABC", "-", "def", "12", "\u05d3"]
    assert order == expected


def test_a_hebrew_quotation_in_an_english_line_is_turned() -> None:
    shown = ["He", "said", "\u05d1", "\u05d0", "twice"]
    words = [line(word, 20.0 * at, 0, width=15) for at, word in enumerate(shown)]
    order = [word.text for word in in_logical_order(words)]
    assert order == ["He", "said", "\u05d0", "\u05d1", "twice"]


def test_a_list_in_two_columns_is_read_row_by_row() -> None:
    entries = [
        ("Ada Whitcombe, harbour pilot", "14 Lighthouse Quay, Stornoway"),
        ("Ben Okafor, tug master", "9 Saltmarsh Lane, Padstow"),
        ("Cleo Marchetti, chandler", "3 Ropewalk, Whitby"),
        ("Dov Lindqvist, sailmaker", "77 Tar Barrel Alley, Hull"),
        ("Edda Brandt, net mender", "5 Herring Steps, Wick"),
        ("Finn Gallagher, ferryman", "21 Slip Road, Cobh"),
    ]
    lines = [
        line(text, x, 16.0 * at, width=5.2 * len(text))
        for at, entry in enumerate(entries)
        for x, text in zip((60, 320), entry, strict=True)
    ]
    assert text_of(rows(lines)).splitlines() == [" ".join(entry) for entry in entries]


@pytest.mark.parametrize("shift", [0.0, 4.0, 7.5])
@pytest.mark.parametrize("left", [0.0, 400.0])
def test_a_box_beside_a_text_is_read_apart(shift: float, left: float) -> None:
    text = [line(f"main{i} of the text about works", 150, 15.0 * i, width=200) for i in range(20)]
    words = ["KEY FACTS", "Depth: 9 metres", "Cost: 2 million", "Ends: May 2026"]
    box = [
        line(fact, left, 30 + 15.0 * i + shift, width=5.2 * len(fact))
        for i, fact in enumerate(words)
    ]
    found = text_of(rows([*text, *box]))
    assert "\n".join(one.text for one in text) in found
    assert "\n".join(words) in found


def test_a_text_that_flows_around_a_box_is_not_cut() -> None:
    beside = [line(f"main{i} of the text beside it", 0, 15.0 * i, width=200) for i in range(4, 9)]
    full = [
        line(f"main{i} of the text", 0, 15.0 * i, width=400) for i in (*range(4), *range(9, 13))
    ]
    box = [line(f"fact {i}", 240, 55 + 18.0 * i, width=100) for i in range(3)]
    found = text_of(rows([*full, *beside, *box])).split()
    assert [word for word in found if word.startswith("main")] == [f"main{i}" for i in range(13)]
    assert found[-6:] == ["fact", "0", "fact", "1", "fact", "2"]


def test_thousands_of_words_in_one_row_take_no_time() -> None:
    words = [line("word", 6.0 * at, 0.001 * at, width=5) for at in range(1500)]
    began = time.process_time()
    assert sum(map(len, rows(words))) == 1500
    assert time.process_time() - began < 10
