from __future__ import annotations

import itertools

import pytest

from mm_rag_loaders.passages import TextPart, passages, passages_of


def sentences(count: int, words: int = 12) -> str:
    return " ".join(
        f"S{number} " + " ".join(f"w{number}x{word}" for word in range(words - 2)) + " end."
        for number in range(count)
    )


@pytest.mark.parametrize("text", ["", "  \n\n \t"])
def test_no_words_make_no_passages(text: str) -> None:
    assert passages(text) == []


def test_a_short_text_is_one_passage() -> None:
    assert passages("One thought.\n\nAnother one.\n") == ["One thought.\n\nAnother one."]


@pytest.mark.parametrize(
    "text",
    [
        sentences(100),
        sentences(3, words=500),
        "\n".join(f"row{i} a b c" for i in range(300)),
        "\n\n".join(sentences(5) for _ in range(9)),
        "x" * 10_000,
        " ".join(f"w{i}" for i in range(1000)),
    ],
    ids=["prose", "long sentences", "table", "paragraphs", "no spaces", "no sentences"],
)
@pytest.mark.parametrize("max_words", [20, 150])
def test_no_word_is_lost_and_no_passage_is_empty_or_too_long(text: str, max_words: int) -> None:
    found = passages(text, max_words=max_words)
    assert all(found)
    assert max(len(passage.split()) for passage in found) <= 1.25 * max_words
    wanted = set(text.split())
    got = {word for passage in found for word in passage.split()}
    assert wanted == got or "".join(text.split()) == "".join("".join(found).split())


def test_passages_end_where_sentences_end() -> None:
    assert all(passage.endswith("end.") for passage in passages(sentences(60)))


def test_passages_overlap_by_a_sentence_or_so() -> None:
    found = passages(sentences(60), max_words=100)
    for before, after in itertools.pairwise(found):
        shared = set(before.split()) & set(after.split()) - {"end."}
        assert 0 < len(shared) <= 15


def test_most_passages_have_about_the_length_that_was_asked_for() -> None:
    lengths = [len(passage.split()) for passage in passages(sentences(200), max_words=150)]
    assert min(lengths[:-1]) > 120


def test_a_scrap_at_the_end_joins_the_passage_before() -> None:
    text = sentences(12, words=12) + " A last word."
    assert len(passages(text, max_words=145)) == 1


def test_an_abbreviation_before_a_small_letter_ends_no_sentence() -> None:
    text = "We use e.g. apples and pears. " * 3
    assert passages(text, max_words=12)[0].endswith("pears.")


def test_chinese_is_split_though_it_has_no_spaces() -> None:
    text = "这是一个关于检索的句子。" * 60
    found = passages(text, max_words=150)
    assert len(found) > 3
    assert all(len(passage) < 200 and passage.endswith("。") for passage in found)


def test_a_run_of_blank_lines_takes_no_time() -> None:
    text = "before" + "\n \n" * 40_000 + "after"
    assert [passage.split() for passage in passages(text)] == [["before", "after"]]


def test_a_heading_begins_a_passage_and_names_it() -> None:
    parts = [
        TextPart("text", sentences(5)),
        TextPart("heading", "Foxes"),
        TextPart("text", sentences(9)),
    ]
    found = passages_of(parts, max_words=60, heading="Before")
    assert [passage.heading for passage in found] == ["Before", "Foxes", "Foxes"]
    assert found[1].text.startswith("Foxes\n\nS0 ")
    assert "Foxes" not in found[0].text + found[2].text


def test_a_heading_before_a_long_sentence_goes_with_it() -> None:
    parts = [
        TextPart("text", sentences(2, words=14)),
        TextPart("heading", "All about the red foxes"),
        TextPart("text", sentences(1, words=30)),
    ]
    found = passages_of(parts, max_words=60)
    assert [passage.text.split()[0] for passage in found] == ["S0", "All"]


def test_headings_alone_are_a_passage() -> None:
    (found,) = passages_of([TextPart("heading", "Foxes"), TextPart("heading", "and\ndogs")])
    assert (found.text, found.heading) == ("Foxes\n\nand\ndogs", "Foxes")


@pytest.mark.parametrize("order", [("caption", "table"), ("table", "caption")])
def test_a_caption_is_in_the_passage_of_its_table(order: tuple[str, str]) -> None:
    texts = {
        "caption": "Table 1. Foxes.",
        "table": "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |",
    }
    parts = [TextPart("text", sentences(2)), *(TextPart(kind, texts[kind]) for kind in order)]
    found = passages_of(parts, max_words=30)
    assert any("Table 1." in one.text and "| 3 | 4 |" in one.text for one in found)


def test_each_passage_of_a_long_table_has_its_head_once() -> None:
    head, rows = "| n | name |\n|---|---|", [f"| {n} | name {n} |" for n in range(50)]
    found = passages_of([TextPart("table", "\n".join([head, *rows]))], max_words=40)
    assert len(found) > 5
    assert all(one.text.startswith(head) and one.text.count("|---|") == 1 for one in found)
    assert [row for one in found for row in one.text.splitlines()[2:]] == rows


@pytest.mark.parametrize("kind", ["text", "heading", "caption", "table", "picture"])
def test_no_word_of_a_part_is_lost(kind: str) -> None:
    text = sentences(3, words=300)
    found = passages_of([TextPart(kind, text), TextPart("text", "The end.")], max_words=50)
    assert set(text.split()) <= {word for one in found for word in one.text.split()}


def test_nested_headings_are_named_by_their_path() -> None:
    parts = [
        TextPart("heading", "Costs", 1),
        TextPart("heading", "2024", 2),
        TextPart("text", sentences(5)),
        TextPart("heading", "2025", 2),
        TextPart("text", sentences(5)),
        TextPart("heading", "Staff", 1),
        TextPart("text", sentences(5)),
    ]
    found = passages_of(parts, max_words=60, nested=True)
    assert list(dict.fromkeys(passage.heading for passage in found)) == [
        "Costs > 2024",
        "Costs > 2025",
        "Staff",
    ]
