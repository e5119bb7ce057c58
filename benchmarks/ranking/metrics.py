"""Measures: nDCG, intervals, area under the curve, calibration error."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from benchmarks.ranking.sets import Right

DEPTH = 10
BINS = 10
_SAMPLES = 2_000

Place = tuple[str, int | None]


def ndcg(found: Sequence[Place], right: Right) -> float:
    """NDCG at 10 of places without duplicates; all right places are equally good."""
    gains = [place in right for place in found[:DEPTH]]
    best = sum(_discount(rank) for rank in range(min(DEPTH, len(right))))
    return sum(_discount(rank) for rank, gain in enumerate(gains) if gain) / best if best else 0.0


def _discount(rank: int) -> float:
    return 1.0 / math.log2(rank + 2)


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean, and the ends of its 95% bootstrap interval."""
    if not values:
        return math.nan, math.nan, math.nan
    drawn = np.array(values)
    chance = np.random.default_rng(0)
    means = drawn[chance.integers(0, len(drawn), (_SAMPLES, len(drawn)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(drawn.mean()), float(low), float(high)


def area_under_curve(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Probability that a score of `positive` is above one of `negative`; ties count half."""
    if not positive or not negative:
        return math.nan
    high, low = np.array(positive)[:, None], np.array(negative)[None]
    return float((high > low).mean() + 0.5 * (high == low).mean())


def reliability(scores: Sequence[float], right: Sequence[bool]) -> list[tuple[int, float, float]]:
    """For each of ten equal spans of scores: number of hits, mean score, share that is right."""
    bins = np.minimum((np.array(scores) * BINS).astype(int), BINS - 1)
    hits: npt.NDArray[np.float64] = np.array(right, dtype=float)
    table: list[tuple[int, float, float]] = []
    for number in range(BINS):
        inside = bins == number
        mean = float(np.array(scores)[inside].mean()) if inside.any() else math.nan
        share = float(hits[inside].mean()) if inside.any() else math.nan
        table.append((int(inside.sum()), mean, share))
    return table


def calibration_error(scores: Sequence[float], right: Sequence[bool]) -> float:
    """Mean distance of score and share of right hits over the spans, weighted by their hits."""
    if not scores:
        return math.nan
    table = reliability(scores, right)
    return sum(n * abs(mean - share) for n, mean, share in table if n) / len(scores)
