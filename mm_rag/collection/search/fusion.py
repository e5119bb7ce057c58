"""Fuse: score lists on different scales become one.

Every list is first brought to [0, 1]. Calibrated cosines and MaxSim are min-max normalised. BM25 is
divided by the maximum possible for the query's words, so that a list whose best page has one of
eight words keeps low scores.

nDCG@10 without a reranker, all-MiniLM-L6-v2 everywhere; "bounded" is BM25 divided by its maximum,
z a score's distance from the mean of its list in standard deviations:

                                            mixed media     PubMedQA        XQuAD, 5 languages
                                            69 questions    200 questions   200 questions
vectors alone                               0.868           0.986           0.393
BM25 alone                                  0.624           0.988           0.380
reciprocal rank, k = 60 (20)                0.707 (0.742)   0.993 (0.993)   0.423 (0.425)
min-max + min-max                           0.809           0.995           0.435
z + z (BM25's z weighted by 0.7)            0.794 (0.821)   0.996 (0.995)   0.441 (0.442)
min-max of all candidates + bounded         0.861           0.993           0.412
min-max of the best 100 + bounded           0.855           0.991           0.410   (chosen)
the same, BM25 weighted by 0.8 (1.5)        0.855 (0.861)   0.991 (0.992)   0.408 (0.414)

Only the sums with the bounded BM25 stay near the vectors' result on mixed media, and both are above
either list on each text set. The chosen one normalises only the best 100: candidates far below,
which only share a word with the query, would make all others alike. That costs 0.006 of the mixed
media here, half a question of 69.

The default reranker adds MaxSim over the top 10 as a third list: with weight 0.25, mixed media
reach 0.863; with weight 0.5, 0.849. An earlier comparison of weights, on smaller text sets:

                                            MaxSim's weight   0      0.25   0.5    0.75   1
mixed media, 69 questions                                     0.870  0.880  0.878  0.864  0.852
PubMedQA, 150 questions                                       0.993  0.995  0.998  1.000  1.000
XQuAD, 150 questions                                          0.408  0.432  0.440  0.435  0.436
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import TypeAlias, TypeVar

from mm_rag.collection.search.scaling import min_max

Key = TypeVar("Key", bound=Hashable)
ScoreList: TypeAlias = tuple[float, Mapping[Key, float]]
"""A weight, and scores in [0, 1] by key."""


def score_lists(candidates: Mapping[Key, Mapping[str, float]], depth: int) -> list[ScoreList[Key]]:
    """The two lists to fuse: calibrated cosines of the nearest `depth`, and BM25.

    The vectors of several clusters are one list: a candidate counts by its nearest segment, and
    segments in two clusters give no bonus.

    Args:
        candidates: The scores of each candidate, by list name.
        depth: How many of the nearest get a vector score above 0.
    """
    calibrated = {key: scores["calibrated"] for key, scores in candidates.items()}
    lexical = {k: scores["lexical"] for k, scores in candidates.items() if "lexical" in scores}
    return [(1.0, min_max(calibrated, depth)), (1.0, lexical)]


def fuse(*lists: ScoreList[Key]) -> dict[Key, float]:
    """The weighted mean of score lists; a key missing from a list scores 0 there.

    Args:
        lists: Weights and scores in [0, 1]. Empty lists are left out of the mean.
    """
    given = [(weight, scores) for weight, scores in lists if scores]
    weights = sum(weight for weight, _ in given)
    total: dict[Key, float] = defaultdict(float)
    for weight, scores in given:
        for key, score in scores.items():
            total[key] += weight * score / weights
    return dict(total)


def best_first(scores: Mapping[Key, float]) -> list[Key]:
    """The keys, best first; ties in the order of their string forms, so that it is stable."""
    return sorted(scores, key=lambda key: (-scores[key], str(key)))
