from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageFont

from mm_rag import Encoder
from mm_rag.boxes import Box
from mm_rag.errors import MediaTooLarge, MissingExtra
from mm_rag.extraction import ocr_engine
from mm_rag.extraction.layout import TextLine
from mm_rag.extraction.ocr import OCRResult, may_show_text, read_image, word_boxes
from mm_rag.media import MediaPolicy
from mm_rag.media.image import open_image

pytestmark = pytest.mark.slow

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


def written(*lines: str, size: tuple[int, int] = (600, 400)) -> Image.Image:
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        draw.text((20, 20 + 60 * number), line, "black", ImageFont.load_default(36))
    return picture


@pytest.mark.skipif(sys.platform == "win32", reason="the peak of memory is not known there")
def test_pictures_of_any_shape_take_no_more_memory_than_a_usual_one() -> None:
    code = (
        "import resource, sys; from PIL import Image\n"
        "from mm_rag.extraction.ocr import read_image\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "read_image(Image.new('RGB', (1000, 1000), 'white')); before = peak()\n"
        "for size in [(8, 256), (8, 4000), (30, 1900)]: read_image(Image.new('1', size, 1))\n"
        "print((peak() - before) // (1 if sys.platform == 'darwin' else 1024))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 400  # MB; (8, 256) alone took 2,300


def test_a_column_of_text_is_read_on_a_wider_sheet() -> None:
    narrow = written("Harbour", "Ferry", "Island", "Bridge", size=(190, 900))
    assert read_image(narrow).text.split() == ["Harbour", "Ferry", "Island", "Bridge"]
    assert all(line.box[2] <= 190 for line in read_image(narrow).lines)


def test_a_small_memory_shrinks_what_is_looked_at_and_not_what_is_found() -> None:
    large = written("Harbour", "Ferry timetable", size=(1900, 1900))
    for memory in (2**28, 2**30):
        reading = read_image(large, MediaPolicy(max_memory=memory))
        assert reading.text.split() == ["Harbour", "Ferry", "timetable"]
        assert 15 < reading.lines[0].box[1] < 40


def test_what_there_is_no_time_for_is_left_out_and_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    picture = written(*(f"Line number {number}" for number in range(6)))
    assert "Line number 5" in read_image(picture).text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert read_image(picture, MediaPolicy(max_load_seconds=1e-6)).text == ""
    assert "max_load_seconds" in caplog.text
    caplog.clear()
    assert "Line number 5" in read_image(picture).text  # the next one has its own time
    assert not caplog.text


def test_an_encoder_keeps_to_the_time_of_its_policy(caplog: pytest.LogCaptureFixture) -> None:
    encoder = Encoder(device="cpu", policy=MediaPolicy(max_load_seconds=1e-6))
    encoder.encode(written("Harbour"))
    assert "600 x 400 pixels" in caplog.text


def test_a_picture_that_takes_too_much_memory_to_decode_is_refused() -> None:
    policy = MediaPolicy(max_memory=2**20)
    assert open_image(Image.new("RGB", (200, 200)), policy).size == (200, 200)
    with pytest.raises(MediaTooLarge, match=r"MediaPolicy\.max_memory"):
        open_image(Image.new("RGB", (400, 400)), policy)
