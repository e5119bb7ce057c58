"""What OCR adds to a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mm_rag.boxes import Box, WordBox
from mm_rag.extraction.ocr import Reading, word_boxes
from mm_rag_loaders.loader import SourceFile
from mm_rag_loaders.pdf.page import Block, PageContent, Scan
from mm_rag_loaders.seen_text import read_picture

_WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
_FEWEST_LETTERS = 4  # of a region: less is a logo or a texture


def with_scans_read(page: PageContent, file: SourceFile) -> tuple[PageContent, bool]:
    """The page with what its scans say, and whether anything of it was read by OCR.

    Where OCR is not installed the page is as it was, and the file gets a note.
    """
    if not page.scans:
        return page, False
    readings = [read_picture(scan.picture, file, f"page {page.number}") for scan in page.scans]
    if page.scans[0].box == _WHOLE:
        return _with_page_read(page, page.scans[0], readings[0]), True
    found = [
        (scan, reading)
        for scan, reading in zip(page.scans, readings, strict=True)
        if sum(map(str.isalnum, reading.text)) >= _FEWEST_LETTERS
    ]
    return _with_regions_read(page, found), bool(found)


def _with_page_read(page: PageContent, scan: Scan, reading: Reading) -> PageContent:
    # A stamp or a page number may be all that the text layer of a scan has.
    if len(reading.text) <= len(page.text):
        return page
    block = Block(kind="text", text=reading.text, box=_WHOLE)
    return replace(page, blocks=(block,), words=tuple(_words(scan, reading)))


def _with_regions_read(page: PageContent, found: Sequence[tuple[Scan, Reading]]) -> PageContent:
    blocks, words = list(page.blocks), list(page.words)
    # From the last on, so that the places of the others stay.
    for scan, reading in reversed(found):
        blocks.insert(scan.after, Block(kind="picture", text=reading.text, box=scan.box))
        words += _words(scan, reading)
    return replace(page, blocks=tuple(blocks), words=tuple(words))


def _words(scan: Scan, reading: Reading) -> list[WordBox]:
    x, y = scan.box[:2]
    width, height = scan.box[2] - x, scan.box[3] - y
    return [
        WordBox(
            word.text,
            (
                x + word.box[0] * width,
                y + word.box[1] * height,
                x + word.box[2] * width,
                y + word.box[3] * height,
            ),
        )
        for word in word_boxes(reading, scan.picture.size)
    ]
