from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageFont

from mm_rag.errors import MissingExtra
from mm_rag.extraction import ocr_engine
from mm_rag.extraction.ocr import OCRResult, may_show_text, read_image

FONT = ImageFont.load_default(32)


@pytest.fixture
def new_engine() -> Iterator[None]:
    """The engine is made anew in the test, and again after it."""
    ocr_engine.engine.cache_clear()
    yield
    ocr_engine.engine.cache_clear()


def page(*lines: str, size: tuple[int, int] = (900, 320)) -> Image.Image:
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    for number, text in enumerate(lines):
        draw.text((30, 30 + 60 * number), text, fill="black", font=FONT)
    return picture


def test_lines_are_read_from_top_to_bottom_with_their_boxes() -> None:
    reading = read_image(page("The first line of the page", "and here the second one"))
    assert reading.text == "The first line of the page\n\nand here the second one"
    first, second = reading.lines
    assert 25 < first.box[0] < 40
    assert first.box[3] < second.box[1] + 10
    assert min(first.confidence, second.confidence) > 0.8


def test_spaces_between_words_are_seen() -> None:
    # The recogniser alone reads "Pleaseremember:TheAnnual" and the like.
    text = "Please remember: The Annual Enrollment period"
    assert read_image(page(text, size=(900, 100))).text.split() == text.split()


def test_what_stands_side_by_side_is_one_row() -> None:
    picture = page("Subtotal", "Total amount")
    draw = ImageDraw.Draw(picture)
    for number, price in enumerate(["12.50", "14.75"]):
        draw.text((700, 30 + 60 * number), price, fill="black", font=FONT)
    found = [row for row in read_image(picture).text.split("\n") if row]
    assert found == ["Subtotal 12.50", "Total amount 14.75"]


def test_small_letters_are_read() -> None:
    picture = Image.new("RGB", (260, 60), "white")
    ImageDraw.Draw(picture).text((8, 20), "Run Shell Script", "black", ImageFont.load_default(11))
    assert read_image(picture).text == "Run Shell Script"


def test_large_pictures_are_scaled_and_the_boxes_are_scaled_back() -> None:
    small = page("Closing time")
    large = small.resize((4500, 1600), Image.Resampling.BICUBIC)
    reading = read_image(large)
    assert reading.text == "Closing time"
    assert 100 < reading.lines[0].box[0] < 200


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (64, 64), (600, 400)])
def test_an_empty_picture_gives_an_empty_reading(size: tuple[int, int]) -> None:
    assert read_image(Image.new("RGB", size, "white")) == OCRResult()


def test_threads_take_turns() -> None:
    words = ["apple", "bridge", "castle"]
    found: dict[str, str] = {}

    def read(word: str) -> None:
        found[word] = read_image(page(word, size=(300, 100))).text

    threads = [threading.Thread(target=read, args=(word,)) for word in words]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {word: word for word in words}


def test_a_very_tall_picture_is_read_in_full_and_each_line_once() -> None:
    # Shrunk as a whole its letters would be five pixels high.
    lines = [f"Message-{number}" for number in range(11, 26)]
    picture, font = Image.new("RGB", (740, 5600), "white"), ImageFont.load_default(16)
    for number, text in enumerate(lines):
        ImageDraw.Draw(picture).text((20, 60 + 367 * number), text, "black", font)
    reading = read_image(picture)
    assert [line.text for line in reading.lines] == lines
    assert [round(line.box[1] / 367) for line in reading.lines] == list(range(15))


def test_lines_of_a_very_wide_picture_are_joined_where_it_was_cut() -> None:
    lines = ["The quick brown fox jumps over the lazy dog " * 4, "Wizards boil seven toads " * 7]
    picture, font = Image.new("RGB", (4200, 160), "white"), ImageFont.load_default(36)
    for number, text in enumerate(lines):
        ImageDraw.Draw(picture).text((30, 20 + 70 * number), text, "black", font)
    found = [row for row in read_image(picture).text.split("\n") if row]
    assert [row.replace(" ", "") for row in found] == [row.replace(" ", "") for row in lines]


@pytest.mark.usefixtures("new_engine")
def test_an_engine_that_cannot_be_started_is_a_missing_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def of_another_release(**_: object) -> object:
        return SimpleNamespace(text_rec=None)

    def installed(module: str, *, extra: str, feature: str) -> object:
        return SimpleNamespace(RapidOCR=of_another_release)

    monkeypatch.setattr(ocr_engine, "require", installed)
    with pytest.raises(MissingExtra, match="could not be started"):
        read_image(page("Closing time"))


class FailsOnPages:
    """RapidOCR, as far as it is started; it fails on all but the blank that it starts with."""

    def __init__(self, **_: object) -> None:
        decode = SimpleNamespace(character=["blank", " "])
        self.text_rec = SimpleNamespace(postprocess_op=decode, session=None)
        self.text_det = SimpleNamespace(mean=None, std=None, session=self)

    def __call__(self, pixels: npt.NDArray[np.uint8], **_: object) -> None:
        if pixels.size > 48 * 48 * 3:
            raise IndexError("Non-zero status code")


@pytest.mark.usefixtures("new_engine")
def test_an_engine_that_fails_is_told_from_a_missing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def installed(module: str, *, extra: str, feature: str) -> object:
        return SimpleNamespace(RapidOCR=FailsOnPages)

    monkeypatch.setattr(ocr_engine, "require", installed)
    message = r"failed on one of 1000 x 356 pixels: IndexError: Non-zero status code"
    with pytest.raises(MissingExtra, match=message):
        read_image(page("Closing time"))
    with pytest.raises(MissingExtra, match="failed on one of"):
        may_show_text(page("Closing time"))


@pytest.mark.parametrize("size", [(1280, 720), (720, 1280), (320, 180), (1200, 300)])
def test_a_quick_look_sees_whether_there_is_text(size: tuple[int, int]) -> None:
    plain = Image.radial_gradient("L").resize(size).convert("RGB")
    assert not may_show_text(plain)
    font = ImageFont.load_default(max(12, min(size) // 50))  # as small as OCR reads it
    ImageDraw.Draw(plain).text((size[0] // 3, size[1] // 3), "Chapter two", "white", font)
    assert may_show_text(plain)


def test_a_banner_gets_no_quick_look() -> None:
    assert may_show_text(Image.new("RGB", (4000, 200), "white"))
