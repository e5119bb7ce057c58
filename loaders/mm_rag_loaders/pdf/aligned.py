"""Tables without lines between their columns: rows of words that stand below each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median

from mm_rag_loaders.pdf.grids import (
    Cells,
    Grid,
    Piece,
    cells_of,
    gaps,
    has_room,
    is_crowded,
    is_figure,
    pieces,
    rows_of,
    text_rows,
    widths_of,
)
from mm_rag_loaders.pdf.page import Line, PDFWord, around

_GAP = 0.75  # of the height of words: more of it separates columns
_FEWEST_ROWS = 3
_FEWEST_COLUMNS = 3
_FEWEST_TEXT_ROWS = 4  # of a table without numbers
_FARTHEST = 2.1  # times the usual font size: space between rows of a table
_MOST_SINGLE = 3  # lines of a cell of several lines
_MOST_LETTERS = 40  # of a cell on average
_MOST_MEAN = 25  # the same without numbers in the table
_LEAST_FILLED = 0.5
_MOST_FITTING = 0.4
_LEADERS = ("....", "\u2026", "____", ". . .")


def aligned_grids(lines: Sequence[Line]) -> Iterator[Grid]:
    """Candidates for tables among lines that run from left to right."""
    upright = [line for line in lines if line.direction == (1, 0)]
    if len(upright) < _FEWEST_ROWS:
        return
    rows = [pieces(row, gap=_GAP) for row in text_rows([w for line in upright for w in line.words])]
    for run in _runs(rows, farthest=_FARTHEST * median(line.size for line in upright)):
        grid = _grid(run)
        if grid is not None:
            yield grid


def _runs(rows: Sequence[Sequence[Piece]], farthest: float) -> Iterator[list[Sequence[Piece]]]:
    """Runs of rows with several pieces; a few rows of one piece may be between them."""
    run: list[Sequence[Piece]] = []
    for row in rows:
        if run and (_distance(run[-1], row) > farthest or _singles(run) == _MOST_SINGLE + 1):
            yield from _whole(run)
            run = []
        if run or len(row) > 1:
            run.append(row)
    yield from _whole(run)


def _whole(run: list[Sequence[Piece]]) -> Iterator[list[Sequence[Piece]]]:
    if sum(len(row) >= _FEWEST_COLUMNS for row in run) >= _FEWEST_ROWS - 1:
        yield run


def _singles(run: Sequence[Sequence[Piece]]) -> int:
    """Number of rows of one piece at the end."""
    return next((at for at, row in enumerate(reversed(run)) if len(row) > 1), len(run))


def _distance(above: Sequence[Piece], below: Sequence[Piece]) -> float:
    bottom = max(word.box[3] for piece in above for word in piece)
    return min(word.box[1] for piece in below for word in piece) - bottom


def _grid(run: list[Sequence[Piece]]) -> Grid | None:
    """The table of a run, without other text at its ends; None if it has no columns."""
    kept = _without_text(run)
    if len(kept) < _FEWEST_ROWS:
        return None
    box = around([word.box for row in kept for piece in row for word in piece])
    columns = [*gaps(kept), box[2]]
    if len(columns) < _FEWEST_COLUMNS or _has_leaders(kept):
        return None
    cells = [cells_of(row, columns) for row in kept]
    if not _is_table(cells) or is_crowded(kept, columns):
        return None
    rows = rows_of(kept, columns, is_one_row=False)
    if len(rows) < _FEWEST_ROWS:
        return None
    return Grid(rows, box, is_ruled=False, is_crowded=False, has_head=_has_head(rows))


def _without_text(run: list[Sequence[Piece]]) -> list[Sequence[Piece]]:
    """Drop rows at both ends that no column has; the last may end a cell of several lines."""
    first = next((at for at, row in enumerate(run) if len(row) >= _FEWEST_COLUMNS), len(run))
    last = len(run) - next(
        (at for at, row in enumerate(reversed(run)) if len(row) >= _FEWEST_COLUMNS), 0
    )
    kept = run[first:last]
    if not kept:
        return []
    # Rows of two pieces above and below belong to it if they keep to its columns.
    columns = gaps(kept)
    while first and len(run[first - 1]) > 1 and _keeps_to(run[first - 1], columns):
        first -= 1
    while last < len(run) and _goes_on(run[last - 1], run[last], columns):
        last += 1
    return run[first:last]


def _keeps_to(row: Sequence[Piece], columns: Sequence[float]) -> bool:
    """Whether no piece crosses a border of columns."""
    boxes = [around([word.box for word in piece]) for piece in row]
    return not any(box[0] < x < box[2] for box in boxes for x in columns)


def _goes_on(above: Sequence[Piece], below: Sequence[Piece], columns: Sequence[float]) -> bool:
    if not _keeps_to(below, columns):
        return False
    if len(below) > 1:
        return True
    height = below[0][0].box[3] - below[0][0].box[1]
    is_first = bool(columns) and below[0][0].box[0] < columns[0]
    return _distance(above, below) < 0.4 * height and not is_first


def _has_leaders(run: Sequence[Sequence[Piece]]) -> bool:
    texts = ["".join(word.text for piece in row for word in piece) for row in run]
    return sum(any(dots in text for dots in _LEADERS) for text in texts) > 0.3 * len(texts)


def _is_table(cells: Cells) -> bool:
    columns = list(zip(*cells, strict=True))
    widths = widths_of(cells)
    kinds = [_kind(column, width) for column, width in zip(columns, widths, strict=True)]
    if "prose" in kinds and "figures" not in kinds:
        return False
    filled = [sum(map(bool, row)) for row in cells]
    if sum(filled) < _LEAST_FILLED * len(columns) * len(cells) and median(filled) < 2:
        return False
    letters = [sum(len(word.text) + 1 for word in cell) for row in cells for cell in row if cell]
    if sum(letters) > _MOST_LETTERS * len(letters):
        return False
    if "figures" in kinds:
        return True
    return (
        len(cells) >= _FEWEST_TEXT_ROWS
        and kinds.count("list") >= 2
        and sum(letters) <= _MOST_MEAN * len(letters)
    )


def _kind(column: Sequence[Sequence[PDFWord]], width: float) -> str:
    """Figures, a list of other entries, prose, or few of any."""
    filled = [cell for cell in column if cell]
    if len(filled) >= 2 and sum(map(is_figure, filled)) > 0.6 * len(filled):
        return "figures"
    pairs = [(a, b) for a, b in pairwise(column) if a and b]
    if len(pairs) < 2:
        return "few"
    roomy = sum(has_room(above, below[0], width) for above, below in pairs)
    if roomy > _MOST_FITTING * len(pairs):
        return "list"
    words = sum(map(len, filled)) / len(filled)
    return "prose" if words >= 3 else "few"


def _has_head(rows: Cells) -> bool:
    """Whether the first row names columns: it has no numbers where the others have some."""
    for column in zip(*rows, strict=True):
        rest = [cell for cell in column[1:] if cell]
        if rest and sum(map(is_figure, rest)) > 0.6 * len(rest) and column[0]:
            return not is_figure(column[0])
    return False
