"""Sharing: who gets how much of what there is."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence


def shares(least: Sequence[int], wanted: Sequence[int], room: int) -> list[int]:
    """Divide so that all get the same, but none more than it wants: that goes to the others.

    Args:
        least: What each must get; together no more than the room.
        wanted: What each can use, no less than its least.
        room: What there is.
    """

    def given(level: int) -> list[int]:
        return [min(most, max(few, level)) for few, most in zip(least, wanted, strict=True)]

    levels = range(1, room + 1)
    return given(bisect_right(levels, room, key=lambda level: sum(given(level))))


def first_that_fit(costs: Sequence[int], room: int) -> list[int]:
    """Which ones there is room for, when those in front choose first."""
    found: list[int] = []
    for number, cost in enumerate(costs):
        if cost <= room:
            found.append(number)
            room -= cost
    return found
