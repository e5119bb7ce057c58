"""Tables: found by their drawn lines, and written as Markdown."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import TypeAlias

from mm_rag.boxes import Box
from mm_rag_loaders.pdf.page import Line, PDFWord, RawPage, area, around, in_logical_order

_MOST_MEDIAN_LETTERS = 60
_MOST_LETTERS = 600
# Columns separated only by gaps may be columns of prose.
_MOST_UNRULED_LETTERS = 30
_LEAST_FILLED = 0.5
_FEWEST_ROWS = 2
_FEWEST_COLUMNS = 2
_MARKER = re.compile(r"[^\w\s$%]|[(\[]?\w{1,2}[.)\]]|o")

_PIECE_GAP = 0.5  # of the words' height: more of it separates cells
_COLUMN_GAP = 2.0  # points
_SAME_BORDER = 5.0  # points between a line and the shading of a cell
_MOST_CROSSING = 0.15  # of the rows: heads that span columns
_ENOUGH_ROWS = 5  # to let one of them be such a head
_HEAD_ROWS = 5
_MOST_CROWDED = 0.2  # of the cells: more words stand apart in one cell than a table has
_MOST_PROSE_LETTERS = 40

Piece: TypeAlias = list[PDFWord]
Cells: TypeAlias = list[list[list[PDFWord]]]

_THIN = 3.0  # points
_SHORTEST = 8.0
_NEAR = 3.0  # points between the ends of lines that meet
_SAME_EDGE = 5.0  # points between the ends of lines of the same length
_MOST_RULES = 5000  # a map or a drawing
_MOST_JOINED = 600


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        cells: Texts of the cells by row and column; empty for an empty cell.
        words: All words in it, row by row.
        box: Its box, in points.
    """

    cells: tuple[tuple[str, ...], ...]
    words: tuple[PDFWord, ...]
    box: Box

    @property
    def text(self) -> str:
        """The table as Markdown, with its first row as header."""
        head, *body = ("| " + " | ".join(row) + " |" for row in self.cells)
        return "\n".join([head, "|" + "---|" * len(self.cells[0]), *body])


def split_tables(page: RawPage) -> tuple[list[Table], RawPage]:
    """The tables of an upright page, and the page without their lines.

    Ruled areas that do not look like tables stay text.
    """
    tables: list[Table] = []
    taken: set[PDFWord] = set()
    # The smallest first, because the frame of a page contains everything.
    for grid in sorted(find_grids(page.lines, page.rules), key=lambda grid: area(grid.box)):
        table = _table(grid)
        if table is not None and taken.isdisjoint(table.words):
            tables.append(table)
            taken.update(table.words)
    if not taken:
        return [], page
    rest = filter(None, (_without(line, taken) for line in page.lines))
    return tables, replace(page, lines=tuple(rest))


def _table(grid: Grid) -> Table | None:
    cells = [[_cell_text(words) for words in row] for row in grid.cells]
    kept = [at for at in range(len(cells[0])) if any(row[at] for row in cells)]
    filled_rows = [tuple(row[at] for at in kept) for row in cells if any(row)]
    if grid.is_crowded or not _is_table(filled_rows, grid.is_ruled):
        return None
    words = tuple(word for row in grid.cells for cell in row for word in cell)
    return Table(tuple(filled_rows), words, grid.box)


def _is_table(rows: Sequence[Sequence[str]], is_ruled: bool) -> bool:
    if len(rows) < _FEWEST_ROWS or len(rows[0]) < _FEWEST_COLUMNS:
        return False
    if not is_ruled and len(rows[0]) == _FEWEST_COLUMNS and _is_list(rows):
        return False
    # A framed slide with a title and a number would be a table with one filled cell a row.
    if median(sum(map(bool, row)) for row in rows) < _FEWEST_COLUMNS:
        return False
    filled = [len(cell) for row in rows for cell in row if cell]
    if len(filled) < _LEAST_FILLED * len(rows) * len(rows[0]):
        return False
    most = _MOST_MEDIAN_LETTERS if is_ruled else _MOST_UNRULED_LETTERS
    return median(filled) <= most and max(filled) <= _MOST_LETTERS


def _is_list(rows: Sequence[Sequence[str]]) -> bool:
    """Whether most rows begin with a bullet or a number."""
    marked = sum(_MARKER.fullmatch(row[0]) is not None for row in rows)
    return marked > 0.5 * len(rows)


def _cell_text(words: Sequence[PDFWord]) -> str:
    return " ".join(word.text for word in words).replace("|", "\\|")


def _without(line: Line, taken: set[PDFWord]) -> Line | None:
    words = tuple(word for word in line.words if word not in taken)
    if len(words) == len(line.words):
        return line
    return replace(line, words=words) if words else None


@dataclass(frozen=True)
class Grid:
    """Words in rows and columns.

    Attributes:
        cells: Words of the cells by row and column.
        box: The box around lines and words, in points.
        is_ruled: Whether the columns are separated by lines; otherwise by gaps.
        is_crowded: Whether many cells contain words that are far apart.
    """

    cells: Cells
    box: Box
    is_ruled: bool
    is_crowded: bool


def find_grids(lines: Sequence[Line], rules: Sequence[Box]) -> Iterator[Grid]:
    """Candidates for tables, found by drawn lines."""
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
    """A lattice as it is; of a stack of lines, the runs with columns between them."""
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


def _has_columns(words: Sequence[PDFWord]) -> bool:
    text_rows = _text_rows(words)
    if not text_rows:
        return False
    pieces = [_pieces(row, ()) for row in text_rows]
    letters = [sum(len(word.text) for word in piece) for row in pieces for piece in row]
    return median(map(len, pieces)) >= 2 and median(letters) <= _MOST_PROSE_LETTERS


def _grid(group: RuleGroup, words: Sequence[PDFWord]) -> Grid:
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
    """Whether pieces that are far apart share cells, so that the lines are not those of columns."""
    pieces = sum(map(len, text_rows))
    cells = sum(sum(map(bool, _row(row, columns))) for row in text_rows)
    return pieces - cells > _MOST_CROWDED * cells


def _bands(
    group: RuleGroup, text_rows: Sequence[list[Piece]], box: Box
) -> list[tuple[float, list[list[Piece]]]]:
    """Rows of text between wide lines, with the y of the upper line."""
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
    """Columns without a line at height `y`, whose cells span it."""
    near = [rule for rule in across if abs(rule[1] - y) <= _SAME_BORDER]
    return [
        at
        for at, (left, right) in enumerate(pairwise(edges))
        if not any(rule[0] <= (left + right) / 2 <= rule[2] for rule in near)
    ]


def _move_up(
    above: list[list[PDFWord]], below: list[list[PDFWord]], columns: Sequence[int]
) -> None:
    for at in columns:
        above[at] += below[at]
        below[at] = []


def _is_regular(rows: Cells) -> bool:
    """Whether each row of text looks like a table row, and not like a line within cells."""
    columns = len(rows[0])
    if len(rows) < 2 or min(sum(map(bool, row)) for row in rows) < 0.7 * columns:
        return False
    others = [cell for row in rows for cell in row[1:] if cell]
    return columns > 3 or sum(map(_is_figure, others)) > 0.5 * len(others)


def _is_figure(cell: Sequence[PDFWord]) -> bool:
    text = "".join(word.text for word in cell)
    return sum(map(str.isdigit, text)) >= 0.4 * len(text)


def _with_continuations(rows: Cells) -> Cells:
    """Merge rows with a single cell, which is not the first, into the row above."""
    found: Cells = []
    for row in rows:
        filled = [at for at, cell in enumerate(row) if cell]
        if found and 0 not in filled and len(filled) == 1 and found[-1][filled[0]]:
            found[-1] = _merged([found[-1], row])
        else:
            found.append(row)
    return found


def _merged(rows: Cells) -> list[list[PDFWord]]:
    return [[word for cell in column for word in cell] for column in zip(*rows, strict=True)]


def _row(pieces: Sequence[Piece], columns: Sequence[float]) -> list[list[PDFWord]]:
    cells: list[list[PDFWord]] = [[] for _ in columns]
    for piece in pieces:
        box = around([word.box for word in piece])
        crossed = [x for x in columns[:-1] if box[0] + 2 < x < box[2] - 2]
        # A piece that spans several columns belongs to the first of them.
        anchor = box[0] if crossed else (box[0] + box[2]) / 2
        cells[min(sum(x <= anchor for x in columns[:-1]), len(columns) - 1)] += piece
    return cells


def _gaps(text_rows: Sequence[Sequence[Piece]]) -> list[float]:
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


def _text_rows(words: Sequence[PDFWord]) -> list[list[PDFWord]]:
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


def _pieces(row: Sequence[PDFWord], down: Sequence[Box]) -> list[Piece]:
    """Groups of adjacent words without a line between them, each in logical order."""
    found: list[Piece] = []
    for word in sorted(row, key=lambda word: word.box[0]):
        if found and not _is_apart(found[-1][-1], word, down):
            found[-1].append(word)
        else:
            found.append([word])
    return [_logical(piece) for piece in found]


def _is_apart(left: PDFWord, right: PDFWord, down: Sequence[Box]) -> bool:
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


@dataclass(frozen=True)
class RuleGroup:
    """Drawn lines that belong together.

    Attributes:
        across: Horizontal lines, from the top down.
        down: Vertical lines, from the left.
    """

    across: tuple[Box, ...]
    down: tuple[Box, ...] = ()

    @property
    def box(self) -> Box:
        """The box around all lines."""
        return around([*self.across, *self.down])


def rule_groups(rules: Sequence[Box]) -> list[RuleGroup]:
    """Lattices of lines that meet, then stacks of horizontal lines of the same width."""
    if len(rules) > _MOST_RULES:
        return []
    across = _joined([r for r in rules if _is_across(r)])
    down = [_flip(r) for r in _joined([_flip(r) for r in rules if _is_across(_flip(r))])]
    if not across or len(across) + len(down) > _MOST_JOINED:
        return []
    components = _components([*across, *down])
    lattices = [_group(c) for c in components if sum(not _is_across(rule) for rule in c) > 0]
    loose = [rule for c in components if all(map(_is_across, c)) for rule in c]
    return [group for group in lattices if len(group.across) > 1] + _stacks(loose)


def edges(box: Box) -> list[Box]:
    """A rectangle as lines: itself if it is thin, else its four sides."""
    x0, y0, x1, y1 = box
    if min(x1 - x0, y1 - y0) <= _THIN:
        return [box]
    return [(x0, y0, x1, y0), (x0, y1, x1, y1), (x0, y0, x0, y1), (x1, y0, x1, y1)]


def levels(positions: Iterable[float], apart: float = _NEAR) -> list[float]:
    """Positions in ascending order, without nearly equal ones."""
    found: list[float] = []
    for position in sorted(positions):
        if not found or position - found[-1] > apart:
            found.append(position)
    return found


def _group(rules: Sequence[Box]) -> RuleGroup:
    across = sorted((r for r in rules if _is_across(r)), key=lambda r: r[1])
    down = sorted((r for r in rules if not _is_across(r)), key=lambda r: r[0])
    return RuleGroup(tuple(across), tuple(down))


def _is_across(rule: Box) -> bool:
    return rule[3] - rule[1] <= _THIN and rule[2] - rule[0] >= _SHORTEST


def _flip(rule: Box) -> Box:
    return rule[1], rule[0], rule[3], rule[2]


def _joined(rules: Sequence[Box]) -> list[Box]:
    """Join the pieces of horizontal lines."""
    found: list[Box] = []
    for row in _rows(sorted(rules, key=lambda rule: rule[1])):
        current = row[0]
        for rule in row[1:]:
            if rule[0] <= current[2] + _NEAR:
                current = around([current, rule])
            else:
                found.append(current)
                current = rule
        found.append(current)
    return found


def _rows(rules: Sequence[Box]) -> Iterator[list[Box]]:
    """Groups of lines at nearly the same height, from the left."""
    row: list[Box] = []
    for rule in rules:
        if row and rule[1] - row[0][1] > _THIN / 2:
            yield sorted(row)
            row = []
        row.append(rule)
    if row:
        yield sorted(row)


def _components(rules: Sequence[Box]) -> list[list[Box]]:
    """Groups of lines that meet, directly or through others."""
    return _linked(rules, _meet)


def _stacks(rules: Sequence[Box]) -> list[RuleGroup]:
    """Groups of horizontal lines of the same width, one below the other."""
    stacks = _linked(rules, _are_as_wide)
    groups = [_group(stack) for stack in stacks if len(stack) > 1]
    return sorted(groups, key=lambda group: group.box[1])


def _linked(rules: Sequence[Box], is_linked: Callable[[Box, Box], bool]) -> list[list[Box]]:
    left, found = list(rules), list[list[Box]]()
    while left:
        group = [left.pop()]
        for member in group:  # which grows during the loop
            apart: list[Box] = []
            for rule in left:
                (group if is_linked(member, rule) else apart).append(rule)
            left = apart
        found.append(group)
    return found


def _meet(a: Box, b: Box) -> bool:
    return (
        a[0] - _NEAR <= b[2]
        and b[0] - _NEAR <= a[2]
        and a[1] - _NEAR <= b[3]
        and b[1] - _NEAR <= a[3]
    )


def _are_as_wide(a: Box, b: Box) -> bool:
    return abs(a[0] - b[0]) <= _SAME_EDGE and abs(a[2] - b[2]) <= _SAME_EDGE
