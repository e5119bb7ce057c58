"""Evidence: what each signal says about a candidate, in log-odds; their sum orders the hits."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from mm_rag.collection.search.merging import Candidates, GroupKey
from mm_rag.collection.search.reranking import Reranked, Scorer
from mm_rag.collection.search.scaling import best_first, min_max

MEANING, WORDS, RERANKER, BASE = "meaning", "words", "reranker", "base"
"""Names of the signals, as in `Hit.evidence`."""

_WEIGHTS = {MEANING: 4.0, WORDS: 4.0, RERANKER: 2.0}

_ENGLISH_RANGE = 6.0
"""Least range of the built-in cross-encoder's logits. Where no candidate answers, all have about
-11, and the little that they differ does not order them."""


@dataclass(frozen=True)
class Evidence:
    """Log-odds that a candidate answers the query, by signal and group.

    Attributes:
        signals: By signal; a group without an entry has 0 there.
    """

    signals: Mapping[str, Mapping[GroupKey, float]]

    @property
    def total(self) -> dict[GroupKey, float]:
        """The sum over the signals, by group."""
        total: dict[GroupKey, float] = defaultdict(float)
        for scores in self.signals.values():
            for key, score in scores.items():
                total[key] += score
        return dict(total)

    def of(self, key: GroupKey) -> dict[str, float]:
        """The log-odds of one group by signal."""
        return {name: scores[key] for name, scores in self.signals.items() if key in scores}


def weigh(candidates: Candidates, depth: int) -> Evidence:
    """The evidence of the retrieved lists.

    Args:
        candidates: All candidates, with their scores.
        depth: How many of the nearest get evidence of their meaning.
    """
    scores = candidates.scores
    meaning = min_max({key: each["calibrated"] for key, each in scores.items()}, depth)
    words = {key: each["lexical"] for key, each in scores.items() if "lexical" in each}
    base = -_WEIGHTS[MEANING] if scores else 0.0
    return Evidence(
        {
            BASE: dict.fromkeys(scores, base),
            MEANING: _weighted(MEANING, meaning),
            WORDS: _weighted(WORDS, words),
        }
    )


def joined(evidence: Evidence, reranked: Reranked) -> Evidence:
    """The evidence with that of a reranker."""
    if not reranked.scores:
        return evidence
    least_range = _ENGLISH_RANGE if reranked.scorer is Scorer.english else 0.0
    relative = min_max(reranked.scores, least_range=least_range)
    return Evidence({**evidence.signals, RERANKER: _weighted(RERANKER, relative)})


def _weighted(name: str, scores: Mapping[GroupKey, float]) -> dict[GroupKey, float]:
    return {key: _WEIGHTS[name] * score for key, score in scores.items()}


def probability(log_odds: float) -> float:
    """The probability that has these log-odds."""
    return 1.0 / (1.0 + math.exp(-max(-700.0, log_odds)))


def reordered(
    fused: Mapping[GroupKey, float], scores: Mapping[GroupKey, float]
) -> dict[GroupKey, float]:
    """Apply a trained reranker's order to the candidates it scored; others keep their rank.

    If it scored the whole top, its scores are final and all others follow below. Otherwise the
    scored candidates share out the fused scores they had.
    """
    ranked = best_first(fused)
    if set(ranked[: len(scores)]) == set(scores):
        below = min(scores.values()) - 1.0 - max(fused.values())
        return {**{key: below + score for key, score in fused.items()}, **scores}
    free = sorted((fused[key] for key in scores), reverse=True)
    return {**fused, **dict(zip(best_first(scores), free, strict=True))}
