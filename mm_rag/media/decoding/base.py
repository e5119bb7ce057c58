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

SAME_TIME = 1e-4  # seconds; time stamps closer than this are equal, as floats they may not be


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A decoded frame.

    Attributes:
        pts: When it is shown, by the file's own time stamps, in seconds.
        pixels: Upright, of shape (height, width, 3), uint8, RGB.
    """

    pts: float
    pixels: npt.NDArray[np.uint8]


class SampleDecoder(Protocol):
    """Decodes one audio track, in its own sample rate, mixed to mono."""

    damage: list[str]
    """What could not be decoded, in words; grows while reading."""

    def read(self, start: float, end: float) -> npt.NDArray[np.float32]:
        """Samples of the span [start, end) in file time, shape (n,); shorter where it ends.

        Reading spans in order never seeks.
        """
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class FrameDecoder(Protocol):
    """Decodes one video track."""

    damage: list[str]
    """What could not be decoded, in words; grows while reading."""

    @property
    def table(self) -> FrameTable:
        """When the frames of the track are shown."""
        ...

    def frames(self, times: Sequence[float]) -> Iterator[Frame]:
        """The frame shown at each of the ascending `times` in file time.

        Before the first frame that is the first, after the last the last; where nothing can be
        decoded there are fewer frames than times.
        """
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


def span_of(
    samples: npt.NDArray[np.float32], first: float, start: float, end: float, rate: int
) -> npt.NDArray[np.float32]:
    """Cut the span [start, end) out of samples of which the first is at `first` seconds.

    Where they begin later than the span does, silence fills the time before.
    """
    offset, wanted = round((start - first) * rate), round((end - start) * rate)
    if offset < 0:
        # A damaged time stamp may be years later.
        silence = np.zeros(min(-offset, wanted), np.float32)
        return np.concatenate([silence, samples[: wanted - len(silence)]])
    return samples[offset:][:wanted]
