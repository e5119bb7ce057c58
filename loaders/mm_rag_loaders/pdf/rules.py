"""Drawn lines: joined, and sorted into groups that may be the lines of a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from mm_rag.boxes import Box
from mm_rag_loaders.pdf.raw import around

_THIN = 3.0  # points
_SHORTEST = 8.0
_NEAR = 3.0  # points between the ends of lines that meet
_SAME_EDGE = 5.0  # points between the ends of lines of the same length
_MOST_RULES = 5000  # a map or a drawing
_MOST_JOINED = 600


@dataclass(frozen=True)
class RuleGroup:
    """Lines that belong together.

    Attributes:
        across: Horizontal ones, from the top down.
        down: Vertical ones, from the left.
    """

    across: tuple[Box, ...]
    down: tuple[Box, ...] = ()

    @property
    def box(self) -> Box:
        """Around all of them."""
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
    """A rectangle as lines: itself where it is thin, else its four sides."""
    x0, y0, x1, y1 = box
    if min(x1 - x0, y1 - y0) <= _THIN:
        return [box]
    return [(x0, y0, x1, y0), (x0, y1, x1, y1), (x0, y0, x0, y1), (x1, y0, x1, y1)]


def levels(positions: Iterable[float], apart: float = _NEAR) -> list[float]:
    """Positions without those that are nearly the same, in order."""
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
    """Pieces of one horizontal line as one."""
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
    """Lines at nearly the same height, from the left."""
    row: list[Box] = []
    for rule in rules:
        if row and rule[1] - row[0][1] > _THIN / 2:
            yield sorted(row)
            row = []
        row.append(rule)
    if row:
        yield sorted(row)


def _components(rules: Sequence[Box]) -> list[list[Box]]:
    """Lines that meet, directly or through others."""
    return _linked(rules, _meet)


def _stacks(rules: Sequence[Box]) -> list[RuleGroup]:
    """Lines of the same width, one below the other, with what is drawn between them."""
    stacks = _linked(rules, _are_as_wide)
    groups = [_group(stack) for stack in stacks if len(stack) > 1]
    return sorted(groups, key=lambda group: group.box[1])


def _linked(rules: Sequence[Box], is_linked: Callable[[Box, Box], bool]) -> list[list[Box]]:
    left, found = list(rules), list[list[Box]]()
    while left:
        group = [left.pop()]
        for member in group:  # it grows meanwhile
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
