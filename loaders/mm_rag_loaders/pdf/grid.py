"""Rows and columns of words between drawn lines."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TypeAlias

from mm_rag.boxes import Box
from mm_rag_loaders.pdf.raw import Line, Word, around, in_logical_order
from mm_rag_loaders.pdf.rules import RuleGroup, levels, rule_groups

_PIECE_GAP = 0.5  # of the words' height: more of it separates cells
_COLUMN_GAP = 2.0  # points
_SAME_BORDER = 5.0  # points between a line and the shading of a cell
_MOST_CROSSING = 0.15  # of the rows: heads that span columns
_ENOUGH_ROWS = 5  # to let one of them be such a head
_HEAD_ROWS = 5
_MOST_CROWDED = 0.2  # of the cells: more words stand apart in one cell than a table has
_MOST_PROSE_LETTERS = 40

Piece: TypeAlias = list[Word]
Cells: TypeAlias = list[list[list[Word]]]


@dataclass(frozen=True)
class Grid:
    """Words in rows and columns.

    Attributes:
        cells: Row by row, column by column, the words of a cell.
        box: Around the lines and the words, in points.
        is_ruled: Whether lines separate the columns; else gaps do.
        is_crowded: Whether many cells hold words that stand apart.
    """

    cells: Cells
    box: Box
    is_ruled: bool
    is_crowded: bool


def find_grids(lines: Sequence[Line], rules: Sequence[Box]) -> Iterator[Grid]:
    """What may be a table, because of the lines that are drawn."""
    groups = rule_groups(rules) if rules else []
    if not groups:
        return
    words = _Words(w for line in lines if line.direction == (1, 0) for w in line.words)
    for group in groups:
        for part in _parts(group, words):
            inside = words.inside(part.box)
            if inside:
                yield _grid(part, inside)


def _parts(group: RuleGroup, words: _Words) -> Iterator[RuleGroup]:
    """A lattice whole; of a stack of lines, the runs with columns between them."""
    if group.down:
        yield group
        return
    run: list[Box] = []
    for above, below in pairwise(group.across):
        band = (above[0], above[3], above[2], below[1])
        if _has_columns(words.inside(band)):
            run = run or [above]
            run.append(below)
        elif run:
            yield RuleGroup(tuple(run))
            run = []
    if run:
        yield RuleGroup(tuple(run))


def _has_columns(words: Sequence[Word]) -> bool:
    text_rows = _text_rows(words)
    if not text_rows:
        return False
    pieces = [_pieces(row, ()) for row in text_rows]
    letters = [sum(len(word.text) for word in piece) for row in pieces for piece in row]
    return median(map(len, pieces)) >= 2 and median(letters) <= _MOST_PROSE_LETTERS


def _grid(group: RuleGroup, words: Sequence[Word]) -> Grid:
    box = around([group.box, *(word.box for word in words)])
    text_rows = [_pieces(row, group.down) for row in _text_rows(words)]
    inner = [x for x in levels(rule[0] for rule in group.down) if box[0] + 4 < x < box[2] - 4]
    columns = [*inner, box[2]] if inner else [*_gaps(text_rows), box[2]]
    bands = _bands(group, text_rows, box)
    rows: Cells = []
    for top, band in bands:
        is_head = not rows and len(bands) > 1
        added = _rows_of_band(band, columns, is_ruled=bool(inner), is_head=is_head)
        if rows and inner:
            _move_up(rows[-1], added[0], _open_columns(group.across, top, [box[0], *columns]))
        rows += added
    return Grid(rows, box, is_ruled=bool(inner), is_crowded=_is_crowded(text_rows, columns))


def _is_crowded(text_rows: Sequence[Sequence[Piece]], columns: Sequence[float]) -> bool:
    """Whether pieces that stand apart share cells: the lines are not those of the columns."""
    pieces = sum(map(len, text_rows))
    cells = sum(sum(map(bool, _row(row, columns))) for row in text_rows)
    return pieces - cells > _MOST_CROWDED * cells


def _bands(
    group: RuleGroup, text_rows: Sequence[list[Piece]], box: Box
) -> list[tuple[float, list[list[Piece]]]]:
    """Rows of text between lines that go over most of the width, with the y of the upper line."""
    wide: dict[float, float] = {}
    for rule in group.across:
        y = next((y for y in wide if abs(y - rule[1]) <= 2), rule[1])
        wide[y] = wide.get(y, 0.0) + rule[2] - rule[0]
    wide_ones = (y for y, width in wide.items() if width > 0.5 * (box[2] - box[0]))
    borders = levels(wide_ones, apart=_SAME_BORDER)
    found: dict[int, list[list[Piece]]] = {}
    for row in text_rows:
        middle = median((word.box[1] + word.box[3]) / 2 for piece in row for word in piece)
        found.setdefault(sum(y < middle for y in borders), []).append(row)
    return [(borders[at - 1] if at else box[1], found[at]) for at in sorted(found)]


def _rows_of_band(
    band: list[list[Piece]], columns: Sequence[float], *, is_ruled: bool, is_head: bool
) -> Cells:
    rows = [_row(pieces, columns) for pieces in band]
    if _is_regular(rows):
        return rows
    if is_ruled or (is_head and len(rows) <= _HEAD_ROWS):
        return [_merged(rows)]
    return _with_continuations(rows)


def _open_columns(across: Sequence[Box], y: float, edges: Sequence[float]) -> list[int]:
    """Columns that no line at a height closes: their cells reach over it."""
    near = [rule for rule in across if abs(rule[1] - y) <= _SAME_BORDER]
    return [
        at
        for at, (left, right) in enumerate(pairwise(edges))
        if not any(rule[0] <= (left + right) / 2 <= rule[2] for rule in near)
    ]


def _move_up(above: list[list[Word]], below: list[list[Word]], columns: Sequence[int]) -> None:
    for at in columns:
        above[at] += below[at]
        below[at] = []


def _is_regular(rows: Cells) -> bool:
    """Whether each row of text looks like a row of the table, not like a line in its cells."""
    columns = len(rows[0])
    if len(rows) < 2 or min(sum(map(bool, row)) for row in rows) < 0.7 * columns:
        return False
    others = [cell for row in rows for cell in row[1:] if cell]
    return columns > 3 or sum(map(_is_figure, others)) > 0.5 * len(others)


def _is_figure(cell: Sequence[Word]) -> bool:
    text = "".join(word.text for word in cell)
    return sum(map(str.isdigit, text)) >= 0.4 * len(text)


def _with_continuations(rows: Cells) -> Cells:
    """Rows without a first cell and with few others go on in the row above."""
    found: Cells = []
    for row in rows:
        filled = [at for at, cell in enumerate(row) if cell]
        if found and 0 not in filled and len(filled) == 1 and found[-1][filled[0]]:
            found[-1] = _merged([found[-1], row])
        else:
            found.append(row)
    return found


def _merged(rows: Cells) -> list[list[Word]]:
    return [[word for cell in column for word in cell] for column in zip(*rows, strict=True)]


def _row(pieces: Sequence[Piece], columns: Sequence[float]) -> list[list[Word]]:
    cells: list[list[Word]] = [[] for _ in columns]
    for piece in pieces:
        box = around([word.box for word in piece])
        crossed = [x for x in columns[:-1] if box[0] + 2 < x < box[2] - 2]
        # What spans several columns stands in the first of them.
        anchor = box[0] if crossed else (box[0] + box[2]) / 2
        cells[min(sum(x <= anchor for x in columns[:-1]), len(columns) - 1)] += piece
    return cells


def _gaps(text_rows: Sequence[Sequence[Piece]]) -> list[float]:
    """Where, in x, (nearly) no row has words: the borders of columns."""
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


def _text_rows(words: Sequence[Word]) -> list[list[Word]]:
    found: list[list[Word]] = []
    bottom = 0.0
    for word in sorted(words, key=lambda word: word.box[1] + word.box[3]):
        middle = (word.box[1] + word.box[3]) / 2
        if found and middle < bottom:
            found[-1].append(word)
        else:
            found.append([word])
            # The lower third of a line may hold the middle of an index, not of the next line.
            bottom = word.box[1] + 0.85 * (word.box[3] - word.box[1])
    return found


def _pieces(row: Sequence[Word], down: Sequence[Box]) -> list[Piece]:
    """Words that stand together, with no line between them, each in logical order."""
    found: list[Piece] = []
    for word in sorted(row, key=lambda word: word.box[0]):
        if found and not _is_apart(found[-1][-1], word, down):
            found[-1].append(word)
        else:
            found.append([word])
    return [_logical(piece) for piece in found]


def _is_apart(left: Word, right: Word, down: Sequence[Box]) -> bool:
    if right.box[0] - left.box[2] > _PIECE_GAP * (left.box[3] - left.box[1]):
        return True
    middle = (left.box[1] + left.box[3]) / 2
    return any(
        left.box[2] - 2 <= rule[0] <= right.box[0] + 2 and rule[1] <= middle <= rule[3]
        for rule in down
    )


def _logical(piece: Piece) -> Piece:
    return piece if all(word.text.isascii() for word in piece) else in_logical_order(piece)


class _Words:
    """The words of a page from the top down, to find those in a box without asking each."""

    def __init__(self, words: Iterable[Word]) -> None:
        self._words = sorted(words, key=_middle)
        self._middles = list(map(_middle, self._words))

    def inside(self, box: Box) -> list[Word]:
        """Those whose middle lies in a box."""
        left, top, right, bottom = box
        first = bisect_left(self._middles, top)
        last = bisect_right(self._middles, bottom)
        return [
            word
            for word in self._words[first:last]
            if left - 2 <= (word.box[0] + word.box[2]) / 2 <= right + 2
        ]


def _middle(word: Word) -> float:
    return (word.box[1] + word.box[3]) / 2
