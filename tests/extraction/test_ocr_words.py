from __future__ import annotations

import pytest
from PIL import Image, ImageDraw, ImageFont

from mm_rag.boxes import Box
from mm_rag.extraction.layout import TextLine
from mm_rag.extraction.ocr import OCRResult, read_image, word_boxes

FONT = ImageFont.load_default(32)


def of_line(text: str, box: Box, size: tuple[int, int]) -> list[tuple[str, Box]]:
    reading = OCRResult((TextLine(text, box),), text)
    return [(word.text, word.box) for word in word_boxes(reading, size)]


def test_every_word_that_was_read_has_a_box_that_holds_it() -> None:
    text = "The first line, (will) Miss 12.50 of the page"
    picture = Image.new("RGB", (900, 100), "white")
    ImageDraw.Draw(picture).text((30, 30), text, fill="black", font=FONT)
    found = word_boxes(read_image(picture), picture.size)
    assert [word.text for word in found] == text.split()
    start = 0
    for word in found:
        start = text.index(word.text, start)
        left = 30 + FONT.getlength(text[:start])
        right = left + FONT.getlength(word.text)
        assert word.box[0] * 900 == pytest.approx(left, abs=20)
        assert word.box[2] * 900 == pytest.approx(right, abs=20)
        assert 0.2 < word.box[1] < word.box[3] < 0.8


def test_a_wide_word_has_a_wider_share_of_its_line() -> None:
    [(_, narrow), (_, wide)] = of_line("illi mWmM", (0, 0, 100, 10), (200, 100))
    assert (narrow[0], wide[2]) == (0, 0.5)
    assert wide[2] - wide[0] > 2 * (narrow[2] - narrow[0])
    assert narrow[2] < wide[0]


def test_every_ideograph_is_a_word() -> None:
    found = of_line("東京 2024", (0, 0, 100, 20), (100, 100))
    assert [text for text, _ in found] == ["東", "京", "2024"]
    first, second, _ = (box for _, box in found)
    assert first[2] == pytest.approx(second[0])


def test_a_line_that_was_turned_runs_down_the_picture() -> None:
    [(_, first), (_, second)] = of_line("Fig. two", (10, 0, 20, 100), (100, 100))
    assert (first[0], first[2]) == (second[0], second[2]) == (0.1, 0.2)
    assert first[1] < first[3] < second[1] < second[3] == 1


def test_boxes_stay_on_the_picture() -> None:
    [(_, box)] = of_line("edge", (-5, -1, 110, 20), (100, 100))
    assert box == (0, 0, 1, 0.2)


def test_nothing_was_read() -> None:
    assert word_boxes(OCRResult(), (100, 100)) == []
