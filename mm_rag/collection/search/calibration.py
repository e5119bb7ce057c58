"""Calibration: makes similarities of different modalities comparable.

A model that sees puts pictures and texts in two clusters far from each other (the modality gap):
the worst text may be nearer to a text query than the right picture. So a similarity is compared
with those of other segments in the same cluster to the same query, estimated from a sample.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from mm_rag.collection.catalog import Catalog, stacked
from mm_rag.collection.search.scaling import unit
from mm_rag.collection.store import Vectors
from mm_rag.encoder import Encoder

SAMPLE = 512
"""Segments sampled for each modality. Their mean is exact to a few hundredths of the standard
deviation."""

_MIN_DEVIATION = 0.02
"""Smallest standard deviation that is trusted: a sample of two may agree by chance."""

_PRIOR_WEIGHT = 4
"""How many similarities of the prior distribution are mixed into those of the sample."""

_MEASURED_PRIOR_WEIGHT = 32
"""The same for a prior measured on this collection: of two pictures one may be the answer itself,
which must not define what is average."""

_PRIOR_DEVIATION = 0.1
"""Standard deviation assumed where none was measured."""

_MIN_MEASURED = 32
"""Vectors of the query's modality needed to measure a prior."""


@dataclass(frozen=True)
class Cluster:
    """Embeddings whose similarities to a query are comparable.

    Attributes:
        name: `words` for texts and for modalities that the model encodes as text; else the
            modality.
        modalities: The modalities of its segments.
        count: Number of segments.
        sample: Embeddings of some of them, unit length, shape (at most SAMPLE, dimension).
    """

    name: str
    modalities: frozenset[str]
    count: int
    sample: Vectors

    @cached_property
    def mean(self) -> Vectors:
        """Mean of the sample, shape (dimension,)."""
        return self.sample.mean(axis=0)

    def offset_and_scale(
        self, query: Vectors, prior: tuple[float, float] | None = None
    ) -> tuple[float, float]:
        """Return what to subtract from similarities to a query, and what to divide them by.

        The offset is the expected maximum similarity of `count` unrelated segments:
        mean + deviation * sqrt(2 ln count). The scale is the standard deviation.

        Args:
            query: Unit length, shape (dimension,).
            prior: Mean and standard deviation of similarities between this cluster and queries of
                that modality, for clusters too small to estimate them.
        """
        return chance(self.sample @ query, self.count, prior)


class Calibration:
    """The clusters of a collection in one state.

    Args:
        catalog: Source of the sampled embeddings.
        encoder: Tells which modalities it encodes as text.
    """

    def __init__(self, catalog: Catalog, encoder: Encoder) -> None:
        counts = catalog.counts()
        named: dict[str, list[str]] = defaultdict(list)
        for modality in counts:
            named[cluster_name(modality, encoder)].append(modality)
        self._clusters: dict[str, Cluster] = {}
        for name, modalities in named.items():
            total = sum(counts[modality] for modality in modalities)
            sizes = {m: max(1, round(SAMPLE * counts[m] / total)) for m in modalities}
            drawn = [vector for m in modalities for vector in catalog.sample(m, sizes[m])]
            sample = _nonzero(unit(stacked(drawn)))
            self._clusters[name] = Cluster(name, frozenset(modalities), total, sample)
        self._encoder = encoder
        self._priors: dict[tuple[str, str], tuple[float, float]] = {}

    def __iter__(self) -> Iterator[Cluster]:
        return iter(self._clusters.values())

    def cluster_of(self, modality: str) -> Cluster | None:
        """The cluster of a modality; None if the catalog has no such segments."""
        return self._clusters.get(cluster_name(modality, self._encoder))

    def offset_and_scale(
        self, modality: str, query: Vectors, query_modality: str
    ) -> tuple[float, float]:
        """Return `Cluster.offset_and_scale` for segments of a modality; (0, 1) without a cluster.

        Args:
            modality: Modality of the segments.
            query: Unit length, shape (dimension,).
            query_modality: Modality of the query (`modality_name`).
        """
        cluster, own = self.cluster_of(modality), self.cluster_of(query_modality)
        if cluster is None:
            return 0.0, 1.0
        if own is None or own is cluster or len(own.sample) < _MIN_MEASURED:
            return cluster.offset_and_scale(query)
        key = (own.name, cluster.name)
        if key not in self._priors:
            similarities = own.sample @ cluster.sample.T
            self._priors[key] = float(similarities.mean()), float(similarities.std())
        return cluster.offset_and_scale(query, self._priors[key])


def _nonzero(sample: Vectors) -> Vectors:
    """The sample without zero vectors, which media without words have, unless it has no others."""
    rows = sample.any(axis=1)
    return sample[rows] if rows.any() else sample


def chance(
    similarities: Vectors, count: int, prior: tuple[float, float] | None = None
) -> tuple[float, float]:
    """`Cluster.offset_and_scale`, for `count` segments of which some similarities are known."""
    n, mean = len(similarities), float(similarities.mean())
    prior_mean, deviation = prior or (mean, _PRIOR_DEVIATION)
    weight = _PRIOR_WEIGHT if prior is None else _MEASURED_PRIOR_WEIGHT
    mean = (mean * n + prior_mean * weight) / (n + weight)
    variance = (float(similarities.var()) * n + deviation**2 * weight) / (n + weight)
    deviation = max(_MIN_DEVIATION, math.sqrt(variance))
    return mean + deviation * math.sqrt(2 * math.log(max(1, count))), deviation


def cluster_name(modality: str, encoder: Encoder) -> str:
    """`words` for texts and what the encoder encodes as text; else the modality."""
    return "words" if modality == "text" or encoder.encodes_as_text(modality) else modality
