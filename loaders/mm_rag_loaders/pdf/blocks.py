"""The lines of a page in reading order, as headings, captions, tables and paragraphs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from mm_rag.boxes import Box, WordBox
from mm_rag.extraction.hyphens import Hyphens
from mm_rag.extraction.layout import Row, TextLine, begins_paragraph, rows, text_of
from mm_rag_loaders.pdf.page import Block, BlockKind, Line, PageImage, PDFWord, RawPage, around
from mm_rag_loaders.pdf.tables import Table

# The dots between "Wages" and "7" in a form or table of contents. A match starts at the first of
# several spaces, otherwise the time would be quadratic in their number.
_LEADERS = re.compile(r"(?<! )(?: *[.\u2026_]){4,}")
_MOST_HEADING_ROWS = 3

_USUAL_BODY = 12.0  # points, while there are too few letters to measure it
_ENOUGH_LETTERS = 300
_LARGER = 1.15  # times the body: a heading
_LEAST_BOLD = 0.95  # times the body: smaller bold text is the head of a table or box
_MOST_LETTERS = 120
_MOST_WORDS = 16
_FEWEST_LETTERS = 3
_MOST_SIZE = 1000.0  # points
_FAR = 2.5  # times the size: wider than the space after "Chapter 1"
_CAPTION = re.compile(
    r"(?:figure|fig\.?|table|tab\.?|tabelle|abbildung|abb\.?|tableau|exhibit|chart|scheme|plate"
    r"|listing|algorithm)\s*(?:[A-Z][.\-]?)?(?:\d+(?:[.\-\u2013]\d+)*|[IVX]+)[a-z]?\s*"
    r"(?P<sign>[.:|\u2013\u2014\-])?(?=\s|$)",
    re.IGNORECASE,
)

_BULLET = re.compile(r"[^\w\s\"'(\[\u2018-\u201f\u00ab\u00a7#$\u00bf\u00a1]\s")


@dataclass(frozen=True)
class PageItem(TextLine):
    """A line, a table, or a picture for OCR, as input of `mm_rag.extraction.layout`.

    Attributes:
        source: The line, table or picture.
    """

    source: Line | Table | PageImage = field(kw_only=True)

    @classmethod
    def of(cls, source: Line | Table | PageImage) -> PageItem:
        """Make an item with the text and box of its source."""
        text = "" if isinstance(source, PageImage) else source.text
        return cls(text, source.box, source=source)


@dataclass
class Arranged:
    """A page in reading order.

    Attributes:
        size: Width and height of the page.
        blocks: Blocks of lines and tables.
        words: All words, once, with boxes in fractions of the page's width and height.
        places: The regions for OCR, each with the number of blocks before it.
    """

    size: tuple[float, float]
    blocks: list[Block] = field(default_factory=list[Block])
    words: list[WordBox] = field(default_factory=list[WordBox])
    places: list[tuple[PageImage, int]] = field(default_factory=list[tuple[PageImage, int]])

    def add_words(self, words: Iterable[PDFWord]) -> None:
        """Add words with boxes in points."""
        width, height = self.size
        self.words += [
            WordBox(text, (x0 / width, y0 / height, x1 / width, y1 / height))
            for text, (x0, y0, x1, y1) in words
        ]


def arrange(
    page: RawPage,
    tables: Sequence[Table],
    regions: Sequence[PageImage],
    fonts: FontUse,
    hyphens: Hyphens,
) -> Arranged:
    """Put lines, tables and regions in reading order.

    Args:
        page: An upright page without the lines of its tables. Lines that are not upright come last.
        tables: In any order.
        regions: Pictures to be read by OCR.
        fonts: Fonts of the document so far.
        hyphens: Words of the document so far.
    """
    upright = [line for line in page.lines if line.direction == (1, 0)]
    builder = _Builder(page.size, fonts, hyphens)
    for row in rows([PageItem.of(source) for source in (*upright, *tables, *regions)]):
        builder.add(row)
    builder.add_margin([line for line in page.lines if line.direction != (1, 0)])
    return builder.found


class _Builder:
    """Collects rows until a block is complete."""

    def __init__(self, size: tuple[float, float], fonts: FontUse, hyphens: Hyphens) -> None:
        self.found = Arranged(size)
        self._size = size
        self._fonts = fonts
        self._hyphens = hyphens
        self._rows: list[Row[PageItem]] = []
        self._kind: BlockKind = "text"
        self._level = 0

    def add(self, row: Row[PageItem]) -> None:
        """Add the next row in reading order."""
        lines = [item for item in row if isinstance(item.source, Line)]
        for item in row:
            if isinstance(item.source, Table):
                self._add_table(item.source)
            elif isinstance(item.source, PageImage):
                self._end_block()
                self.found.places.append((item.source, len(self.found.blocks)))
        if lines:
            self._add_lines(lines)

    def add_margin(self, lines: Sequence[Line]) -> None:
        """Add lines that are not upright as the last block."""
        self._end_block()
        if lines:
            box = self._shares(around([line.box for line in lines]))
            text = "\n".join(line.text for line in lines)
            self.found.blocks.append(Block(kind="text", text=text, box=box))
            self.found.add_words(word for line in lines for word in line.words)

    def _end_block(self) -> None:
        text = _LEADERS.sub("", text_of(self._rows, self._hyphens)) if self._rows else ""
        if text:
            box = self._shares(around([item.box for row in self._rows for item in row]))
            level = self._level if self._kind == "heading" else 0
            self.found.blocks.append(Block(kind=self._kind, text=text, level=level, box=box))
        self._rows = []

    def _add_lines(self, row: Row[PageItem]) -> None:
        lines = [item.source for item in row if isinstance(item.source, Line)]
        level = self._fonts.heading_level(lines)
        if self._ends_before(row, lines, level):
            self._end_block()
        if not self._rows:
            self._kind = "caption" if is_caption(lines) else "heading" if level else "text"
            self._level = level
        self._rows.append(row)
        self.found.add_words(word for line in lines for word in line.words)

    def _ends_before(self, row: Row[PageItem], lines: Sequence[Line], level: int) -> bool:
        if not self._rows:
            return False
        if begins_paragraph(self._rows[-1], row):
            return True
        if self._kind == "heading":
            if self._is_paragraph(lines, level):
                self._kind = "text"
                return False
            return level != self._level
        return self._kind == "text" and (level not in (0, self._level) or is_caption(lines))

    def _is_paragraph(self, lines: Sequence[Line], level: int) -> bool:
        """Whether a supposed heading continues as a paragraph in bold or large letters."""
        if level == 0:
            return self._fonts.stands_out(lines)
        return level == self._level and len(self._rows) >= _MOST_HEADING_ROWS

    def _add_table(self, table: Table) -> None:
        self._end_block()
        box = self._shares(table.box)
        self.found.blocks.append(Block(kind="table", text=table.text, box=box))
        self.found.add_words(table.words)

    def _shares(self, box: Box) -> Box:
        width, height = self._size
        x0, y0, x1, y1 = box[0] / width, box[1] / height, box[2] / width, box[3] / height
        if x0 >= 0 and y0 >= 0 and x1 <= 1 and y1 <= 1:
            return x0, y0, x1, y1
        return max(0.0, x0), max(0.0, y0), min(1.0, x1), min(1.0, y1)


class FontUse:
    """Number of letters of each font size in a document so far."""

    def __init__(self) -> None:
        self._letters: Counter[float] = Counter()
        self._bold = 0
        self._heads: set[float] = set()
        self.body = _USUAL_BODY
        """Font size of most of the text so far, in points."""

    def see(self, lines: Sequence[Line]) -> None:
        """Count the lines of the next page."""
        for line in lines:
            letters = len(line.text)
            self._letters[_rounded(line.size)] += letters
            self._bold += letters * line.bold
        if self._letters:
            size = max(self._letters, key=lambda size: (self._letters[size], -size))
            enough = self._letters.total() >= _ENOUGH_LETTERS
            self.body = size if enough else min(size, _USUAL_BODY)

    def heading_level(self, row: Sequence[Line]) -> int:
        """Heading level of a row: 1 for the largest headings so far, 0 for no heading."""
        if not self.stands_out(row) or _has_columns(row):
            return 0
        if not _is_like_a_title(" ".join(line.text for line in row)):
            return 0
        size = _size(row)
        self._heads.add(size)
        return sum(other > size for other in self._heads) + 1

    def stands_out(self, row: Sequence[Line]) -> bool:
        """Whether a row is larger or bolder than the body text."""
        bold = all(line.bold for line in row) and not self._is_bold_throughout
        return _size(row) >= (_LEAST_BOLD if bold else _LARGER) * self.body

    @property
    def _is_bold_throughout(self) -> bool:
        return self._bold > 0.5 * self._letters.total()


def is_caption(row: Sequence[Line]) -> bool:
    """Whether a row begins like the caption of a figure or table, in English, German or French."""
    text = " ".join(line.text for line in row)
    match = _CAPTION.match(text)
    if match is None:
        return False
    # "Table 2" alone or in bold is a caption; "Table 2 shows that" is not.
    return bool(match["sign"]) or match.end() == len(text) or row[0].bold


def _is_like_a_title(text: str) -> bool:
    if _BULLET.match(text):
        return False
    letters = sum(map(str.isalpha, text))
    if letters < _FEWEST_LETTERS or letters < 0.4 * len(text.replace(" ", "")):
        return False
    if len(text) > _MOST_LETTERS or len(text.split()) > _MOST_WORDS:
        return False
    return not text.endswith((",", ";", ".")) or text.count(" ") < 3


def _has_columns(row: Sequence[Line]) -> bool:
    """Whether words are far apart, like heads of columns. A number may be far apart."""
    return any(
        sum(map(str.isalpha, left.text)) >= _FEWEST_LETTERS
        and max(left.box[0] - right.box[2], right.box[0] - left.box[2]) > _FAR * left.size
        for left, right in pairwise(row)
    )


def _size(row: Sequence[Line]) -> float:
    return min(_rounded(line.size) for line in row)


def _rounded(size: float) -> float:
    # A damaged page may have any font size, even infinity.
    return round(min(_MOST_SIZE, max(0.0, size)) * 2) / 2
