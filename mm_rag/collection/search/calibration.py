"""Calibration: makes similarities of different kinds of segments comparable.

A model that sees puts pictures and texts in two regions far from each other (the modality gap): the
worst text may be nearer to a text query than the right picture. Whole pages, passages and the words
of photos differ, too, but less. So a similarity is compared with those of other segments of the
same kind to the same query, estimated from a sample.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from mm_rag.built_in import SIMILARITY_DEVIATIONS
from mm_rag.collection.catalog import Catalog, Kind, stacked
from mm_rag.collection.search.scaling import unit
from mm_rag.collection.store import Vectors
from mm_rag.encoder import Encoder

SAMPLE = 512
"""Segments sampled of each kind. Their mean is exact to a few hundredths of the standard
deviation."""

_MIN_DEVIATION = 0.005
"""Smallest standard deviation that is trusted: copies of one text have none."""

_PRIOR_WEIGHT = 64
"""Number of similarities that the mean of its region, and the model's typical deviation, count as
beside those of a kind."""

_MEASURED_WEIGHT = 32
"""The same for mean and deviation measured between this collection's regions: of two pictures one
may be the answer itself, which must not define what is average."""

_PRIOR_DEVIATION = 0.1
"""Standard deviation assumed of a model where none was measured."""

_MIN_SEGMENTS = 8
"""Segments that are enough to measure the standard deviation of their similarities."""

_OF_SEGMENTS = 0.75
"""Deviation of similarities to a query, as a share of that of segments to each other: 0.6 to 0.83
in seven collections."""

_MOST_ROWS = 64
"""Segments whose similarities to all others are measured for that."""

_MOST_ANSWERS = 4
"""Most similarities that are left out of a sample as those of possible answers."""

_MIN_MEASURED = 32
"""Vectors of the query's modality needed to measure a prior."""


@dataclass(frozen=True)
class Cluster:
    """Segments of one kind, whose similarities to a query are comparable.

    Attributes:
        kind: Their kind.
        region: Where the model puts them: `words` for texts and for modalities that it encodes as
            text; else the modality.
        count: Number of segments.
        sample: Embeddings of some of them, unit length, shape (at most SAMPLE, dimension).
        deviation: Standard deviation of similarities to a query that is typical of the model.
    """

    kind: Kind
    region: str
    count: int
    sample: Vectors
    deviation: float

    @cached_property
    def mean(self) -> Vectors:
        """Mean of the sample, shape (dimension,)."""
        return self.sample.mean(axis=0)


class Prior(NamedTuple):
    """Expected mean and standard deviation, and the number of similarities that they count as."""

    mean: float
    deviation: float
    weight: float


class Calibration:
    """The clusters of a collection in one state.

    Args:
        catalog: Source of the sampled embeddings.
        encoder: Tells which modalities it encodes as text.
    """

    def __init__(self, catalog: Catalog, encoder: Encoder) -> None:
        self._encoder = encoder
        self._clusters: dict[Kind, Cluster] = {}
        for kind, count in catalog.kinds().items():
            sample = _nonzero(unit(stacked(catalog.sample(kind, SAMPLE))))
            region, deviation = self.region_of(kind.modality), _deviation(sample, encoder)
            self._clusters[kind] = Cluster(kind, region, count, sample, deviation)
        self._priors: dict[tuple[str, Kind], Prior] = {}

    def region_of(self, modality: str) -> str:
        """`words` for texts and what the encoder encodes as text; else the modality."""
        is_text = modality == "text" or self._encoder.encodes_as_text(modality)
        return "words" if is_text else modality

    def __iter__(self) -> Iterator[Cluster]:
        return iter(self._clusters.values())

    def offset_and_scale(
        self, kind: Kind, query: Vectors, query_modality: str
    ) -> tuple[float, float]:
        """Return what to subtract from similarities to a query, and what to divide them by.

        The offset is the expected maximum similarity of so many unrelated segments:
        mean + deviation * sqrt(2 ln count). The scale is the standard deviation. Both are estimated
        without the most similar of the sample, which may be answers. (0, 1) without such segments.

        Args:
            kind: Kind of the segments.
            query: Unit length, shape (dimension,).
            query_modality: Modality of the query (`modality_name`).
        """
        cluster, own = self._clusters.get(kind), self.region_of(query_modality)
        if cluster is None:
            return 0.0, 1.0
        inside = [each for each in self if each.region == cluster.region]
        # Half way between two beliefs: that every segment of the region is equally likely to be the
        # answer, and that every kind is. With the first, photos hardly ever come before passages.
        count = math.sqrt(cluster.count * sum(each.count for each in inside))
        similarities = cluster.sample @ query
        if cluster.region == own or self._known(own) < _MIN_MEASURED:
            # What is average for a few recordings is estimated from all that is in their region.
            mean = _whole(np.concatenate([each.sample @ query for each in inside]))[0]
            prior = Prior(mean, cluster.deviation, _PRIOR_WEIGHT)
            return chance(similarities, count, prior)
        if (own, kind) not in self._priors:
            known = np.concatenate([each.sample for each in self if each.region == own])
            between = known @ cluster.sample.T
            mean, deviation = float(between.mean()), float(between.std())
            self._priors[own, kind] = Prior(mean, deviation, _MEASURED_WEIGHT)
        return chance(similarities, count, self._priors[own, kind])

    def _known(self, region: str) -> int:
        return sum(len(each.sample) for each in self if each.region == region)


def _nonzero(sample: Vectors) -> Vectors:
    """The sample without zero vectors, which media without words have, unless it has no others."""
    rows = sample.any(axis=1)
    return sample[rows] if rows.any() else sample


def _deviation(sample: Vectors, encoder: Encoder) -> float:
    """The standard deviation of similarities to a query that is typical of the model.

    Unless it is known, it is estimated from the similarities of segments to each other.
    """
    if encoder.name in SIMILARITY_DEVIATIONS:
        return SIMILARITY_DEVIATIONS[encoder.name]
    if len(sample) < _MIN_SEGMENTS:
        return _PRIOR_DEVIATION
    rows = sample[:: max(1, len(sample) // _MOST_ROWS)]
    similarities = np.sort(rows @ sample.T, axis=1)[:, :-1]  # without its own
    return max(_MIN_DEVIATION, _OF_SEGMENTS * float(similarities.std(axis=1).mean()))


def chance(similarities: Vectors, count: float, prior: Prior) -> tuple[float, float]:
    """Return `Calibration.offset_and_scale` for `count` segments.

    Args:
        similarities: To the query, of a sample; shape (n,).
        count: Number of segments.
        prior: What is expected.
    """
    mean, variance, n = _whole(similarities)
    mean = (mean * n + prior.mean * prior.weight) / (n + prior.weight)
    variance = (variance * n + prior.deviation**2 * prior.weight) / (n + prior.weight)
    deviation = max(_MIN_DEVIATION, math.sqrt(variance))
    return mean + deviation * math.sqrt(2 * math.log(max(1.0, count))), deviation


def _whole(similarities: Vectors) -> tuple[float, float, int]:
    """Mean and variance of similarities, estimated without the highest, and how many were used.

    The highest may be answers: an eighth of them, and at most `_MOST_ANSWERS`. Mean and variance of
    a normal distribution follow from those of its lower part.
    """
    n = len(similarities)
    answers = min(_MOST_ANSWERS, math.ceil(n / 8)) if n > 1 else 0
    used = np.partition(similarities, n - answers - 1)[: n - answers] if answers else similarities
    mean, variance = float(used.mean()), float(used.var())
    if answers:
        share = len(used) / n
        cut = NormalDist().inv_cdf(share)
        ratio = NormalDist().pdf(cut) / share
        variance /= 1.0 - cut * ratio - ratio**2
        mean += ratio * math.sqrt(variance)
    return mean, variance, len(used)
