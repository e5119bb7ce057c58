"""An encoder without weights whose vectors are given, so that all similarities are known."""

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
    """Encode each content as the vector given for its first line, or else a random one.

    The vectors of one modality share a direction, as those of multimodal models do: the cosine of
    two vectors of one modality is higher by `gap` than that of two vectors of different modalities.

    Args:
        dimension: Size of the vectors.
        gap: Difference of the cosines; 0 for none. The rest of a cosine is that of the given
            vectors, times 1 - `gap`.
        planned: Unit vectors by first line, whose first four values are 0. Other lines get a random
            vector, always the same.
        shared: Whether all modalities share one direction, so that there is no gap between them.
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
        """All modalities, none of them read as text."""
        return MODALITIES

    @property
    def out_dim(self) -> int:
        """Size of the vectors."""
        return self._dimension

    def config(self) -> dict[str, object]:
        """The arguments that a saved model needs."""
        return {"dimension": self._dimension, "gap": self._gap, "shared": self._shared}

    def preprocess(self, contents: Sequence[Content], *, prompt: str = "") -> Features:
        """Look up the vectors, shape [contents, dimension]."""
        vectors = np.stack([self._vector(content) for content in contents])
        return Features({"sentence_embedding": torch.from_numpy(vectors)})

    def forward(self, features: Features) -> Features:
        """Return the features: `preprocess` has put the vectors in."""
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
    """A random unit vector, always the same for a name; its first four values are 0."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    vector = np.random.default_rng(seed).standard_normal(dimension, dtype=np.float32)
    vector[: len(MODALITIES)] = 0.0
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def made_up(name: str, modality: Modality, text: str, media: Path | None = None) -> Segment:
    """A synthetic Segment."""
    return Segment(
        modality=modality,
        source=f"/made-up/{name}",
        sha256=hashlib.sha256(name.encode()).hexdigest(),
        text=text,
        media=None if media is None else str(media),
    )


def at_cosine(vector: Vectors, cosine: float, name: str) -> Vectors:
    """A random unit vector with the given cosine to another vector."""
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
    """An Encoder with one `Planted` module; takes the same arguments."""
    module = Planted(dimension, gap=gap, planned=planned, shared=shared)
    return Encoder(modules=[module], truncate_dim=truncate_dim)
