"""Fusion: several lists of scores, of different scales, made into one."""

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
    """The mean of the voices, each stretched to [0, 1]; who is not in a voice gets 0 there."""
    voices = [min_max(voice) for voice in voices if voice]
    total: dict[Key, float] = defaultdict(float)
    for voice in voices:
        for key, score in voice.items():
            total[key] += score / len(voices)
    return dict(total)
