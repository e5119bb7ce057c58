"""Scaling: vectors to unit length, scores to [0, 1], and the order of scores."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

import numpy as np

from mm_rag.collection.store import Vectors

Key = TypeVar("Key", bound=Hashable)


def unit(vectors: Vectors) -> Vectors:
    """Scale vectors to unit length; zero vectors stay zero."""
    lengths: Vectors = np.linalg.norm(vectors, axis=-1, keepdims=True).astype(np.float32)
    lengths[lengths == 0.0] = 1.0
    return vectors / lengths


def min_max(scores: Mapping[Key, float]) -> dict[Key, float]:
    """Scores normalised to [0, 1] by their minimum and maximum; all 1 if they are equal."""
    if not scores:
        return {}
    high, low = max(scores.values()), min(scores.values())
    span = high - low
    return {key: (score - low) / span if span else 1.0 for key, score in scores.items()}


def best_first(scores: Mapping[Key, float]) -> list[Key]:
    """The keys, best first; ties in the order of their string forms, so that it is stable."""
    return sorted(scores, key=lambda key: (-scores[key], str(key)))
