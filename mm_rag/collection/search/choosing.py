"""Choosing: which of the ranked places become hits: quotas, threshold, diversity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from mm_rag.collection.search.candidates import Place, Proposals
from mm_rag.collection.search.fusion import min_max
from mm_rag.collection.search.request import Request
from mm_rag.collection.store import Vectors
from mm_rag.content import Modality

POOL = 4
"""Among how many times as many places as are wanted diverse ones are looked for."""


def chosen(scores: Mapping[Place, float], proposals: Proposals, request: Request) -> list[Place]:
    """The places that become hits, best first."""
    ranked = sorted(scores, key=lambda place: scores[place], reverse=True)
    if request.threshold is not None:
        least = request.threshold
        places = proposals.places
        ranked = [place for place in ranked if places[place].voices["calibrated"] >= least]
    if request.quotas:
        ranked = _within_quotas(ranked, proposals, request.quotas)
    if request.diversity:
        return _diverse(ranked[: POOL * request.k], scores, proposals, request)
    return ranked[: request.k]


def _within_quotas(
    ranked: Sequence[Place], proposals: Proposals, quotas: Mapping[Modality, int]
) -> list[Place]:
    taken: Counter[str] = Counter()
    kept: list[Place] = []
    for place in ranked:
        modality = proposals.places[place].modality
        if taken[modality] < quotas.get(modality, 0):
            taken[modality] += 1
            kept.append(place)
    return kept


def _diverse(
    ranked: Sequence[Place],
    scores: Mapping[Place, float],
    proposals: Proposals,
    request: Request,
) -> list[Place]:
    """Maximal marginal relevance (Carbonell and Goldstein, 1998).

    Each next place is the one with the most of (1 - diversity) * score - diversity * its greatest
    likeness to those chosen before, score and likeness both on the scale [0, 1].
    """
    if not ranked:
        return []
    relevance = min_max({place: scores[place] for place in ranked})
    worth = np.array([relevance[place] for place in ranked])
    vectors: Vectors = np.stack(
        [proposals.vectors[proposals.places[place].matched[0]] for place in ranked]
    )
    likeness = np.zeros(len(ranked))
    order: list[int] = []
    while len(order) < min(request.k, len(ranked)):
        gain = (1.0 - request.diversity) * worth - request.diversity * likeness
        gain[order] = -np.inf
        best = int(gain.argmax())
        order.append(best)
        likeness = np.maximum(likeness, np.clip(vectors @ vectors[best], 0.0, 1.0))
    return [ranked[at] for at in order]
