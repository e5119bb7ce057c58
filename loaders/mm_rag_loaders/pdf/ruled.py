"""Tables whose rows or columns are separated by drawn lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from mm_rag.boxes import Box
from mm_rag_loaders.pdf.grids import (
    Cells,
    Grid,
    Piece,
    Words,
    gaps,
    is_crowded,
    pieces,
    rows_of,
    text_rows,
)
from mm_rag_loaders.pdf.page import PDFWord, area, around

_SAME_BORDER = 5.0  # points between a line and the shading of a cell
_HEAD_ROWS = 5
_MOST_PROSE_LETTERS = 40

_THIN = 3.0  # points
_SHORTEST = 8.0
_NEAR = 3.0  # points between the ends of lines that meet
_SAME_EDGE = 5.0  # points between the ends of lines of the same length
_MOST_RULES = 5000  # a map or a drawing
_MOST_JOINED = 600
_ANYWHERE = 1e6  # points


def ruled_groups(rules: Sequence[Box], words: Words) -> list[RuleGroup]:
    """Groups of drawn lines that may separate cells, the smallest first."""
    found = [part for group in rule_groups(rules) for part in _parts(group, words)]
    # The frame of a page contains everything.
    return sorted(found, key=lambda part: area(part.box))


def _parts(group: RuleGroup, words: Words) -> Iterator[RuleGroup]:
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
    lines = text_rows(words)
    if not lines:
        return False
    parts = [pieces(row) for row in lines]
    letters = [sum(len(word.text) for word in piece) for row in parts for piece in row]
    return median(map(len, parts)) >= 2 and median(letters) <= _MOST_PROSE_LETTERS


def ruled_grid(group: RuleGroup, words: Sequence[PDFWord]) -> Grid:
    """The words between drawn lines, in rows and columns."""
    box = around([group.box, *(word.box for word in words)])
    lines = [pieces(row, group.down) for row in text_rows(words)]
    inner = [x for x in levels(rule[0] for rule in group.down) if box[0] + 4 < x < box[2] - 4]
    columns = [*inner, box[2]] if inner else [*gaps(lines), box[2]]
    bands = _bands(group, lines, box)
    rows: Cells = []
    for top, band in bands:
        is_head = not rows and len(bands) > 1
        is_one_row = len(group.across) > 1 and (
            bool(inner) or (is_head and len(band) <= _HEAD_ROWS)
        )
        added = rows_of(band, columns, is_one_row=is_one_row)
        if rows and inner:
            _move_up(rows[-1], added[0], _open_columns(group.across, top, [box[0], *columns]))
        rows += added
    return Grid(rows, box, is_ruled=bool(inner), is_crowded=is_crowded(lines, columns))


def _bands(
    group: RuleGroup, lines: Sequence[list[Piece]], box: Box
) -> list[tuple[float, list[list[Piece]]]]:
    """Rows of text between wide lines, with the y of the upper line."""
    wide: dict[float, float] = {}
    for rule in group.across:
        y = next((y for y in wide if abs(y - rule[1]) <= 2), rule[1])
        wide[y] = wide.get(y, 0.0) + rule[2] - rule[0]
    wide_ones = (y for y, width in wide.items() if width > 0.5 * (box[2] - box[0]))
    borders = levels(wide_ones, apart=_SAME_BORDER)
    found: dict[int, list[list[Piece]]] = {}
    for row in lines:
        middle = median((word.box[1] + word.box[3]) / 2 for piece in row for word in piece)
        found.setdefault(sum(y < middle for y in borders), []).append(row)
    return [(borders[at - 1] if at else box[1], found[at]) for at in sorted(found)]


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


@dataclass(frozen=True)
class RuleGroup:
    """Drawn lines that belong together.

    Attributes:
        across: Horizontal lines, from the top down.
        down: Vertical lines, from the left.
        is_open: Whether words left and right of the lines belong to it.
    """

    across: tuple[Box, ...]
    down: tuple[Box, ...] = ()
    is_open: bool = False

    @property
    def box(self) -> Box:
        """The box around all lines."""
        return around([*self.across, *self.down])

    @property
    def reach(self) -> Box:
        """The box that contains the middles of its words."""
        x0, y0, x1, y1 = self.box
        return (-_ANYWHERE, y0, _ANYWHERE, y1) if self.is_open else (x0, y0, x1, y1)


def rule_groups(rules: Sequence[Box]) -> list[RuleGroup]:
    """Lattices of lines that meet, then stacks of horizontal ones, then of vertical ones."""
    if len(rules) > _MOST_RULES:
        return []
    across = _joined([r for r in rules if _is_across(r)])
    down = [_flip(r) for r in _joined([_flip(r) for r in rules if _is_across(_flip(r))])]
    if len(across) + len(down) > _MOST_JOINED:
        return []
    components = _components([*across, *down])
    lattices = [_group(c) for c in components if sum(not _is_across(rule) for rule in c) > 0]
    loose = [rule for c in components if all(map(_is_across, c)) for rule in c]
    upright = [rule for group in lattices if len(group.across) < 2 for rule in group.down]
    found = [group for group in lattices if len(group.across) > 1]
    return found + _stacks(loose) + _palings(upright)


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


def _palings(rules: Sequence[Box]) -> list[RuleGroup]:
    """Groups of vertical lines of the same height, side by side."""
    palings = _linked([_flip(rule) for rule in rules], _are_as_wide)
    groups = [_group([_flip(rule) for rule in paling]) for paling in palings if len(paling) > 1]
    # The first and the last may be lines between columns, or the edges of the table.
    return [each for group in groups for each in (replace(group, is_open=True), group)]


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
