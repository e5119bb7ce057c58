"""Fusion: several lists of scores, of different scales, made into one.

Every list is first brought to [0, 1]. Calibrated cosines and MaxSim are stretched between their
worst and best (`min_max`). BM25 is divided by the most that the query's words could give, so that a
list in which even the best page has only one of eight words stays small: it is not sure, and says
so.

nDCG@10 without a reranker, all-MiniLM-L6-v2 everywhere; "share" is BM25 by its bound, z a score's
distance from the mean of its list in standard deviations:

                                            mixed media     PubMedQA        XQuAD, 5 languages
                                            69 questions    200 questions   200 questions
vectors alone                               0.868           0.986           0.393
BM25 alone                                  0.624           0.988           0.380
reciprocal rank, k = 60 (20)                0.707 (0.742)   0.993 (0.993)   0.423 (0.425)
min-max + min-max                           0.809           0.995           0.435
z + z (BM25's z weighted by 0.7)            0.794 (0.821)   0.996 (0.995)   0.441 (0.442)
min-max of all candidates + share           0.861           0.993           0.412
min-max of the best 100 + share             0.855           0.991           0.410   (chosen)
the same, BM25 weighted by 0.8 (1.5)        0.855 (0.861)   0.991 (0.992)   0.408 (0.414)

Sums with the share are the only ones that keep what the vectors know of mixed media, and they are
above both of their lists on each text set. The best 100 are stretched, so that candidates that only
share a word with the query, and lie far below, do not make all others alike. MaxSim is a third
voice over the top 10: of weight 0.25 it makes 0.863 of the mixed media, of weight 0.5 0.849 (one
question is 0.014). It is there for texts, as an earlier comparison showed:

                                            MaxSim's weight   0      0.25   0.5    0.75   1
mixed media, 69 questions                                     0.870  0.880  0.878  0.864  0.852
PubMedQA, 150 questions                                       0.993  0.995  0.998  1.000  1.000
XQuAD, 150 questions                                          0.408  0.432  0.440  0.435  0.436
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


def min_max(scores: Mapping[Key, float], depth: int | None = None) -> dict[Key, float]:
    """Scores stretched to [0, 1]; all 1 where they do not differ.

    Args:
        scores: By key.
        depth: Only the best so many are stretched, and the others get 0; None for all.
    """
    if not scores:
        return {}
    ordered = sorted(scores.values(), reverse=True)[:depth]
    high, low = ordered[0], ordered[-1]
    if high == low:
        return {key: float(score == high) for key, score in scores.items()}
    return {key: max(0.0, (score - low) / (high - low)) for key, score in scores.items()}


def fuse(*voices: tuple[float, Mapping[Key, float]]) -> dict[Key, float]:
    """The weighted mean of voices on the scale [0, 1]; who is not in a voice gets 0 there.

    Args:
        voices: Weights and scores. A voice that says nothing at all is not counted.
    """
    heard = [(weight, scores) for weight, scores in voices if scores]
    everyone = sum(weight for weight, _ in heard)
    total: dict[Key, float] = defaultdict(float)
    for weight, scores in heard:
        for key, score in scores.items():
            total[key] += weight * score / everyone
    return dict(total)


def best_first(scores: Mapping[Key, float]) -> list[Key]:
    """The keys, best first; equals in an order that does not depend on who was found first."""
    return sorted(scores, key=lambda key: (-scores[key], str(key)))
