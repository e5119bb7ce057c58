"""What reading a picture may take: bounded by what is made of it, and by the policy."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest
from PIL import Image, ImageDraw, ImageFont

from mm_rag import Encoder
from mm_rag.errors import MediaTooLarge
from mm_rag.extraction.ocr import read_image
from mm_rag.media import MediaPolicy
from mm_rag.media.image import open_image


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
