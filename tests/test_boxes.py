from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

import mm_rag
from mm_rag import Segment, highlighted
from mm_rag.boxes import WordBox, boxes_to_json, find_words, read_boxes
from mm_rag.errors import InputError, UnreadableMedia

PROSE = (
    "The policies of the harbour were not changed in 1912. Ropes are checked daily by the crew, "
    "and every rope that is worn is replaced before the ship leaves the harbour for the open sea."
)


def page(text: str) -> list[WordBox]:
    """The words of a text in a row, each 1% of the width away from the next."""
    words = text.split()
    return [
        WordBox(word, (i / len(words), 0.2, (i + 0.8) / len(words), 0.4))
        for i, word in enumerate(words)
    ]


def marked(text: str, words: str) -> list[str]:
    return [box.text for box in find_words(page(text), words)]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    words = [WordBox('a "quoted" word', (0.0, 0.25, 0.5, 1.0)), WordBox("東", (0.5, 0.0, 1.0, 0.1))]
    path = tmp_path / "boxes.json"
    path.write_bytes(boxes_to_json(words))
    assert read_boxes(path) == words


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "3",
        "[3]",
        '[["word", 0, 0, 1]]',
        '[["word", 0, 0, 1, NaN]]',
        '[["word", 0, 0, 1, 1e999]]',
        "[[7, 0, 0, 1, 1]]",
        '[["word", 0, 0, 1, "wide"]]',
        '[["word", 0, 0, 1, [1]]]',
        "[" * 100_000,
        "\xff\xfe",
    ],
)
def test_damaged_boxes_are_unreadable(tmp_path: Path, content: str) -> None:
    path = tmp_path / "boxes.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UnreadableMedia, match=r"The word boxes .*boxes\.json cannot be read"):
        read_boxes(path)


def test_missing_and_huge_boxes_are_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UnreadableMedia, match="No such file"):
        read_boxes(tmp_path / "none.json")
    (tmp_path / "huge.json").write_bytes(b" " * (4 * 1024**2 + 1))
    with pytest.raises(UnreadableMedia, match="more than 4,194,304 bytes"):
        read_boxes(tmp_path / "huge.json")


def test_boxes_that_leave_the_picture_are_cut_to_it(tmp_path: Path) -> None:
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps([["word", 0.9, -3, 0.1, 1e9]]))
    assert read_boxes(path) == [WordBox("word", (0.1, 0.0, 0.9, 1.0))]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Which policy?", ["policies"]),
        ("ROPE", ["Ropes", "rope"]),
        ("leaving", ["leaves"]),
        ("checks", ["checked"]),
        ("1912", ["1912."]),
        ("the crews of the harbour", ["harbour", "crew,", "harbour"]),
        ("notes", []),  # whose stem is that of "not"
        ("submarine", []),
        ("", []),
        ("?!", []),
    ],
)
def test_the_words_of_a_query(words: str, expected: list[str]) -> None:
    assert marked(PROSE, words) == expected


def test_common_words_count_only_where_nothing_else_is_found() -> None:
    assert marked("To be or not to be", "to be") == ["To", "be", "to", "be"]
    assert marked("To be or not to be", "to be a submarine") == ["To", "be", "to", "be"]
    assert marked("A list of things to do", "the list") == ["list"]


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("The caf\u00e9 is closed", "CAFE", ["caf\u00e9"]),
        ("na\u0131ve cafe\u0301 menu", "caf\u00e9", ["cafe\u0301"]),
        ("an e\ufb03cient way", "efficient", ["e\ufb03cient"]),
        ("Ahab\u2019s leg", "Ahab", ["Ahab\u2019s"]),
        ("costs 3.5 or 5 or 3,500", "3.5", ["3.5"]),
        ("(total) sum", "total", ["(total)"]),
        ("\u0939\u093f\u0928\u094d\u0926\u0940 \u0939\u0948", "\u0939\u0948", ["\u0939\u0948"]),
        ("\u05e9\u05b8\u05dc\u05d5\u05b9\u05dd x", "\u05e9\u05dc\u05d5\u05dd",
         ["\u05e9\u05b8\u05dc\u05d5\u05b9\u05dd"]),
    ],
)  # fmt: skip
def test_accents_ligatures_and_punctuation_make_no_difference(
    text: str, words: str, expected: list[str]
) -> None:
    assert marked(text, words) == expected


def test_ideographs_count_where_they_stand_together() -> None:
    assert marked("東 京 の 天 気 、 京 都", "東京") == ["東", "京"]
    assert marked("東京の天気 京都の宿", "京都") == ["京都の宿"]
    assert marked("東 西 京", "西") == ["西"]


def test_a_quotation_is_found_in_one_piece() -> None:
    text = "the open sea and the open door of the sea"
    assert marked(text, '"the open door"') == ["the", "open", "door"]
    assert marked(text, "\u201copen sea\u201d doors") == ["open", "sea", "door"]
    # What nobody wrote like that is looked for word by word.
    assert marked(text, '"sea door"') == ["sea", "door", "sea"]
    assert marked("a restart of the art", '"art"') == ["art"]


def test_a_passage_is_found_where_it_stands() -> None:
    passage = "Ropes are checked daily by the crew, and every rope that is worn is replaced"
    text = f"every rope of the crew. {PROSE} The crew is replaced."
    assert " ".join(marked(text, passage)) == passage


def test_a_passage_is_found_across_broken_words_and_what_stands_between() -> None:
    passage = (
        "Ropes are checked daily by the experienced crew, and every rope that is worn is replaced."
    )
    text = passage.replace("experienced", "experi- enced").replace(" every", " PAGE 7 every")
    found = marked(text, passage)
    assert found == [word for word in text.split() if word not in ("PAGE", "7")]


def test_a_long_question_is_looked_for_word_by_word() -> None:
    question = "How often are the ropes that are used in this old harbour checked by anyone at all?"
    assert marked(PROSE, question) == ["harbour", "Ropes", "checked", "rope", "harbour"]


def segment_of(folder: Path, size: tuple[int, int], words: list[WordBox] | None) -> Segment:
    Image.new("RGB", size, "white").save(folder / "page.png")
    boxes = None
    if words is not None:
        (folder / "boxes.json").write_bytes(boxes_to_json(words))
        boxes = str(folder / "boxes.json")
    preview = str(folder / "page.png")
    return Segment(
        modality="image", source="a.pdf", sha256="0", media=preview, preview=preview, boxes=boxes
    )


@pytest.mark.parametrize("size", [(400, 200), (40, 20)])
def test_the_words_are_marked_on_a_picture_of_any_size(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    words = [WordBox("Ropes", (0.0, 0.2, 0.25, 0.6)), WordBox("sea", (0.5, 0.2, 0.75, 0.6))]
    picture = highlighted(segment_of(tmp_path, size, words), "rope")
    assert picture.size == size
    width, height = size
    red, green, blue = picture.getpixel((width // 8, height * 2 // 5))  # pyright: ignore[reportGeneralTypeIssues]
    assert red == green == 255
    assert 100 < blue < 160  # the letters can be seen through it
    assert picture.getpixel((width * 5 // 8, height * 2 // 5)) == (255, 255, 255)
    assert picture.getpixel((width // 8, height * 9 // 10)) == (255, 255, 255)


def test_boxes_that_overlap_are_marked_once(tmp_path: Path) -> None:
    one = [WordBox("a1", (0.1, 0.1, 0.9, 0.9))]
    once = highlighted(segment_of(tmp_path, (50, 50), one), "a1", colour="#00ff00")
    twice = highlighted(segment_of(tmp_path, (50, 50), one * 2), "a1", colour="#00ff00")
    assert once.tobytes() == twice.tobytes()
    assert once.getpixel((25, 25)) != (255, 255, 255)


def test_without_boxes_the_picture_comes_as_it_is(tmp_path: Path) -> None:
    picture = highlighted(segment_of(tmp_path, (50, 50), None), "anything")
    assert picture.getcolors() == [(2500, (255, 255, 255))]


def test_what_cannot_be_shown_says_why(tmp_path: Path) -> None:
    nothing = Segment(modality="text", source="notes.txt", sha256="0", text="Words")
    with pytest.raises(InputError, match=r"notes\.txt has no picture"):
        highlighted(nothing, "words")
    segment = segment_of(tmp_path, (50, 50), [])
    with pytest.raises(InputError, match="No colour is called 'yelow'"):
        highlighted(segment, "words", colour="yelow")
    (tmp_path / "page.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(UnreadableMedia, match=r"page\.png"):
        highlighted(segment, "words")


def test_it_is_exported() -> None:
    assert "highlighted" in mm_rag.__all__
