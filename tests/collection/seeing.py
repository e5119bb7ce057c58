"""A model that sees and hears without looking: its vectors are planted."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from mm_rag import Encoder, Segment
from mm_rag.content import Content, Modality, parts_of
from mm_rag.modules import Features, InputModule

DIMENSION = 128
GAP = 0.3
_KINDS: tuple[Modality, ...] = ("text", "image", "audio", "video")


class Seeing(InputModule):
    """Every first line has a direction of its own, and every modality one that all of it share.

    Two vectors of one modality are nearer to each other by `gap` than two of different ones.

    Args:
        gap: That much.
        planned: By first line, the line to whose direction it is near, and their cosine.
    """

    type_name = "tests.Seeing"

    def __init__(self, gap: float, planned: Mapping[str, tuple[str, float]]) -> None:
        super().__init__()
        self._gap, self._planned = gap, planned

    @property
    def modalities(self) -> tuple[str, ...]:
        return (*_KINDS, "image+text")

    @property
    def out_dim(self) -> int:
        return DIMENSION

    def preprocess(self, contents: Sequence[Content], *, prompt: str = "") -> Features:
        vectors = np.stack([self._vector(content) for content in contents])
        return Features({"sentence_embedding": torch.from_numpy(vectors)})

    def forward(self, features: Features) -> Features:
        return features

    def _vector(self, content: Content) -> np.ndarray:
        total = np.zeros(DIMENSION, dtype=np.float32)
        for part in parts_of(content):
            line = (part.text or "").partition("\n")[0]
            if line == "nothing at all":
                continue
            total += np.sqrt(1.0 - self._gap) * self._own(line)
            total[_KINDS.index(part.modality)] += np.sqrt(self._gap)
        return total / max(1e-9, float(np.linalg.norm(total)))

    def _own(self, line: str) -> np.ndarray:
        if line not in self._planned:
            return _direction(line)
        near, cosine = self._planned[line]
        centre, other = _direction(near), _direction(line)
        other = other - (other @ centre) * centre
        other /= np.linalg.norm(other)
        return cosine * centre + np.sqrt(1.0 - cosine**2) * other


def _direction(line: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(line.encode()).digest()[:8], "big")
    vector = np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
    vector[: len(_KINDS)] = 0.0
    return vector / np.linalg.norm(vector)


def seeing(planned: Mapping[str, tuple[str, float]] | None = None, *, gap: float = GAP) -> Encoder:
    """An Encoder that gives planted vectors."""
    return Encoder(modules=[Seeing(gap, planned or {})])


def seen(line: str, media: Path, modality: Modality = "image", **more: object) -> Segment:
    """A picture, or a recording, of which the model knows this line; nobody can read it."""
    sha256 = hashlib.sha256(f"{modality} {line}".encode()).hexdigest()
    fields = {"source": f"/nowhere/{line}", "sha256": sha256, "media": str(media)} | more
    return Segment(modality=modality, text=line, **fields)  # pyright: ignore[reportArgumentType]
