from __future__ import annotations

from pathlib import Path

import pymupdf

from tests.loaders.pdfs import PROSE, segments_of


class Sheet:
    """A page that is written from the top down."""

    def __init__(self, document: pymupdf.Document) -> None:
        self.page = document.new_page()
        self.y = 60.0

    def line(self, text: str, size: float = 10, font: str = "helv", gap: float = 4) -> None:
        self.y += size + gap
        self.page.insert_text((50, self.y), text, fontsize=size, fontname=font)

    def prose(self, lines: int) -> None:
        for _ in range(lines):
            self.line(PROSE)


def test_passages_know_the_heading_above_them(tmp_path: Path) -> None:
    document = pymupdf.open()
    first = Sheet(document)
    first.line("Field guide to foxes", 20)
    first.prose(8)
    first.line("2 Where they sleep", 10, "hebo")
    first.prose(8)
    Sheet(document).prose(6)
    found = segments_of(document, tmp_path, words=100)
    pairs = [(s.page, s.metadata["heading"]) for s in found if s.modality == "text"]
    assert list(dict.fromkeys(pairs)) == [
        (1, "Field guide to foxes"),
        (1, "2 Where they sleep"),
        (2, "2 Where they sleep"),
    ]


def test_no_passage_ends_with_a_heading(tmp_path: Path) -> None:
    document = pymupdf.open()
    for number in range(2):
        sheet = Sheet(document)
        for part in range(5):
            sheet.line(f"Chapter {'ABCDE'[part]} of volume {number}", 14)
            sheet.prose(part + 1)
        sheet.line(f"Outlook of volume {number}", 14)
    texts = [s.text for s in segments_of(document, tmp_path, words=50) if s.modality == "text"]
    ends = [text.splitlines()[-1] for text in texts[:-1]]
    assert all(end.endswith("tired.") for end in ends)
    assert any(text.startswith("Outlook of volume 0\n\nChapter A") for text in texts)
    assert texts[-1].endswith("Outlook of volume 1")  # nothing follows, and no word is lost


def test_a_heading_of_two_lines_is_one_and_no_markup_is_added(tmp_path: Path) -> None:
    document = pymupdf.open()
    sheet = Sheet(document)
    sheet.line("Dense retrieval of foxes", 18)
    sheet.line("in open fields", 18)
    sheet.prose(5)
    shot, passage, *_ = segments_of(document, tmp_path)
    assert passage.metadata["heading"] == "Dense retrieval of foxes in open fields"
    assert shot.text.startswith("Dense retrieval of foxes\nin open fields\n\nThe quick")


def test_a_bold_word_in_a_sentence_is_no_heading(tmp_path: Path) -> None:
    document = pymupdf.open()
    sheet = Sheet(document)
    sheet.prose(5)
    sheet.line("Warning", 10, "hebo")
    sheet.page.insert_text((110, sheet.y), "is the word that foxes like least.", fontsize=10)
    sheet.prose(5)
    shot = segments_of(document, tmp_path)[0]
    assert "heading" not in shot.metadata
    assert "Warning is the word that foxes like least." in shot.text


def test_a_caption_stays_with_its_table(tmp_path: Path) -> None:
    document = pymupdf.open()
    sheet = Sheet(document)
    sheet.prose(4)
    sheet.line("Table 2. Foxes seen by year.", gap=20)
    top = sheet.y + 10
    for at, row in enumerate([("Year", "Foxes"), ("2021", "14"), ("2022", "19")]):
        for column, cell in enumerate(row):
            sheet.page.insert_text((60 + 100 * column, top + 14 + 20 * at), cell, fontsize=10)
    for at in range(4):
        sheet.page.draw_line((50, top + 20 * at), (250, top + 20 * at))
    for x in (50, 150, 250):
        sheet.page.draw_line((x, top), (x, top + 60))
    texts = [s.text for s in segments_of(document, tmp_path, words=64) if s.modality == "text"]
    assert len(texts) == 2
    assert texts[1].startswith("Table 2. Foxes seen by year.\n\n| Year | Foxes |")


def test_a_paragraph_in_bold_is_no_heading(tmp_path: Path) -> None:
    document = pymupdf.open()
    sheet = Sheet(document)
    sheet.prose(12)
    sheet.line("Read this before you feed a fox", 10, "hebo", gap=20)
    sheet.line("because it will come back", 10, "hebo")
    sheet.line("every evening, and bring others.", 10, "hebo")
    found = segments_of(document, tmp_path)
    assert all("heading" not in segment.metadata for segment in found)


def test_bold_words_in_two_columns_are_no_heading(tmp_path: Path) -> None:
    document = pymupdf.open()
    sheet = Sheet(document)
    sheet.prose(8)
    sheet.line("Vulnerable road users", font="hebo")
    sheet.page.insert_text((320, sheet.y), "Federal agency", fontsize=10, fontname="hebo")
    sheet.line("1.1", font="hebo", gap=30)
    sheet.page.insert_text((110, sheet.y), "Public safety", fontsize=10, fontname="hebo")
    sheet.prose(8)
    found = segments_of(document, tmp_path, words=90)
    headings = {s.metadata.get("heading", "") for s in found if s.modality == "text"}
    assert headings == {"", "1.1 Public safety"}


def test_the_points_of_a_slide_are_no_headings(tmp_path: Path) -> None:
    document = pymupdf.open()
    page = document.new_page(width=960, height=540)
    page.insert_text((60, 80), "Quarterly results", fontsize=40, fontname="hebo")
    for at, point in enumerate(["Revenue grew by 12 percent", "Costs stayed flat"]):
        page.insert_text((80, 180 + 50 * at), "-", fontsize=24)
        page.insert_text((110, 180 + 50 * at), point, fontsize=24)
    found = segments_of(document, tmp_path, words=6)
    assert {s.metadata["heading"] for s in found} == {"Quarterly results"}
