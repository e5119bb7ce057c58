from __future__ import annotations

import io
from pathlib import Path

import pymupdf
import pytest
from PIL import Image, ImageDraw, ImageFont

from mm_rag.boxes import read_boxes
from mm_rag.segment import Segment
from mm_rag_loaders import LoadOptions, PDFLoader
from tests.loaders.pdfs import PROSE, saved


def picture(text: str, size: tuple[int, int] = (800, 400)) -> bytes:
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).text((60, 80), text, "black", ImageFont.load_default(48))
    return encoded(image)


def encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def read(document: pymupdf.Document, folder: Path, options: LoadOptions) -> list[Segment]:
    return list(PDFLoader(options).load(saved(document, folder)))


def prose(page: pymupdf.Page, top: float, bottom: float) -> None:
    page.insert_textbox((50, top, 550, bottom), f"{PROSE} " * 4, fontsize=10)


@pytest.mark.slow
def test_a_screenshot_in_a_report_is_read_at_its_place(
    tmp_path: Path, options: LoadOptions
) -> None:
    document = pymupdf.open()
    page = document.new_page()
    prose(page, 50, 150)
    page.insert_image((50, 160, 450, 360), stream=picture("Total revenue 4711"))
    page.insert_text((50, 380), "Figure 1: What the screen said.", fontsize=10)
    prose(page, 400, 500)
    shot, *_ = read(document, tmp_path, options)
    assert shot.metadata["ocr"] is True
    before, after = shot.text.split("Total revenue 4711")
    assert before.strip().endswith("tired.")
    assert after.strip().startswith("Figure 1: What the screen said.")
    words = {word.text: word.box for word in read_boxes(shot.boxes or "")}
    x0, y0, x1, y1 = words["revenue"]
    assert 50 / 595 < x0 < x1 < 450 / 595
    assert 160 / 842 < y0 < y1 < 360 / 842


@pytest.mark.parametrize("kind", ["small", "under text", "photo"])
def test_other_pictures_are_not_read(
    tmp_path: Path, options: LoadOptions, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = pymupdf.open()
    page = document.new_page()
    if kind == "small":
        page.insert_image((50, 160, 130, 200), stream=picture("Logo"))
    elif kind == "under text":
        page.insert_image(page.rect, stream=picture(PROSE), keep_proportion=False)
    else:
        noise = Image.effect_noise((400, 300), 90).convert("RGB")
        page.insert_image((50, 260, 450, 560), stream=encoded(noise))
    prose(page, 50, 150)

    def never(_: Image.Image) -> None:
        raise AssertionError("OCR was called")

    monkeypatch.setattr("mm_rag_loaders.loader.read_image", never)
    shot, *_ = read(document, tmp_path, options)
    assert "ocr" not in shot.metadata


def test_a_scan_whose_text_layer_is_invisible_is_not_read_again(
    tmp_path: Path, options: LoadOptions
) -> None:
    document = pymupdf.open()
    page = document.new_page()
    page.insert_image(page.rect, stream=picture("Nonsense"), keep_proportion=False)
    page.insert_textbox((50, 50, 550, 300), f"{PROSE} " * 4, fontsize=10, render_mode=3)
    shot, *_ = read(document, tmp_path, options)
    assert "ocr" not in shot.metadata
    assert "Nonsense" not in shot.text


@pytest.mark.slow
def test_the_words_of_a_scan_have_boxes(tmp_path: Path, options: LoadOptions) -> None:
    document = pymupdf.open()
    page = document.new_page(width=400, height=200)
    page.insert_image((0, 0, 400, 200), stream=picture("Harbour regulations"))
    shot, passage = read(document, tmp_path, options)
    words = {word.text: word.box for word in read_boxes(passage.boxes or "")}
    assert shot.boxes == passage.boxes
    # "Harbour" begins at 60 of 800 pixels.
    assert words["Harbour"][0] == pytest.approx(60 / 800, abs=0.02)
    assert words["Harbour"][2] < words["regulations"][0] < 0.4
