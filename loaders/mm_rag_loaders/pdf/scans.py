"""Pages and pictures whose words are not in the text layer, read by OCR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mm_rag.boxes import Box, WordBox
from mm_rag.extraction.ocr import OCRResult, word_boxes
from mm_rag_loaders.loader import SourceFile, read_picture
from mm_rag_loaders.pdf.gibberish import is_gibberish
from mm_rag_loaders.pdf.page import Block, PageContent, Scan
from mm_rag_loaders.pdf.page_content import MOST_GIBBERISH

_WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
_FEWEST_LETTERS = 4  # of a region: less is a logo or a texture
_FEWEST_READ = 20  # letters read by OCR that replace a text layer
_MOST_BY_CHANCE = 0.2  # share of words that agree although the letters are wrong


def with_scans_read(page: PageContent, file: SourceFile) -> tuple[PageContent, bool]:
    """The page with the text of its scans, and whether OCR was used.

    If the OCR engine is not installed, the page stays the same and the file gets a note.
    """
    if not page.scans:
        return page, False
    readings = [read_picture(scan.picture, file, f"page {page.number}") for scan in page.scans]
    if page.gibberish > MOST_GIBBERISH:
        return _with_text_replaced(page, page.scans[0], readings[0], file)
    if page.scans[0].box == _WHOLE:
        return _with_page_read(page, page.scans[0], readings[0]), True
    found = [
        (scan, reading)
        for scan, reading in zip(page.scans, readings, strict=True)
        if sum(map(str.isalnum, reading.text)) >= _FEWEST_LETTERS
    ]
    return _with_regions_read(page, found), bool(found)


def _with_page_read(page: PageContent, scan: Scan, reading: OCRResult) -> PageContent:
    # The text layer of a scan may consist of a stamp or a page number.
    if len(reading.text) <= len(page.text):
        return page
    block = Block(kind="text", text=reading.text, box=_WHOLE)
    return replace(page, blocks=(block,), words=tuple(_words(scan, reading)))


def _with_text_replaced(
    page: PageContent, scan: Scan, reading: OCRResult, file: SourceFile
) -> tuple[PageContent, bool]:
    """The page with what OCR reads instead of its text layer, unless both agree."""
    if _agree(page.text, reading.text):
        return page, False  # codes, formulas, or a language that is written in an unusual way
    lies = f"the letters in the text layer of page {page.number} are not those that are printed"
    is_better = _letters(reading.text) >= _FEWEST_READ and not is_gibberish(reading.text)
    if not is_better:
        file.note("ocr", f"{lies}, and OCR could not read the page: do not rely on its words")
        return page, False
    file.note("ocr", f"{lies}; the page was read by OCR instead")
    block = Block(kind="text", text=reading.text, box=_WHOLE)
    return replace(page, blocks=(block,), words=tuple(_words(scan, reading))), True


def _agree(layer: str, read: str) -> bool:
    """Whether many words of the text layer were read by OCR, too."""
    words = {word for word in layer.casefold().split() if _letters(word) >= _FEWEST_LETTERS}
    found = words & set(read.casefold().split())
    return len(found) > _MOST_BY_CHANCE * len(words)


def _letters(text: str) -> int:
    return sum(map(str.isalnum, text))


def _with_regions_read(page: PageContent, found: Sequence[tuple[Scan, OCRResult]]) -> PageContent:
    blocks, words = list(page.blocks), list(page.words)
    # Backwards, so that insertions do not shift earlier positions.
    for scan, reading in reversed(found):
        blocks.insert(scan.after, Block(kind="picture", text=reading.text, box=scan.box))
        words += _words(scan, reading)
    return replace(page, blocks=tuple(blocks), words=tuple(words))


def _words(scan: Scan, reading: OCRResult) -> list[WordBox]:
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
