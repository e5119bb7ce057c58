from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pymupdf
import pytest
from PIL import Image

from mm_rag.boxes import WordBox, read_boxes
from mm_rag.segment import Segment
from mm_rag_loaders import LoadOptions, PDFLoader
from mm_rag_loaders.load_options import PDFBackend
from tests.loaders.pdfs import saved

HEBREW = "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd \u05d6\u05d4 \u05d8\u05e7\u05e1\u05d8"
ARABIC = "\u0645\u0631\u062d\u0628\u0627 \u0647\u0630\u0627 \u0646\u0635 \u0639\u0631\u0628\u064a"


def pages(document: pymupdf.Document, folder: Path, options: LoadOptions) -> list[Segment]:
    path = saved(document, folder)
    return [s for s in PDFLoader(options).load(path) if s.modality == "image"]


def boxes_of(page: Segment) -> dict[str, WordBox]:
    return {word.text: word for word in read_boxes(page.boxes or "")}


def ink(page: Segment, word: WordBox) -> float:
    """Share of dark pixels where a word is said to be."""
    with Image.open(page.media or "") as shot:
        x0, y0, x1, y1 = word.box
        width, height = shot.size
        part = shot.convert("L").crop(
            (int(x0 * width), int(y0 * height), int(x1 * width) + 1, int(y1 * height) + 1)
        )
    return sum(part.histogram()[:128]) / (part.width * part.height)


def test_three_columns_are_read_one_after_the_other(tmp_path: Path, options: LoadOptions) -> None:
    document = pymupdf.open()
    page = document.new_page()
    for number in range(10):
        for side, x in (("left", 40), ("middle", 220), ("right", 400)):
            page.insert_text(
                (x, 100 + 14 * number), f"{side}{number} has some more words", fontsize=10
            )
    (found,) = pages(document, tmp_path, options)
    starts = [row.split()[0] for row in found.text.splitlines() if row]
    assert starts == [f"{side}{i}" for side in ("left", "middle", "right") for i in range(10)]


def test_text_outside_of_a_cropped_page_is_no_text_of_it(
    tmp_path: Path, options: LoadOptions
) -> None:
    document = pymupdf.open()
    page = document.new_page(width=400, height=400)
    page.insert_text((20, 50), "Printer marks and secrets")
    page.insert_text((120, 200), "What the page says")
    page.set_cropbox(pymupdf.Rect(100, 100, 400, 300))
    (found,) = pages(document, tmp_path, options)
    assert found.text == "What the page says"
    with Image.open(found.media or "") as shot:
        assert shot.width / shot.height == pytest.approx(1.5, abs=0.01)
    assert ink(found, boxes_of(found)["page"]) > 0.1


def test_pages_of_different_sizes_keep_their_shapes(tmp_path: Path, options: LoadOptions) -> None:
    document = pymupdf.open()
    for size in ((300, 600), (600, 300), (200, 200)):
        document.new_page(width=size[0], height=size[1]).insert_text((20, 50), "Some words")
    shapes: list[float] = []
    for found in pages(document, tmp_path, options):
        with Image.open(found.media or "") as shot:
            shapes.append(round(shot.width / shot.height, 1))
    assert shapes == [0.5, 2.0, 1.0]


@pytest.mark.parametrize("text", [HEBREW, ARABIC], ids=["Hebrew", "Arabic"])
def test_what_is_written_from_right_to_left_is_in_logical_order(
    tmp_path: Path, options: LoadOptions, text: str
) -> None:
    document = pymupdf.open()
    page = document.new_page()
    lines = f'<p dir="rtl">{text} 2024 ABC def.</p><p dir="rtl">{text}</p>'
    page.insert_htmlbox(pymupdf.Rect(50, 50, 500, 200), lines)
    (found,) = pages(document, tmp_path, options)
    rows = [row for row in found.text.splitlines() if row]
    assert [row.split()[:4] for row in rows] == [text.split(), text.split()]
    assert rows[0].split()[4:6] == ["2024", "ABC"]
    boxes = boxes_of(found)
    assert boxes[text.split()[0]].box[0] > boxes[text.split()[1]].box[0]


def test_glyphs_drawn_from_left_to_right_make_logical_hebrew(
    tmp_path: Path, options: LoadOptions
) -> None:
    document = pymupdf.open()
    page = document.new_page()
    writer = pymupdf.TextWriter(page.rect)
    writer.append((50, 100), HEBREW[::-1], font=pymupdf.Font(script=5))
    writer.write_text(page)
    (found,) = pages(document, tmp_path, options)
    assert found.text == HEBREW


def test_columns_of_hebrew_begin_on_the_right(tmp_path: Path, options: LoadOptions) -> None:
    document = pymupdf.open()
    page = document.new_page()
    for side, x in ((1, 320), (2, 50)):
        lines = "".join(f'<p dir="rtl">{HEBREW} {HEBREW[:9]} {side}{n}</p>' for n in range(6))
        page.insert_htmlbox(pymupdf.Rect(x, 100, x + 240, 400), lines)
    (found,) = pages(document, tmp_path, options)
    numbers = [row.split()[-1] for row in found.text.splitlines() if row]
    assert numbers == [f"{side}{n}" for side in (1, 2) for n in range(6)]


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("turn", [0, 90])
def test_word_boxes_lie_on_the_words_of_the_picture(
    tmp_path: Path, options: LoadOptions, rotation: int, turn: int
) -> None:
    document = pymupdf.open()
    page = document.new_page(width=400, height=500)
    for number, word in enumerate(["Elephants", "Lighthouses", "Watermelons"]):
        place = (80 + 60 * number, 400 - 50 * number)
        page.insert_text(place, f"{word} MMMMMM", fontsize=16, rotate=turn)
    page.set_cropbox(pymupdf.Rect(20, 30, 380, 470))
    page.set_rotation(rotation)
    (found,) = pages(document, tmp_path, options)
    boxes = boxes_of(found)
    for word in ("Elephants", "Lighthouses", "Watermelons"):
        x0, y0, x1, y1 = boxes[word].box
        assert x1 - x0 > y1 - y0  # upright
        assert ink(found, boxes[word]) > 0.1
    with Image.open(found.media or "") as shot:
        dark = sum(shot.convert("L").histogram()[:128]) / (shot.width * shot.height)
    assert dark < 0.03


def test_passages_and_their_page_share_one_file_of_boxes(
    tmp_path: Path, options: LoadOptions
) -> None:
    document = pymupdf.open()
    document.new_page().insert_text((50, 50), "Some words")
    document.save(tmp_path / "a.pdf")
    shot, passage = PDFLoader(options).load(tmp_path / "a.pdf")
    assert shot.boxes == passage.boxes
    assert [word.text for word in read_boxes(shot.boxes or "")] == ["Some", "words"]


@pytest.mark.parametrize("backend", get_args(PDFBackend))
def test_marks_that_nobody_can_see_are_no_text(
    tmp_path: Path, options: LoadOptions, backend: PDFBackend
) -> None:
    document = pymupdf.open()
    page = document.new_page()
    page.insert_text((50, 100), "Strategy 1.1 Roads", fontsize=14)
    page.insert_text((400, 98), "PLACEHOLDER_1", fontsize=0.7, color=(1, 1, 1))
    page.insert_text((50, 130), "The small print can be read.", fontsize=3)
    [shot] = pages(document, tmp_path, replace(options, pdf_backend=backend))
    assert shot.text == "Strategy 1.1 Roads\n\nThe small print can be read."
