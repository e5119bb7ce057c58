"""Evidence: what each signal says about a candidate, in log-odds; their sum orders the hits.

Each score is first compared with what unrelated segments get for the same query, so that it means
the same in every query and collection. A list of scores that are all alike says little, and one
that stands out says much.

The weights were fitted on the first halves of eight real sets (a softmax over each list, sets of
equal weight) and scaled by a logistic curve over first hits, questions without an answer included.
nDCG@10 on the second halves, the mean of the sets, is 0.836 with meaning alone, 0.885 with words,
and 0.891 with the built-in rerankers; docs/ranking.md says how far scores can be trusted.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mm_rag.collection.search.merging import Candidates, GroupKey
from mm_rag.collection.search.reranking import Reranked, Scorer
from mm_rag.collection.search.scaling import best_first, min_max

BASE, MEANING, LOOKS, WORDS = "base", "meaning", "looks", "words"
REQUIRED, IDENTIFIERS, RERANKER = "required", "identifiers", "reranker"
"""Names of the signals, as in `Hit.evidence`."""

_BASE = -1.5
"""Log-odds of a candidate that is as near to the query as the nearest of as many unrelated segments
would be by chance, and has nothing else."""

_PER_DEVIATION = 0.9
"""Log-odds of a standard deviation that a similarity is above chance."""

_PER_WORD_DEVIATION = 0.36
"""Log-odds of a standard deviation that BM25 is above that of the best 100."""

_WORDS_DEPTH = 100
_WORDS_PRIOR = 2.0
"""Nats; about the BM25 of one word that a tenth of the segments have."""

_ALL_IDENTIFIERS = 8.0
"""Log-odds of a segment that has all rare codes of the query: more than all other signals together
differ between candidates."""

_MET_REQUIREMENT = 3.0
"""Log-odds of every candidate where the query has quotes or prefixes, which all of them meet."""

_NO_SUCH_CODE = -3.0
"""Log-odds of every candidate where the query names codes that no segment has."""

_PER_LOGIT = 0.15
_MIDDLE_LOGIT = -2.0
"""Logit of the built-in cross-encoder that neither raises nor lowers a candidate."""

_LEAST_LOGIT = -6.0
"""Below this logit of the built-in cross-encoder, differences say nothing."""

_LATE_INTERACTION = 1.3
"""Log-odds between the best and the worst candidate by late interaction."""

_TRAINED = 2.0
"""Log-odds between the best and the worst candidate by a reranker that the user gave: a choice, for
want of strong rerankers to measure."""


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


def weigh(candidates: Candidates) -> Evidence:
    """The evidence of the retrieved lists."""
    groups = candidates.groups
    nearness = {k: _PER_DEVIATION * one.scores["calibrated"] for k, one in groups.items()}
    found = {
        BASE: dict.fromkeys(groups, _BASE),
        IDENTIFIERS: _identifiers(candidates),
        MEANING: {key: value for key, value in nearness.items() if not groups[key].by_looks},
        LOOKS: {key: value for key, value in nearness.items() if groups[key].by_looks},
        WORDS: _words({key: one.words.score for key, one in groups.items()}, candidates.total),
        REQUIRED: dict.fromkeys(groups, _MET_REQUIREMENT) if candidates.has_required else {},
    }
    return Evidence({name: scores for name, scores in found.items() if scores})


def _identifiers(candidates: Candidates) -> dict[GroupKey, float]:
    if candidates.lacks_codes:
        return dict.fromkeys(candidates.groups, _NO_SUCH_CODE)
    codes = {key: one.words.codes for key, one in candidates.groups.items()}
    return {key: _ALL_IDENTIFIERS * share for key, share in codes.items() if share}


def _words(scores: Mapping[GroupKey, float], count: int) -> dict[GroupKey, float]:
    """Evidence of BM25: how far it stands out from the best scores.

    Candidates without the query's words are part of the background if there are few others.
    """
    if not any(scores.values()):
        return {}
    best = sorted(scores.values(), reverse=True)[:_WORDS_DEPTH]
    background = np.array([*best, *[0.0] * (min(_WORDS_DEPTH, count) - len(best))])
    deviation = math.sqrt(float(background.var()) + _WORDS_PRIOR**2)
    mean = float(background.mean())
    return {key: _PER_WORD_DEVIATION * (score - mean) / deviation for key, score in scores.items()}


def joined(evidence: Evidence, reranked: Reranked) -> Evidence:
    """The evidence with that of a reranker."""
    if not reranked.scores:
        return evidence
    scored = _of_scorer(reranked)
    # A candidate that could not be scored is neither raised nor lowered among those that were.
    middle = sum(scored.values()) / len(scored)
    scored = {key: scored.get(key, middle) for key in reranked.top}
    below = min(scored.values())
    others = {key: below for key in evidence.total if key not in scored}
    return Evidence({**evidence.signals, RERANKER: others | scored})


def _of_scorer(reranked: Reranked) -> dict[GroupKey, float]:
    """The log-odds that a reranker's scores stand for."""
    if reranked.scorer is Scorer.english:
        return {
            key: _PER_LOGIT * (max(logit, _LEAST_LOGIT) - _MIDDLE_LOGIT)
            for key, logit in reranked.scores.items()
        }
    span = _TRAINED if reranked.scorer is Scorer.trained else _LATE_INTERACTION
    return {key: span * (score - 0.5) for key, score in min_max(reranked.scores).items()}


def probability(log_odds: float) -> float:
    """The probability that has these log-odds."""
    return 1.0 / (1.0 + math.exp(-max(-700.0, log_odds)))


def reordered(
    order: Mapping[GroupKey, float], scores: Mapping[GroupKey, float]
) -> dict[GroupKey, float]:
    """Apply a reranker's order to the candidates it scored; others keep their rank.

    If it scored the whole top, all others follow below. Otherwise the scored candidates share out
    the places that they had.
    """
    ranked = best_first(order)
    if set(ranked[: len(scores)]) == set(scores):
        below = min(scores.values()) - 1.0 - max(order.values())
        return {**{key: below + score for key, score in order.items()}, **scores}
    free = sorted((order[key] for key in scores), reverse=True)
    return {**order, **dict(zip(best_first(scores), free, strict=True))}


def scores_alone(scores: Mapping[GroupKey, float], reranked: Reranked) -> dict[GroupKey, float]:
    """The scores of all groups where a reranker alone decides.

    Those of a trained reranker that are all in [0, 1] are probabilities, others and logits become
    their sigmoids. Late interaction knows no probability: its groups keep theirs. No group that was
    not scored has a higher score than one that was.
    """
    match reranked.scorer:
        case Scorer.late_interaction:
            own = {key: scores[key] for key in reranked.scores}
        case Scorer.trained if all(0.0 <= each <= 1.0 for each in reranked.scores.values()):
            own = dict(reranked.scores)
        case _:
            own = {key: probability(score) for key, score in reranked.scores.items()}
    most = min(own.values())
    return {key: min(most, score) for key, score in scores.items()} | own
