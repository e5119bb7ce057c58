"""Near: the names most like a name, among many."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from heapq import nlargest

_LOOKED_AT = 300  # characters of a name
_COMPARED = 30  # names are compared letter by letter, which takes long


def nearest(name: str, names: Iterable[str], count: int) -> list[str]:
    """So many of the names at most, the one most like it first; none that is quite unlike it."""
    wanted, pairs = name[:_LOOKED_AT], _pairs(name[:_LOOKED_AT])

    def shared(other: str) -> float:
        theirs = _pairs(other[-_LOOKED_AT:])
        return len(pairs & theirs) / (len(pairs) + len(theirs))

    likely = nlargest(_COMPARED, names, key=shared)
    return difflib.get_close_matches(wanted, likely, n=count, cutoff=0.5)


def _pairs(name: str) -> set[str]:
    name = f" {name.casefold()} "
    return {name[at : at + 2] for at in range(len(name) - 1)}
