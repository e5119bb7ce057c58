"""Fusion: several lists of scores, of different scales, made into one.

Every list is first brought to [0, 1]. Cosines and MaxSim are stretched between their worst and best
(`min_max`). BM25 is divided by the most that the query's words could give, so that a list in which
even the best page has only one of eight words stays small: it is not sure, and says so.

nDCG@10 of vectors + BM25 + MaxSim over the top 10, all-MiniLM-L6-v2 everywhere:

                                            MaxSim's weight   0      0.25   0.5    0.75   1
mixed media, 69 questions                                     0.870  0.880  0.878  0.864  0.852
PubMedQA, 1,000 abstracts, 150 questions                      0.993  0.995  0.998  1.000  1.000
XQuAD, 120 paragraphs, 150 questions, 5 languages             0.408  0.432  0.440  0.435  0.436

With BM25 stretched like the others, and MaxSim of weight 1 over the top 20, these were 0.789, 0.998
and 0.450; with BM25 by its bound 0.844, 1.000 and 0.452.
Reciprocal rank fusion was behind the stretched sum on all of them in an earlier comparison.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


def min_max(scores: Mapping[Key, float]) -> dict[Key, float]:
    """Scores stretched to [0, 1]; all 1 where they do not differ."""
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    if high == low:
        return dict.fromkeys(scores, 1.0)
    return {key: (score - low) / (high - low) for key, score in scores.items()}


def fuse(*voices: tuple[float, Mapping[Key, float]]) -> dict[Key, float]:
    """The weighted mean of voices on the scale [0, 1]; who is not in a voice gets 0 there.

    Args:
        voices: Weights and scores. A voice that says nothing at all is not counted.
    """
    heard = [(weight, scores) for weight, scores in voices if scores]
    total: dict[Key, float] = defaultdict(float)
    for weight, scores in heard:
        for key, score in scores.items():
            total[key] += weight * score / sum(weight for weight, _ in heard)
    return dict(total)
