"""Select: which candidates become hits, by threshold, quotas and diversity (MMR)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mm_rag.collection.search.merging import Candidate, Candidates, GroupKey
from mm_rag.collection.search.request import SearchRequest
from mm_rag.collection.search.same_words import repeated_last
from mm_rag.collection.search.scaling import best_first, min_max
from mm_rag.collection.store import Vectors
from mm_rag.segment import Segment

POOL = 4
"""Diverse hits are chosen among this many times as many candidates as wanted."""


@dataclass(frozen=True)
class Selected:
    """The candidates that become hits.

    Attributes:
        groups: Best first.
        same_words: Segments of other files with the same words, by group.
    """

    groups: Mapping[GroupKey, Candidate]
    same_words: Mapping[GroupKey, tuple[Segment, ...]]


def select(
    candidates: Candidates,
    order: Mapping[GroupKey, float],
    scores: Mapping[GroupKey, float],
    request: SearchRequest,
) -> Selected:
    """Choose the hits. What repeats the words of a better one only fills up the list.

    Args:
        candidates: All candidates.
        order: By what they are ordered; higher is better.
        scores: Their probabilities, which the threshold is compared with.
        request: What is wanted.
    """
    groups = candidates.groups
    ranked = best_first(order)
    if request.threshold is not None:
        ranked = [key for key in ranked if scores[key] >= request.threshold]
    is_chosen = bool(request.diversity or request.quotas)
    same = repeated_last(
        candidates,
        ranked,
        POOL * request.k if is_chosen else request.k,
        whole_pages=request.modalities is None,
    )
    ordered = {key: groups[key] for key in same.ranked}
    if not request.diversity:
        return Selected(_best(ordered, request, 1), same.others)
    pool = _best(ordered, request, POOL)
    diverse = _diverse(pool, order, candidates.vectors, request)
    return Selected({key: pool[key] for key in diverse}, same.others)


def _best(
    ranked: Mapping[GroupKey, Candidate], request: SearchRequest, times: int
) -> dict[GroupKey, Candidate]:
    """The best `times * k` candidates, within `times` the quotas.

    A page counts as its best segment, or as another one if only that one's quota has room; that
    one's modality then leads.
    """
    if not request.quotas:
        return dict(list(ranked.items())[: times * request.k])
    left = Counter[str]({m: times * quota for m, quota in request.quotas.items()})
    kept: dict[GroupKey, Candidate] = {}
    for key, candidate in ranked.items():
        in_quota = [modality for modality in candidate.modalities if left[modality] > 0]
        if in_quota:
            kept[key] = candidate.led_by(in_quota[0])
            left[in_quota[0]] -= 1
    return dict(list(kept.items())[: times * request.k])


def _diverse(
    pool: Mapping[GroupKey, Candidate],
    scores: Mapping[GroupKey, float],
    vectors: Mapping[str, Vectors],
    request: SearchRequest,
) -> Sequence[GroupKey]:
    """Order by maximal marginal relevance (Carbonell and Goldstein, 1998).

    The next one maximises (1 - diversity) * score - diversity * its greatest cosine to those
    already chosen; score and cosine are both in [0, 1].
    """
    if not pool:
        return []
    keys, best = list(pool), list(pool.values())
    relevance = np.array(list(min_max({key: scores[key] for key in keys}).values()))
    modalities = np.array([candidate.modality for candidate in best])
    matrix: Vectors = np.stack([vectors[one.segment_ids[0]] for one in best])
    similarity, free = np.zeros(len(keys)), np.ones(len(keys), dtype=bool)
    left, order = Counter(request.quotas), list[GroupKey]()
    while len(order) < request.k and free.any():
        gain = (1.0 - request.diversity) * relevance - request.diversity * similarity
        at = int(np.where(free, gain, -np.inf).argmax())
        order.append(keys[at])
        free[at] = False
        left[best[at].modality] -= 1
        if left[best[at].modality] == 0:  # never without quotas
            free &= modalities != best[at].modality
        similarity = np.maximum(similarity, np.clip(matrix @ matrix[at], 0.0, 1.0))
    return order
