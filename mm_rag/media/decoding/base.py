"""Interfaces of the decoding backends, and what these share.

Decoders are given the time stamps of the file itself; `mm_rag.media.audio` and
`mm_rag.media.video` convert times that count from 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mm_rag.media.ffmpeg import FrameTable

SAME_TIME = 1e-4  # seconds; closer time stamps are equal, apart from rounding


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A decoded frame.

    Attributes:
        pts: Presentation time in the file, in seconds.
        pixels: Upright RGB, shape (height, width, 3), uint8.
    """

    pts: float
    pixels: npt.NDArray[np.uint8]


class SampleDecoder(Protocol):
    """Decodes one audio track at its own sample rate, mixed to mono."""

    damage: list[str]
    """Damage found so far, in words; grows while reading."""

    def read(self, start: float, end: float) -> npt.NDArray[np.float32]:
        """Samples of the span [start, end) in file time, shape (n,); fewer at the end of the track.

        Reading spans in order never seeks.
        """
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class FrameDecoder(Protocol):
    """Decodes one video track."""

    damage: list[str]
    """Damage found so far, in words; grows while reading."""

    @property
    def table(self) -> FrameTable:
        """Presentation times of all frames."""
        ...

    def frames(self, times: Sequence[float]) -> Iterator[Frame]:
        """The frame shown at each of the ascending `times`, in file time.

        Times before the first frame give the first, times after the last the last. If frames cannot
        be decoded, there are fewer frames than times.
        """
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def span_of(
    samples: npt.NDArray[np.float32], first: float, start: float, end: float, rate: int
) -> npt.NDArray[np.float32]:
    """Cut the span [start, end) out of samples that begin at `first` seconds.

    If they begin after the start of the span, silence fills the time before.
    """
    offset, wanted = round((start - first) * rate), round((end - start) * rate)
    if offset < 0:
        # A damaged time stamp may be years off.
        silence = np.zeros(min(-offset, wanted), np.float32)
        return np.concatenate([silence, samples[: wanted - len(silence)]])
    return samples[offset:][:wanted]
