"""Text that is written from top to bottom, in columns from right to left: Japanese and Chinese."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from mm_rag.boxes import WordBox
from mm_rag.words import HAN_AND_KANA
from mm_rag_loaders.pdf.blocks import Arranged
from mm_rag_loaders.pdf.page import Line, PDFWord, RawPage, around, turn

_MOST_GAP = 0.8  # of the font size, between two letters of a column
_MOST_SHIFT = 0.35  # of the font size, from the middle of one letter to that of the next
_LONGEST = 4  # letters of a number that stands across a column
_SHORTEST_COLUMN = 4  # letters
_MOST_OF_PAGE = 0.6  # share of the page's letters in columns
_FEWEST_LETTERS = 20
# The turn that makes rows of the columns, from right to left.
COLUMNS_TO_ROWS, ROWS_TO_COLUMNS = 270, 90

_HAN_OR_KANA = re.compile(f"[{HAN_AND_KANA}]")


def in_columns(page: RawPage) -> RawPage | None:
    """The page with a line for each column, if most of it is written from top to bottom.

    Libraries give every letter of a column as a line of its own.
    """
    letters = sum(len(line.text) for line in page.lines)
    if letters < _FEWEST_LETTERS or not any(map(_is_part, page.lines)):
        return None
    columns = list(_columns(page.lines))
    inside = sum(len(line.text) for line in columns if line.direction == (0, 1))
    return replace(page, lines=tuple(columns)) if inside > _MOST_OF_PAGE * letters else None


def _columns(lines: Sequence[Line]) -> Iterator[Line]:
    column: list[Line] = []
    for line in lines:
        if column and not (_is_part(line) and _goes_on(column[-1], line)):
            yield from _joined(column)
            column = []
        if _is_part(line):
            column.append(line)
        else:
            yield line
    yield from _joined(column)


def _is_part(line: Line) -> bool:
    if line.direction == (0, 1):
        return True
    return line.direction == (1, 0) and len(line.text) <= _LONGEST and len(line.words) == 1


def _goes_on(above: Line, below: Line) -> bool:
    a, b, size = above.box, below.box, max(above.size, below.size)
    shift = abs((a[0] + a[2]) - (b[0] + b[2])) / 2
    return shift <= _MOST_SHIFT * size and -0.5 * size <= b[1] - a[3] <= _MOST_GAP * size


def _joined(column: Sequence[Line]) -> Iterator[Line]:
    """The letters of a column as one line, if it is long enough and in a script without spaces."""
    text = "".join(word.text for line in column for word in line.words)
    if len(text) < _SHORTEST_COLUMN or not _HAN_OR_KANA.search(text):
        yield from column
        return
    box = around([line.box for line in column])
    yield replace(column[0], words=(PDFWord(text, box),), direction=(0, 1))


def turned_back(found: Arranged) -> Arranged:
    """Blocks and words that were arranged on the turned page, at their places on the page."""
    unit = (1.0, 1.0)
    return Arranged(
        size=(found.size[1], found.size[0]),
        blocks=[
            replace(block, box=turn(block.box, unit, ROWS_TO_COLUMNS)) for block in found.blocks
        ],
        words=[WordBox(word.text, turn(word.box, unit, ROWS_TO_COLUMNS)) for word in found.words],
        places=[],
    )
