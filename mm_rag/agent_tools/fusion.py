"""Fusion: several ranked lists of places -> one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from mm_rag.segment import Segment

_RRF = 60  # as in Cormack, Clarke and Büttcher, SIGIR 2009; it hardly matters

PlaceKey: TypeAlias = tuple[str, int | None, float | None]


def reciprocal_ranks(rankings: Iterable[Sequence[Segment]]) -> dict[PlaceKey, float]:
    """The score of every place: the sum of 1 / (60 + rank) over all rankings, best first."""
    scores: dict[PlaceKey, float] = {}
    for ranking in rankings:
        for rank, place in enumerate(dict.fromkeys(each.place for each in ranking), start=1):
            scores[place] = scores.get(place, 0.0) + 1 / (_RRF + rank)
    return dict(sorted(scores.items(), key=lambda item: item[1], reverse=True))
