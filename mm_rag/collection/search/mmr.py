"""Choosing: which of the ranked places become hits: quotas, threshold, diversity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from mm_rag.collection.search.fusion import best_first, min_max
from mm_rag.collection.search.request import Request
from mm_rag.collection.search.retrieve import Place, Proposals
from mm_rag.collection.store import Vectors
from mm_rag.content import Modality

POOL = 4
"""Among how many times as many places as are wanted diverse ones are looked for."""


def chosen(scores: Mapping[Place, float], proposals: Proposals, request: Request) -> list[Place]:
    """The places that become hits, best first."""
    ranked = best_first(scores)
    if request.threshold is not None:
        least = request.threshold
        places = proposals.places
        ranked = [place for place in ranked if places[place].voices["calibrated"] >= least]
    if request.diversity:
        pool = _first(ranked, proposals, request, POOL)
        return _diverse(pool, scores, proposals, request)
    return _first(ranked, proposals, request, 1)


def _first(
    ranked: Sequence[Place], proposals: Proposals, request: Request, times: int
) -> list[Place]:
    """The best places that there is room for, or `times` as many."""
    if not request.quotas:
        return list(ranked[: times * request.k])
    left = Counter({modality: times * quota for modality, quota in request.quotas.items()})
    kept: list[Place] = []
    for place in ranked:
        candidate = proposals.places[place]
        # A page counts as its passage, or as its picture, whatever there is still room for.
        own = (candidate.modalities[id_] for id_ in candidate.matched)
        modality = next((each for each in own if left[each] > 0), None)
        if modality is not None:
            candidate.counted_as = cast("Modality", modality)
            left[modality] -= 1
            kept.append(place)
    return kept[: times * request.k]


def _diverse(
    pool: Sequence[Place],
    scores: Mapping[Place, float],
    proposals: Proposals,
    request: Request,
) -> list[Place]:
    """Maximal marginal relevance (Carbonell and Goldstein, 1998).

    Each next place is the one with the most of (1 - diversity) * score - diversity * its greatest
    likeness to those chosen before, score and likeness both on the scale [0, 1].
    """
    if not pool:
        return []
    relevance = min_max({place: scores[place] for place in pool})
    worth = np.array([relevance[place] for place in pool])
    best = [proposals.places[place] for place in pool]
    modalities = np.array([candidate.modality for candidate in best])
    vectors: Vectors = np.stack([proposals.vectors[one.matched[0]] for one in best])
    likeness, free = np.zeros(len(pool)), np.ones(len(pool), dtype=bool)
    left, order = Counter(request.quotas), list[Place]()
    while len(order) < request.k and free.any():
        gain = (1.0 - request.diversity) * worth - request.diversity * likeness
        at = int(np.where(free, gain, -np.inf).argmax())
        order.append(pool[at])
        free[at] = False
        left[best[at].modality] -= 1
        if left[best[at].modality] == 0:  # never, where there are no quotas
            free &= modalities != best[at].modality
        likeness = np.maximum(likeness, np.clip(vectors @ vectors[at], 0.0, 1.0))
    return order
