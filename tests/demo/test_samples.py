"""The sample files are what the demo promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import numpy.typing as npt
import PIL.Image
import pymupdf
import pytest

from mm_rag.demo import QUESTIONS, make_samples
from mm_rag.errors import InputError
from mm_rag.extraction.ocr import read_image
from tools.demo_samples.__main__ import draw

pytestmark = pytest.mark.slow

NAMES = [
    "quarterly_review.pdf",
    "maintenance_log_scan.pdf",
    "receipt.png",
    "booking_screenshot.png",
    "radio_briefing.opus",
    "safety_video.mkv",
    "IMG_2041.jpg",
]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "not" / "there yet"
    assert [path.name for path in make_samples(folder)] == NAMES
    return folder


@pytest.mark.slow
def test_the_script_draws_the_committed_files(samples: Path, tmp_path: Path) -> None:
    drawn = draw(tmp_path)
    taken = {"radio_briefing.opus", "IMG_2041.jpg"}
    assert [path.name for path in drawn] == [name for name in NAMES if name not in taken]
    for path in drawn:
        committed = samples / path.name
        if path.suffix == ".pdf":
            with pymupdf.open(path) as ours, pymupdf.open(committed) as theirs:
                assert [_text(page) for page in ours] == [_text(page) for page in theirs]
            assert path.stat().st_size == pytest.approx(committed.stat().st_size, rel=0.2)
        elif path.suffix == ".png":
            ours, theirs = _pixels(path), _pixels(committed)
            assert ours.shape == theirs.shape
            assert np.abs(ours - theirs).mean() < 4
        else:
            with av.open(path) as ours, av.open(committed) as theirs:
                assert _duration(ours) == _duration(theirs)
                assert _subtitles(ours) == _subtitles(theirs)


def test_they_are_small(samples: Path) -> None:
    assert sum(path.stat().st_size for path in samples.iterdir()) < 1_500_000


def test_deck_has_wide_slides_with_a_text_layer_and_vector_charts(samples: Path) -> None:
    with pymupdf.open(samples / "quarterly_review.pdf") as deck:
        assert len(deck) == 10
        for slide in deck:
            assert slide.rect.width / slide.rect.height == pytest.approx(16 / 9)
            assert not slide.get_images()
        assert "71.8" in _text(deck[2])
        assert len(deck[2].get_drawings()) > 12


def test_deck_writes_nothing_outside_its_margins(samples: Path) -> None:
    with pymupdf.open(samples / "quarterly_review.pdf") as deck:
        for slide in deck:
            for word in cast(list[Any], slide.get_text("words")):
                x0, y0, x1, y1 = word[:4]
                assert x0 >= 50, slide.number
                assert x1 <= 930, slide.number
                assert 0 < y0 < y1 < 540, slide.number


def test_numbers_of_the_deck_agree_with_each_other(samples: Path) -> None:
    with pymupdf.open(samples / "quarterly_review.pdf") as deck:
        table = _text(deck[5]).replace("$", "").replace(",", "").split("\n")
    rows = {name: [int(cell) for cell in table[table.index(name) + 1 :][:3]] for name in _LINES}
    for revenue, cost, result in rows.values():
        assert revenue - cost == result
    *lines, total = rows.values()
    assert [sum(column) for column in zip(*lines, strict=True)] == total


def test_scan_is_pictures_without_a_text_layer(samples: Path) -> None:
    with pymupdf.open(samples / "maintenance_log_scan.pdf") as scan:
        assert len(scan) == 2
        for page in scan:
            assert _text(page).strip() == ""
            assert len(page.get_images()) == 1


def test_recording_lasts_as_long_as_the_questions_say(samples: Path) -> None:
    with av.open(samples / "radio_briefing.opus") as recording:
        assert 40 < _duration(recording) < 70
        assert recording.streams.audio[0].channels == 1


def test_video_has_pictures_and_a_text_subtitle_track(samples: Path) -> None:
    with av.open(samples / "safety_video.mkv") as video:
        assert 25 < _duration(video) < 40
        assert not video.streams.audio
        assert video.streams.subtitles[0].codec_context.name in ("srt", "subrip")
        packets = _subtitles(video)
    assert len(packets) == 5
    assert b"yellow locker" in packets[1]


def test_questions_ask_about_the_samples() -> None:
    assert len(QUESTIONS) == 10
    assert {question.file for question in QUESTIONS} == set(NAMES)
    assert [question.meaning != "" for question in QUESTIONS] == [
        not question.text.isascii() for question in QUESTIONS
    ]


def test_the_photo_has_neither_words_nor_metadata(samples: Path) -> None:
    with PIL.Image.open(samples / "IMG_2041.jpg") as photo:
        assert photo.size == (451, 300)
        assert not photo.getexif()
        assert len(read_image(photo).text) <= 1  # an eye may be taken for a 0


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(InputError, match="file"):
        make_samples(blocked)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("receipt.png", "MOORING ROPE $179.00 TOTAL $539.12"),
        ("booking_screenshot.png", "Only 31 seats are left on the 10:15 boat Error GB-409"),
    ],
)
def test_pictures_are_legible(samples: Path, name: str, words: str) -> None:
    with PIL.Image.open(samples / name) as picture:
        read = read_image(picture).text
    assert [word for word in words.split() if word not in read] == []


@pytest.mark.slow
def test_scan_is_legible(samples: Path) -> None:
    with pymupdf.open(samples / "maintenance_log_scan.pdf") as scan:
        pixels = scan[0].get_pixmap(dpi=150)
    picture = PIL.Image.frombytes("RGB", (pixels.width, pixels.height), pixels.samples)
    read = read_image(picture).text
    assert [
        word for word in ["Plover", "Starboard", "plastic", "bag", "hot"] if word not in read
    ] == []


@pytest.mark.slow
def test_captions_of_the_video_are_legible(samples: Path) -> None:
    with av.open(samples / "safety_video.mkv") as video:
        frame = next(frame for frame in video.decode(video=0) if frame.time > 9)
        picture = frame.to_image()
    assert "under every bench" in read_image(picture).text


def _text(page: Any) -> str:
    return page.get_text()


def _pixels(path: Path) -> npt.NDArray[np.float64]:
    with PIL.Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), dtype=np.float64)


def _subtitles(video: Any) -> list[bytes]:
    return [bytes(packet) for packet in video.demux(subtitles=0) if packet.size]


def _duration(container: Any) -> float:
    return container.duration / av.time_base


_LINES = ("Mill Island", "Lighthouse Point", "Airport", "All lines")
