"""What a decoding backend does, and which one is used.

torchcodec decodes with the system's own FFmpeg libraries, PyAV with those in its wheel. Both are
given the times of the file's own time stamps; `mm_rag.media.audio` and `mm_rag.media.video` make
times that count from 0 out of them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from mm_rag._optional import require
from mm_rag.errors import InputError, MissingExtra
from mm_rag.media.ffmpeg import AudioTrack, FrameTable, Probe, VideoTrack

Backend: TypeAlias = Literal["torchcodec", "pyav"]

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


def decoding_backend() -> Backend:
    """The best backend that works here: `torchcodec` where it finds FFmpeg's libraries, or `pyav`.

    By default the first is used only where torch is loaded already.
    """
    return "pyav" if _torchcodec_fault() else "torchcodec"


@cache
def _torchcodec_fault() -> MissingExtra | None:
    """Why torchcodec cannot decode: it is missing, or finds no FFmpeg; None where it can."""
    try:
        torchcodec = require("torchcodec", extra="video", feature="Decoding with torchcodec")
    except MissingExtra as error:
        # Older ones raise RuntimeError where none of their builds finds FFmpeg's libraries.
        return error
    # Newer ones are imported all the same, and fail at the first file.
    if getattr(torchcodec, "ffmpeg_major_version", "unknown") is None:
        return MissingExtra(
            "Decoding with torchcodec needs FFmpeg's shared libraries, and torchcodec "
            "finds none that it knows; install FFmpeg for that."
        )
    return None


def sample_decoder(source: Probe, track: AudioTrack, backend: Backend | None) -> SampleDecoder:
    """Open an audio track with a backend, by default `decoding_backend()`."""
    if _chosen(backend) == "torchcodec":
        from mm_rag.media.decoding.torchcodec import TorchCodecSamples

        return TorchCodecSamples(source, track)
    from mm_rag.media.decoding.pyav import PyAVSamples

    return PyAVSamples(source, track)


def frame_decoder(source: Probe, track: VideoTrack, backend: Backend | None) -> FrameDecoder:
    """Open a video track with a backend, by default `decoding_backend()`."""
    if _chosen(backend) == "torchcodec":
        from mm_rag.media.decoding.torchcodec import TorchCodecFrames

        return TorchCodecFrames(source, track)
    from mm_rag.media.decoding.pyav import PyAVFrames

    return PyAVFrames(source, track)


def _chosen(backend: Backend | None) -> Backend:
    # Both give the same: what torchcodec gains is not worth the seconds that torch takes to load.
    chosen = backend or (decoding_backend() if "torch" in sys.modules else "pyav")
    if chosen == "torchcodec" and (fault := _torchcodec_fault()):
        raise InputError(f"{fault} Or use the backend 'pyav', which brings its own FFmpeg.")
    return chosen


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
