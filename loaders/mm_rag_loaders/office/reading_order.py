"""The order in which the shapes of a slide are read, from their boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

Place: TypeAlias = tuple[int, int, int, int]
"""Left, top, right and bottom of a shape, in any unit."""

_MOST = 500  # shapes that are ordered by cutting, which takes quadratic time
_OVERLAP = 0.1  # share of a shape that may overlap with those beside it


def in_reading_order(places: Sequence[Place]) -> list[int]:
    """The indices of shapes in reading order.

    The slide is cut into rows, each row into columns, and so on, where no shape is in the way.
    Shapes that cannot be cut apart are read from top to bottom.
    """
    everything = list(range(len(places)))
    if len(places) > _MOST:
        return sorted(everything, key=lambda at: (places[at][1], places[at][0]))
    return _ordered(everything, places)


def _ordered(shapes: list[int], places: Sequence[Place]) -> list[int]:
    found: list[int] = []
    waiting = [shapes]
    while waiting:
        group = waiting.pop()
        parts = _cut(group, places, 1)
        parts = _cut(group, places, 0) if len(parts) == 1 else parts
        if len(parts) == 1:
            found += sorted(group, key=lambda at: (places[at][1], places[at][0]))
        else:
            waiting += reversed(parts)
    return found


def _cut(shapes: list[int], places: Sequence[Place], side: int) -> list[list[int]]:
    """Cut shapes into columns (`side` 0) or rows (1)."""
    parts: list[list[int]] = []
    end = 0.0
    for at in sorted(shapes, key=lambda at: places[at][side]):
        start, stop = places[at][side], places[at][side + 2]
        margin = _OVERLAP * (stop - start) / 2
        if parts and start + margin < end:
            parts[-1].append(at)
            end = max(end, stop - margin)
        else:
            parts.append([at])
            end = stop - margin
    return parts
