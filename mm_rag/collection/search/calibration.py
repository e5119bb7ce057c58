"""Spaces: what vectors of each modality look like, and how near is near among them.

A model that sees puts pictures and texts in two clouds, far from each other (the modality gap): the
worst text is nearer to a text than the right picture. So a similarity says something only beside
those that Segments of the same cloud have with the same query; a sample of each is kept for that.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mm_rag.collection.catalog import Catalog, stacked
from mm_rag.collection.store import Vectors
from mm_rag.encoder import Encoder

SAMPLE = 512
"""Segments that stand for all of a modality. Their mean is right to a few hundredths of what single
ones differ by."""

_FLOOR = 0.02
"""The least standard deviation that is believed: a sample of two may agree by chance."""

_DOUBT = 4
"""As how many more similarities, of the usual spread, the doubt about a small sample counts."""

_MEASURED = 32
"""The same where it was measured what is usual: what a query looks for must not be the measure of
how near it is, and of two pictures one may be just that."""

_USUAL = 0.1
"""The standard deviation that is usual as far as anybody knows."""

_TELLING = 32  # vectors like the query that must be there to measure that with


@dataclass(frozen=True)
class Space:
    """What can be compared with each other.

    Attributes:
        name: `words` for texts and whatever is read to be words; else the modality.
        modalities: What lies in it.
        count: How many Segments.
        sample: Some of their vectors, of length 1, of shape (at most SAMPLE, dimension).
    """

    name: str
    modalities: frozenset[str]
    count: int
    sample: Vectors

    @cached_property
    def mean(self) -> Vectors:
        """Where its cloud lies, of shape (dimension,)."""
        return self.sample.mean(axis=0)

    def scale(
        self, query: Vectors, usual: tuple[float, float] | None = None
    ) -> tuple[float, float]:
        """How to calibrate similarities to a query: subtract the first, divide by the second.

        The first is what the nearest of `count` Segments that have nothing to do with the query
        may be expected to reach by chance: mean + deviation * sqrt(2 ln count).

        Args:
            query: Of length 1, of shape (dimension,).
            usual: Mean and standard deviation of the similarities to queries like this one: of a
                single picture nobody could say whether it is near.
        """
        similarities = self.sample @ query
        n, own = len(similarities), float(similarities.mean())
        usually, deviation = usual or (own, _USUAL)
        doubt = _DOUBT if usual is None else _MEASURED
        mean = (own * n + usually * doubt) / (n + doubt)
        spread = (float(similarities.var()) * n + deviation**2 * doubt) / (n + doubt)
        deviation = max(_FLOOR, math.sqrt(spread))
        return mean + deviation * math.sqrt(2 * math.log(max(1, self.count))), deviation


class Spaces:
    """The spaces of a collection, as they were when it was last written to.

    Args:
        catalog: Whose vectors.
        encoder: Which says what is read.
    """

    def __init__(self, catalog: Catalog, encoder: Encoder) -> None:
        counts = catalog.counts()
        named: dict[str, list[str]] = defaultdict(list)
        for modality in counts:
            named[space_of(modality, encoder)].append(modality)
        self._spaces: dict[str, Space] = {}
        for name, modalities in named.items():
            total = sum(counts[modality] for modality in modalities)
            shares = {m: max(1, round(SAMPLE * counts[m] / total)) for m in modalities}
            drawn = [vector for m in modalities for vector in catalog.sample(m, shares[m])]
            self._spaces[name] = Space(name, frozenset(modalities), total, unit(stacked(drawn)))
        self._encoder = encoder
        self._usual: dict[tuple[str, str], tuple[float, float]] = {}

    def __iter__(self) -> Iterator[Space]:
        return iter(self._spaces.values())

    def of(self, modality: str) -> Space | None:
        """Where Segments of a modality lie; None where the catalog knows none there."""
        return self._spaces.get(space_of(modality, self._encoder))

    def scale(self, modality: str, query: Vectors, asked: str) -> tuple[float, float]:
        """As `Space.scale`, of the space of a modality.

        Args:
            modality: Of the Segments.
            query: Of length 1, of shape (dimension,).
            asked: What the query is (`modality_name`).
        """
        space, home = self.of(modality), self.of(asked)
        if space is None:
            return 0.0, 1.0
        if home is None or home is space or len(home.sample) < _TELLING:
            return space.scale(query)
        key = (home.name, space.name)
        if key not in self._usual:
            similarities = home.sample @ space.sample.T
            self._usual[key] = float(similarities.mean()), float(similarities.std())
        return space.scale(query, self._usual[key])


def space_of(modality: str, encoder: Encoder) -> str:
    """The name of the space: a similarity to words is not one to pixels."""
    return "words" if modality == "text" or encoder.reads(modality) else modality


def unit(vectors: Vectors) -> Vectors:
    """Vectors brought to length 1; those of length 0 stay."""
    lengths: Vectors = np.linalg.norm(vectors, axis=-1, keepdims=True).astype(np.float32)
    lengths[lengths == 0.0] = 1.0
    return vectors / lengths
