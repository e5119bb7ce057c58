# ruff: noqa: RUF001
"""Text in many scripts: read, or named as unread, and never given as rubbish."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from mm_rag.extraction import tesseract
from mm_rag.extraction.layout import TextLine
from mm_rag.extraction.ocr import OCRResult, read_image, word_boxes
from mm_rag_loaders import LoadOptions, load_file
from tests.loaders.pictures import sign

pytestmark = pytest.mark.slow

_REQUIRED = os.environ.get("MM_RAG_REQUIRE_TESSERACT") == "1"
_FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
needs_font = pytest.mark.skipif(
    not Path(_FONT).exists() and not _REQUIRED, reason="a font with these letters is not installed"
)


def needs_tesseract(script: str) -> pytest.MarkDecorator:
    missing = shutil.which("tesseract") is None or tesseract.language_of(script) is None
    return pytest.mark.skipif(
        missing and not _REQUIRED, reason=f"Tesseract with data for {script} is not installed"
    )


GERMAN = "Protokoll: Die Größe der Fläche ist unverändert, Straße und Brücke."
RUSSIAN = ("Протокол собрания жильцов дома.", "Ремонт крыши начнётся в мае.")
GREEK = ("Πρακτικά της συνέλευσης των ενοίκων.", "Η επισκευή της στέγης αρχίζει τον Μάιο.")
ARABIC = ("محضر اجتماع سكان المبنى", "يبدأ إصلاح السقف في شهر مايو")
HEBREW = ("פרוטוקול ישיבת הוועד של הבניין", "תיקון הגג יתחיל בחודש מאי")


def page(*lines: str, size: int = 30) -> Image.Image:
    """Words drawn from the left; libraries for shaping draw Arabic and Hebrew right."""
    font = ImageFont.truetype(_FONT, size)
    width = max(round(font.getlength(line)) for line in lines)
    picture = Image.new("RGB", (width + 80, 60 * len(lines) + 60), "white")
    for number, line in enumerate(lines):
        ImageDraw.Draw(picture).text((40, 40 + 60 * number), line, "black", font)
    return picture


@pytest.fixture
def without_tesseract(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing() -> frozenset[str]:
        return frozenset()

    monkeypatch.setattr(tesseract, "_installed", nothing)


def similar(found: str, expected: str) -> float:
    """Share of the words that came out right."""
    words = expected.split()
    return sum(word in found.split() for word in words) / len(words)


@needs_font
@pytest.mark.parametrize(
    "text",
    [
        GERMAN,
        "Střecha domu bude opravena v květnu, příští schůze v září.",
        "Zażółć gęślą jaźń, wszystko będzie dobrze.",
        "Çatı onarımı mayıs ayında başlayacak, değişti.",
        "L'été à Besançon, où l'œuvre fut reçue: naïve forêt.",
    ],
)
def test_accents_of_european_languages_are_read(text: str) -> None:
    reading = read_image(page(text))
    assert reading.text == text
    assert reading.unread == ()


@needs_font
@pytest.mark.parametrize(
    ("script", "lines"),
    [
        pytest.param("Cyrillic", RUSSIAN, marks=needs_tesseract("Cyrillic")),
        pytest.param("Greek", GREEK, marks=needs_tesseract("Greek")),
        pytest.param("Arabic", ARABIC, marks=needs_tesseract("Arabic")),
        pytest.param("Hebrew", HEBREW, marks=needs_tesseract("Hebrew")),
    ],
)
def test_other_scripts_are_read_where_tesseract_is(script: str, lines: tuple[str, ...]) -> None:
    reading = read_image(page(*lines))
    assert similar(reading.text, " ".join(lines)) >= 0.8, reading.text
    assert reading.unread == ()
    assert [line.text for line in reading.lines] == reading.text.replace("\n\n", "\n").split("\n")


@needs_font
@needs_tesseract("Cyrillic")
def test_lines_of_one_picture_have_their_own_readers() -> None:
    reading = read_image(page(RUSSIAN[0], "Minutes of the tenants", RUSSIAN[1]))
    assert reading.lines[1].text == "Minutes of the tenants"
    assert reading.lines[0].text == RUSSIAN[0]


@needs_font
@pytest.mark.usefixtures("without_tesseract")
@pytest.mark.parametrize(
    ("script", "lines"),
    [("Cyrillic", RUSSIAN), ("Greek", GREEK), ("Arabic", ARABIC), ("Hebrew", HEBREW)],
)
def test_a_script_that_cannot_be_read_is_named_and_gives_no_rubbish(
    script: str, lines: tuple[str, ...]
) -> None:
    reading = read_image(page(*lines))
    assert reading.text == ""
    assert [(one.name, one.is_partly_read) for one in reading.unread] == [(script, False)]


@needs_font
@pytest.mark.usefixtures("without_tesseract")
def test_the_file_gets_a_note_that_names_the_script_and_what_to_install(
    tmp_path: Path, options: LoadOptions
) -> None:
    path = tmp_path / "minutes.png"
    page(*RUSSIAN, "Minutes of the tenants, roof and boiler").save(path)
    loaded = load_file(path, options)
    assert [(note.kind, note.text) for note in loaded.notes] == [
        (
            "script",
            "the picture: text in Cyrillic script was left out: reading it needs Tesseract with "
            "its data 'Cyrillic' (Debian: tesseract-ocr-script-cyrl)",
        )
    ]
    assert loaded.incomplete
    assert loaded.segments[0].text == "Minutes of the tenants, roof and boiler"


@needs_font
@pytest.mark.usefixtures("without_tesseract")
def test_each_script_of_a_document_is_noted_once(tmp_path: Path, options: LoadOptions) -> None:
    path = tmp_path / "minutes.tiff"
    pages = [page(*RUSSIAN), page(*RUSSIAN), page(*GREEK)]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    notes = [note.text for note in load_file(path, options).notes]
    assert [note.split(":")[:2] for note in notes] == [
        ["page 1", " text in Cyrillic script was left out"],
        ["page 3", " text in Greek script was left out"],
    ]


@needs_font
@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_page_on_its_side_or_upside_down_is_read_in_order(turn: int) -> None:
    lines = ["First the roof is mended", "Then the boiler is replaced", "The garden wall is last"]
    upright = page(*lines)
    picture = upright.rotate(-turn, expand=True)
    reading = read_image(picture)
    assert reading.text.replace("\n\n", "\n") == "\n".join(lines)
    assert reading.turn == turn
    expected = word_boxes(read_image(upright), upright.size)
    for word, before in zip(word_boxes(reading, picture.size), expected, strict=True):
        left, top, right, bottom = before.box
        turned = {
            90: (1 - bottom, left, 1 - top, right),
            180: (1 - right, 1 - bottom, 1 - left, 1 - top),
            270: (top, 1 - right, bottom, 1 - left),
        }[turn]
        assert word.box == pytest.approx(turned, abs=0.06)


def test_a_line_from_the_right_has_its_first_word_at_the_right() -> None:
    reading = OCRResult((TextLine("שלום עולם", (0, 0, 100, 10)),), "")
    first, second = word_boxes(reading, (100, 10))
    assert first.box[0] > second.box[2]


def _inverted(picture: Image.Image) -> Image.Image:
    return Image.eval(picture, lambda level: 255 - level)


def _pale(picture: Image.Image) -> Image.Image:
    return Image.eval(picture, lambda level: 200 + level // 8)


def _dark(picture: Image.Image) -> Image.Image:
    return Image.eval(picture, lambda level: level // 6)


@pytest.mark.parametrize("changed", [_inverted, _pale, _dark])
def test_inverted_and_faint_words_are_read(changed: Callable[[Image.Image], Image.Image]) -> None:
    assert read_image(changed(sign("Ferry leaves at nine"))).text == "Ferry leaves at nine"


def test_white_words_on_a_transparent_ground_are_read(tmp_path: Path, options: LoadOptions) -> None:
    path = tmp_path / "logo.png"
    picture = Image.new("RGBA", (700, 200), (255, 255, 255, 0))
    ImageDraw.Draw(picture).text((40, 60), "Ferry to Skye", "white", ImageFont.load_default(40))
    picture.save(path)
    assert load_file(path, options).segments[0].text == "Ferry to Skye"


@needs_font
@needs_tesseract("Cyrillic")
def test_tesseract_keeps_to_its_time() -> None:
    font = ImageFont.truetype(_FONT, 30)
    line = Image.new("RGB", (round(font.getlength(RUSSIAN[0])), 48), "white")
    ImageDraw.Draw(line).text((0, 5), RUSSIAN[0], "black", font)
    pixels, language = np.asarray(line), tesseract.language_of("Cyrillic") or ""
    assert tesseract.read_lines([pixels], language, 60)[0].text == RUSSIAN[0]
    assert tesseract.read_lines([pixels] * 60, language, 0.05)[0].text == ""
