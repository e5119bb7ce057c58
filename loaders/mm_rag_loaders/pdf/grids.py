"""The words of a table in rows and columns."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TypeAlias

from mm_rag.boxes import Box
from mm_rag_loaders.pdf.page import PDFWord, around, in_logical_order

_PIECE_GAP = 0.5  # of the words' height: more of it separates cells
_COLUMN_GAP = 2.0  # points
_MOST_CROSSING = 0.15  # of the rows: heads that span columns
_ENOUGH_ROWS = 5  # to let one of them be such a head
_MOST_CROWDED = 0.2  # of the cells: more words stand apart in one cell than a table has
_WIDER = 1.25  # times the smallest distance of lines: the next row of a table
_ROOM = 2.0  # points that are left beside a word that would have fitted

Piece: TypeAlias = list[PDFWord]
Cells: TypeAlias = list[list[list[PDFWord]]]


@dataclass(frozen=True)
class Grid:
    """Words in rows and columns.

    Attributes:
        cells: Words of the cells by row and column.
        box: The box around lines and words, in points.
        is_ruled: Whether the columns are separated by lines; otherwise by gaps.
        is_crowded: Whether many cells contain words that are far apart.
        has_head: Whether its first row names the columns.
    """

    cells: Cells
    box: Box
    is_ruled: bool
    is_crowded: bool
    has_head: bool = True


def rows_of(
    text_rows: Sequence[Sequence[Piece]], columns: Sequence[float], *, is_one_row: bool
) -> Cells:
    """The rows of a table in lines of text that no drawn line separates.

    Args:
        text_rows: The pieces of each line, from the top down.
        columns: The right edge of each column.
        is_one_row: Whether it is one row, unless most lines look like rows of their own.
    """
    rows = [cells_of(pieces, columns) for pieces in text_rows]
    if len(rows) < 2:
        return rows
    kinds = _Columns.of(rows)
    begins = _begins(rows, kinds)
    if is_one_row and not _are_rows(rows, kinds):
        return [_merged(rows)]
    found: Cells = []
    for row, is_new in zip(rows, [True, *begins], strict=True):
        if is_new:
            found.append(row)
        else:
            found[-1] = _merged([found[-1], row])
    return found


@dataclass(frozen=True)
class _Columns:
    """Facts about the columns.

    Attributes:
        widths: Width of the text in each.
        figures: Whether most of the cells are numbers.
    """

    widths: list[float]
    figures: list[bool]

    @classmethod
    def of(cls, rows: Cells) -> _Columns:
        filled = [[cell for cell in column if cell] for column in zip(*rows, strict=True)]
        figures = [sum(map(is_figure, cells)) > 0.6 * len(cells) for cells in filled]
        return cls(widths_of(rows), figures)


def _are_rows(rows: Cells, kinds: _Columns) -> bool:
    """Whether lines of text look like rows of a table, and not like lines within cells."""
    columns = len(rows[0])
    filled = [sum(map(bool, row)) for row in rows]
    if min(filled) >= 0.7 * columns:
        others = [cell for row in rows for cell in row[1:] if cell]
        if columns > 3 or sum(map(is_figure, others)) > 0.5 * len(others):
            return True
    if len(rows) < 3:
        return False
    apart = [_is_apart_from(above, below, kinds) for above, below in pairwise(rows)]
    return sum(apart) >= 0.6 * len(apart) and median(filled) >= max(2, 0.5 * columns)


def _begins(rows: Cells, kinds: _Columns) -> list[bool]:
    """For each line but the first, whether it begins a row of the table."""
    steps = [_bottom(below) - _bottom(above) for above, below in pairwise(rows)]
    least = min(steps)
    found: list[bool] = []
    said = {at for at, cell in enumerate(rows[0]) if cell}  # columns that the current row fills
    for (above, below), step in zip(pairwise(rows), steps, strict=True):
        filled = {at for at, cell in enumerate(below) if cell}
        is_new = (
            step > _WIDER * least + 1
            # The lines of a cell follow each other.
            or any(at in said and not above[at] for at in filled)
            or _is_apart_from(above, below, kinds)
            or len(filled - said) >= max(2, 0.5 * len(below))
            or (filled == {0} and not _is_cut(above[0], kinds.widths[0]))
        )
        said = filled if is_new else said | filled
        found.append(is_new)
    return found


def _is_cut(cell: Sequence[PDFWord], width: float) -> bool:
    """Whether the name of a row seems to go on in the next line."""
    if len(cell) < 2:
        return False
    box = around([word.box for word in cell])
    return box[2] - box[0] > 0.7 * width


def _is_apart_from(
    above: Sequence[Sequence[PDFWord]],
    below: Sequence[Sequence[PDFWord]],
    kinds: _Columns,
) -> bool:
    """Whether the lower line cannot be the second line of the same cells.

    Numbers have one line, and the first word of a second line would not have fitted above.
    """
    both = [at for at, cell in enumerate(below) if cell and above[at]]
    if any(is_figure(below[at]) and (kinds.figures[at] or is_figure(above[at])) for at in both):
        return True
    if not any(has_room(above[at], below[at][0], kinds.widths[at]) for at in both):
        return False
    filled = sum(map(bool, below))
    return filled >= 0.5 * len(below) or (bool(below[0]) and bool(above[0]))


def has_room(above: Sequence[PDFWord], word: PDFWord, width: float) -> bool:
    """Whether a word would have fitted into a column after a cell's text."""
    box = around([one.box for one in above])
    space = 0.25 * (word.box[3] - word.box[1])
    return box[2] - box[0] + space + word.box[2] - word.box[0] < width - _ROOM


def widths_of(rows: Cells) -> list[float]:
    """The width of the text in each column; heads over several columns do not count."""
    found: list[float] = []
    for column in zip(*rows, strict=True):
        boxes = [around([word.box for word in cell]) for cell in column if cell]
        found.append(max((box[2] - box[0] for box in boxes), default=0.0))
    return found


def _bottom(row: Sequence[Sequence[PDFWord]]) -> float:
    return median(word.box[3] for cell in row for word in cell)


def is_figure(cell: Sequence[PDFWord]) -> bool:
    """Whether a cell is a number, a date or an amount."""
    text = "".join(word.text for word in cell)
    return sum(map(str.isdigit, text)) >= 0.4 * len(text)


def _merged(rows: Cells) -> list[list[PDFWord]]:
    return [[word for cell in column for word in cell] for column in zip(*rows, strict=True)]


def cells_of(pieces: Sequence[Piece], columns: Sequence[float]) -> list[list[PDFWord]]:
    """The words of a line by column."""
    cells: list[list[PDFWord]] = [[] for _ in columns]
    for piece in pieces:
        box = around([word.box for word in piece])
        crossed = [x for x in columns[:-1] if box[0] + 2 < x < box[2] - 2]
        # A piece that spans several columns belongs to the first of them.
        anchor = box[0] if crossed else (box[0] + box[2]) / 2
        cells[min(sum(x <= anchor for x in columns[:-1]), len(columns) - 1)] += piece
    return cells


def gaps(text_rows: Sequence[Sequence[Piece]]) -> list[float]:
    """The x of column borders: gaps in which (nearly) no row has words."""
    edges: list[tuple[float, int]] = []
    for row in text_rows:
        for piece in row:
            box = around([word.box for word in piece])
            edges += [(box[0], 1), (box[2], -1)]
    most = max(int(_MOST_CROSSING * len(text_rows)), int(len(text_rows) >= _ENOUGH_ROWS))
    found: list[float] = []
    covered, start = 0, None
    for x, step in sorted(edges):
        if start is not None and covered <= most < covered + step and x - start >= _COLUMN_GAP:
            found.append((start + x) / 2)
        covered += step
        if step < 0 and covered == most:
            start = x
    return found


def is_crowded(text_rows: Sequence[Sequence[Piece]], columns: Sequence[float]) -> bool:
    """Whether pieces that are far apart share cells, so that the lines are not those of columns."""
    pieces = sum(map(len, text_rows))
    cells = sum(sum(map(bool, cells_of(row, columns))) for row in text_rows)
    return pieces - cells > _MOST_CROWDED * cells


def text_rows(words: Sequence[PDFWord]) -> list[list[PDFWord]]:
    """Words that stand side by side, from the top down."""
    found: list[list[PDFWord]] = []
    bottom = 0.0
    for word in sorted(words, key=lambda word: word.box[1] + word.box[3]):
        middle = (word.box[1] + word.box[3]) / 2
        if found and middle < bottom:
            found[-1].append(word)
        else:
            found.append([word])
            # The lower third of a line may contain the middle of a subscript, not of the next line.
            bottom = word.box[1] + 0.85 * (word.box[3] - word.box[1])
    return found


def pieces(
    row: Sequence[PDFWord], down: Sequence[Box] = (), gap: float = _PIECE_GAP
) -> list[Piece]:
    """Groups of adjacent words without a line between them, each in logical order.

    Args:
        row: Words side by side.
        down: Vertical lines.
        gap: Space between pieces, as a multiple of the height of words.
    """
    found: list[Piece] = []
    for word in sorted(row, key=lambda word: word.box[0]):
        if found and not _is_apart(found[-1][-1], word, down, gap):
            found[-1].append(word)
        else:
            found.append([word])
    return [_logical(piece) for piece in found]


def _is_apart(left: PDFWord, right: PDFWord, down: Sequence[Box], gap: float) -> bool:
    if right.box[0] - left.box[2] > gap * (left.box[3] - left.box[1]):
        return True
    middle = (left.box[1] + left.box[3]) / 2
    return any(
        left.box[2] - 2 <= rule[0] <= right.box[0] + 2 and rule[1] <= middle <= rule[3]
        for rule in down
    )


def _logical(piece: Piece) -> Piece:
    return piece if all(word.text.isascii() for word in piece) else in_logical_order(piece)


class Words:
    """The words of a page, sorted by height to find those in a box quickly."""

    def __init__(self, words: Iterable[PDFWord]) -> None:
        self._words = sorted(words, key=_middle)
        self._middles = list(map(_middle, self._words))

    def inside(self, box: Box) -> list[PDFWord]:
        """The words whose middle lies in a box."""
        left, top, right, bottom = box
        first = bisect_left(self._middles, top)
        last = bisect_right(self._middles, bottom)
        return [
            word
            for word in self._words[first:last]
            if left - 2 <= (word.box[0] + word.box[2]) / 2 <= right + 2
        ]


def _middle(word: PDFWord) -> float:
    return (word.box[1] + word.box[3]) / 2
