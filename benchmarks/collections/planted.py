"""Models without weights, whose vectors are planted: what is near to what is known beforehand."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from mm_rag import Encoder, Segment
from mm_rag.content import MODALITIES, Chat, Content, Mixed, Modality, modality_name
from mm_rag.modules import Features, InputModule

Vectors = npt.NDArray[np.float32]


class Planted(InputModule):
    """Gives every content the unit vector planned for its first line, or one of chance.

    A modality's vectors have a direction in common, as those of models that see have: two vectors
    of one modality are nearer to each other by `gap`, two of different ones are not.

    Args:
        dimension: Of the vectors.
        gap: What the cosine of two vectors of one modality is above that of two of different ones;
            0 for no gap. The rest of the cosine is that of the planned vectors, times 1 - `gap`.
        planned: Unit vectors by first line, whose first four values are 0. Lines that are not in it
            are given a random one, always the same.
        shared: Whether all modalities have the one direction in common: no gap between them, all
            else being equal.
    """

    type_name = "benchmarks.Planted"

    def __init__(
        self,
        dimension: int,
        *,
        gap: float = 0.3,
        planned: Mapping[str, Vectors] | None = None,
        shared: bool = False,
    ) -> None:
        super().__init__()
        self._dimension, self._gap, self._shared = dimension, gap, shared
        self._planned = planned or {}

    @property
    def modalities(self) -> tuple[str, ...]:
        """All of them, each seen or heard and none read."""
        return MODALITIES

    @property
    def out_dim(self) -> int:
        """The dimension."""
        return self._dimension

    def config(self) -> dict[str, object]:
        """What two of them are told apart by."""
        return {"dimension": self._dimension, "gap": self._gap, "shared": self._shared}

    def preprocess(self, contents: Sequence[Content], *, prompt: str = "") -> Features:
        """Look the vectors up."""
        vectors = np.stack([self._vector(content) for content in contents])
        return Features({"sentence_embedding": torch.from_numpy(vectors)})

    def forward(self, features: Features) -> Features:
        """They are there already."""
        return features

    def _vector(self, content: Content) -> Vectors:
        assert not isinstance(content, Mixed | Chat)
        line = (content.text or "").partition("\n")[0]
        planned = self._planned.get(line)
        own = random_unit(line, self._dimension) if planned is None else planned
        vector = own * np.float32(np.sqrt(1.0 - self._gap))
        place = 0 if self._shared else MODALITIES.index(modality_name(content))
        vector[place] = np.sqrt(self._gap)
        return vector.astype(np.float32)


def random_unit(name: str, dimension: int) -> Vectors:
    """A unit vector of chance, the same for the same name; its first four values are 0."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    vector = np.random.default_rng(seed).standard_normal(dimension, dtype=np.float32)
    vector[: len(MODALITIES)] = 0.0
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def made_up(name: str, modality: Modality, text: str, media: Path | None = None) -> Segment:
    """A Segment out of nowhere."""
    return Segment(
        modality=modality,
        source=f"/made-up/{name}",
        sha256=hashlib.sha256(name.encode()).hexdigest(),
        text=text,
        media=None if media is None else str(media),
    )


def at_cosine(vector: Vectors, cosine: float, name: str) -> Vectors:
    """A unit vector with this cosine to another one, and of chance otherwise."""
    other = random_unit(name, len(vector))
    other = other - vector * (other @ vector)
    other = other / np.linalg.norm(other)
    return (cosine * vector + np.sqrt(1.0 - cosine**2) * other).astype(np.float32)


def planted_encoder(
    dimension: int,
    *,
    gap: float = 0.3,
    planned: Mapping[str, Vectors] | None = None,
    shared: bool = False,
    truncate_dim: int | None = None,
) -> Encoder:
    """An Encoder that gives planted vectors; the arguments are those of `Planted`."""
    module = Planted(dimension, gap=gap, planned=planned, shared=shared)
    return Encoder(modules=[module], truncate_dim=truncate_dim)
