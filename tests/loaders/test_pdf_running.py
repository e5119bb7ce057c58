"""Running headers, footers and page numbers are read once, and nothing else is left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pymupdf
import pytest

from mm_rag.boxes import read_boxes
from mm_rag.segment import Segment
from mm_rag_loaders import AssetStore, LoadOptions, PDFLoader
from mm_rag_loaders.load_options import PDFBackend
from tests.loaders.pdfs import PROSE, saved


@pytest.fixture(params=get_args(PDFBackend))
def options(request: pytest.FixtureRequest, tmp_path: Path) -> LoadOptions:
    return LoadOptions(assets=AssetStore(tmp_path / "assets"), pdf_backend=request.param)


Draw = Callable[[pymupdf.Page, int], None]


def pages(folder: Path, options: LoadOptions, count: int, draw: Draw) -> list[Segment]:
    """The pages of a document of prose, with something drawn on each of them."""
    document = pymupdf.open()
    for number in range(1, count + 1):
        page = document.new_page()
        for at in range(20):
            page.insert_text((60, 120 + 16 * at), f"line {number}.{at} {PROSE[:50]}", fontsize=10)
        draw(page, number)
    return list(PDFLoader(options).load(saved(document, folder)))


def texts(segments: list[Segment], modality: str = "image") -> list[str]:
    return [segment.text for segment in segments if segment.modality == modality]


def words(segment: Segment) -> list[str]:
    return [word.text for word in read_boxes(segment.boxes or "")]


def test_headers_and_footers_are_in_the_document_once(tmp_path: Path, options: LoadOptions) -> None:
    def draw(page: pymupdf.Page, number: int) -> None:
        page.insert_text((60, 40), "Harbour report of Stornoway", fontsize=9)
        page.insert_text((60, 800), f"Confidential, page {number} of 5", fontsize=9)
        page.insert_text((500, 800), f"{number + 11}", fontsize=9)

    found = pages(tmp_path, options, 5, draw)
    for modality in ("image", "text"):
        said = "\n".join(texts(found, modality))
        assert said.count("Harbour report of Stornoway") == 1
        assert said.count("Confidential") == 1
        assert said.count("line 3.19") == 1
    assert "Harbour report of Stornoway" in texts(found)[0]
    for number, page in enumerate((s for s in found if s.modality == "image"), start=1):
        assert "Harbour" in words(page)
        assert str(number + 11) in words(page)


@pytest.mark.slow
def test_left_and_right_pages_have_their_own(tmp_path: Path, options: LoadOptions) -> None:
    def draw(page: pymupdf.Page, number: int) -> None:
        text = (
            f"{number} The sea and its ships" if number % 2 == 0 else f"Chapter of winds {number}"
        )
        page.insert_text((60 if number % 2 == 0 else 400, 40), text, fontsize=9)

    said = "\n".join(texts(pages(tmp_path, options, 7, draw)))
    assert said.count("The sea and its ships") == 1
    assert said.count("Chapter of winds") == 1


def test_roman_numbers_are_page_numbers(tmp_path: Path, options: LoadOptions) -> None:
    roman = ["i", "ii", "iii", "iv", "v"]

    def draw(page: pymupdf.Page, number: int) -> None:
        page.insert_text((290, 800), f"- {roman[number - 1]} -", fontsize=9)

    found = texts(pages(tmp_path, options, 5, draw))
    assert not any("iv" in text or "ii" in text for text in found)


def test_two_pages_lose_nothing(tmp_path: Path, options: LoadOptions) -> None:
    def draw(page: pymupdf.Page, number: int) -> None:
        page.insert_text((60, 40), "Harbour report of Stornoway", fontsize=9)

    found = texts(pages(tmp_path, options, 2, draw))
    assert all("Harbour report of Stornoway" in text for text in found)


def test_codes_that_differ_stay(tmp_path: Path, options: LoadOptions) -> None:
    def draw(page: pymupdf.Page, number: int) -> None:
        page.insert_text((60, 40), f"Invoice no. {70310 + number}", fontsize=9)
        page.insert_text((60, 800), f"Due {number * 7 % 28 + 1}.04.2024", fontsize=9)

    found = texts(pages(tmp_path, options, 5, draw))
    for number, text in enumerate(found, start=1):
        assert f"Invoice no. {70310 + number}" in text
        assert f"Due {number * 7 % 28 + 1}.04.2024" in text


def test_headings_that_are_repeated_stay(tmp_path: Path, options: LoadOptions) -> None:
    def draw(page: pymupdf.Page, number: int) -> None:
        page.insert_text((60, 50), "Inspection of a boiler", fontsize=16)

    found = texts(pages(tmp_path, options, 4, draw))
    assert all("Inspection of a boiler" in text for text in found)


def test_the_head_of_a_table_on_every_page_stays(tmp_path: Path, options: LoadOptions) -> None:
    document = pymupdf.open()
    for number in range(4):
        page = document.new_page()
        rows = [["Name", "Date", "Amount"]]
        rows += [[f"Person{number}{n}", f"0{n}.05.2024", f"{n}{number}.50"] for n in range(1, 9)]
        for at, row in enumerate(rows):
            for x, cell in zip((60, 250, 400), row, strict=True):
                page.insert_text((x, 50 + 16 * at), cell, fontsize=10)
    found = texts(list(PDFLoader(options).load(saved(document, tmp_path))))
    assert all(text.startswith("| Name | Date | Amount |") for text in found)
    assert all(text.count("\n") == 9 for text in found)


def test_a_page_with_a_running_line_only_keeps_it(tmp_path: Path, options: LoadOptions) -> None:
    document = pymupdf.open()
    for _ in range(4):
        document.new_page().insert_text((60, 40), "This page is left blank on purpose")
    found = texts(list(PDFLoader(options).load(saved(document, tmp_path))))
    assert found == ["This page is left blank on purpose"] * 4
