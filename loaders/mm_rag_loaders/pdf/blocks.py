"""Lines, tables and unread regions of an upright page, in reading order and as blocks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mm_rag.boxes import Box, WordBox
from mm_rag.extraction.layout import Row, TextLine, begins_paragraph, rows, text_of
from mm_rag_loaders.pdf.headings import FontUse, is_caption
from mm_rag_loaders.pdf.page import Block, BlockKind
from mm_rag_loaders.pdf.raw import Line, Picture, RawPage, Word, around
from mm_rag_loaders.pdf.tables import Table

# The dots between "Wages" and "7" of a form or a table of contents. They are looked for from the
# first of several spaces only, or the time would grow with the square of their number.
_LEADERS = re.compile(r"(?<! )(?: *[.\u2026_]){4,}")
_MOST_HEADING_ROWS = 3


@dataclass(frozen=True)
class Item(TextLine):
    """What has a place on the page: a line, a table, or a picture that is read later.

    Attributes:
        source: What it is.
    """

    source: Line | Table | Picture = field(kw_only=True)

    @classmethod
    def of(cls, source: Line | Table | Picture) -> Item:
        """With the text and the box of its source, the way `mm_rag.extraction.layout` wants it."""
        text = "" if isinstance(source, Picture) else source.text
        return cls(text, source.box, source=source)


@dataclass
class Arranged:
    """A page in reading order.

    Attributes:
        blocks: What is made of its lines and tables.
        words: All words, once, with boxes as shares of the page.
        places: The regions, each with how many blocks come before it.
    """

    blocks: list[Block] = field(default_factory=list[Block])
    words: list[WordBox] = field(default_factory=list[WordBox])
    places: list[tuple[Picture, int]] = field(default_factory=list[tuple[Picture, int]])


def arrange(
    page: RawPage, tables: Sequence[Table], regions: Sequence[Picture], fonts: FontUse
) -> Arranged:
    """Blocks, words and the places of regions.

    Args:
        page: Upright, without the lines of the tables. Lines that are not upright come last.
        tables: In any order.
        regions: What is to be read by OCR.
        fonts: What is known of the document's fonts.
    """
    upright = [line for line in page.lines if line.direction == (1, 0)]
    builder = _Builder(page.size, fonts)
    for row in rows([Item.of(source) for source in (*upright, *tables, *regions)]):
        builder.add(row)
    builder.add_margin([line for line in page.lines if line.direction != (1, 0)])
    return builder.found


class _Builder:
    """Rows that belong together, one after the other, until a block is complete."""

    def __init__(self, size: tuple[float, float], fonts: FontUse) -> None:
        self.found = Arranged()
        self._size = size
        self._fonts = fonts
        self._rows: list[Row[Item]] = []
        self._kind: BlockKind = "text"
        self._level = 0

    def add(self, row: Row[Item]) -> None:
        """Add the next row in reading order."""
        lines = [item for item in row if isinstance(item.source, Line)]
        for item in row:
            if isinstance(item.source, Table):
                self._add_table(item.source)
            elif isinstance(item.source, Picture):
                self._end_block()
                self.found.places.append((item.source, len(self.found.blocks)))
        if lines:
            self._add_lines(lines)

    def add_margin(self, lines: Sequence[Line]) -> None:
        """Add what is not upright as a last block."""
        self._end_block()
        if lines:
            box = self._shares(around([line.box for line in lines]))
            text = "\n".join(line.text for line in lines)
            self.found.blocks.append(Block(kind="text", text=text, box=box))
            self._add_words(word for line in lines for word in line.words)

    def _end_block(self) -> None:
        text = _LEADERS.sub("", text_of(self._rows)) if self._rows else ""
        if text:
            box = self._shares(around([item.box for row in self._rows for item in row]))
            level = self._level if self._kind == "heading" else 0
            self.found.blocks.append(Block(kind=self._kind, text=text, level=level, box=box))
        self._rows = []

    def _add_lines(self, row: Row[Item]) -> None:
        lines = [item.source for item in row if isinstance(item.source, Line)]
        level = self._fonts.heading_level(lines)
        if self._ends_before(row, lines, level):
            self._end_block()
        if not self._rows:
            self._kind = "caption" if is_caption(lines) else "heading" if level else "text"
            self._level = level
        self._rows.append(row)
        self._add_words(word for line in lines for word in line.words)

    def _ends_before(self, row: Row[Item], lines: Sequence[Line], level: int) -> bool:
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
        """Whether what seemed to be a heading goes on as a paragraph in bold or large letters."""
        if level == 0:
            return self._fonts.stands_out(lines)
        return level == self._level and len(self._rows) >= _MOST_HEADING_ROWS

    def _add_table(self, table: Table) -> None:
        self._end_block()
        box = self._shares(table.box)
        self.found.blocks.append(Block(kind="table", text=table.text, box=box))
        self._add_words(table.words)

    def _add_words(self, words: Iterable[Word]) -> None:
        width, height = self._size
        self.found.words += [
            WordBox(text, (x0 / width, y0 / height, x1 / width, y1 / height))
            for text, (x0, y0, x1, y1) in words
        ]

    def _shares(self, box: Box) -> Box:
        width, height = self._size
        x0, y0, x1, y1 = box[0] / width, box[1] / height, box[2] / width, box[3] / height
        if x0 >= 0 and y0 >= 0 and x1 <= 1 and y1 <= 1:
            return x0, y0, x1, y1
        return max(0.0, x0), max(0.0, y0), min(1.0, x1), min(1.0, y1)
