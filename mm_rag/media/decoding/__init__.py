"""Decoding of sound and video frames with one of two backends, which give the same results.

torchcodec uses the FFmpeg libraries of the system, PyAV those in its wheel.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Literal, TypeAlias

from mm_rag._optional import require
from mm_rag.errors import InputError, MissingExtra
from mm_rag.media.decoding.base import Frame, FrameDecoder, SampleDecoder
from mm_rag.media.ffmpeg import AudioTrack, Probe, VideoTrack

Backend: TypeAlias = Literal["torchcodec", "pyav"]

__all__ = [
    "Backend",
    "Frame",
    "FrameDecoder",
    "SampleDecoder",
    "decoding_backend",
    "frame_decoder",
    "sample_decoder",
]


def decoding_backend() -> Backend:
    """The best backend that works here: `torchcodec` if it finds FFmpeg's libraries, else `pyav`.

    By default torchcodec is only used if torch is imported already.
    """
    return "pyav" if _torchcodec_fault() else "torchcodec"


@cache
def _torchcodec_fault() -> MissingExtra | None:
    """Why torchcodec cannot decode: it is missing, or finds no FFmpeg; None if it can."""
    try:
        torchcodec = require("torchcodec", extra="video", feature="Decoding with torchcodec")
    except MissingExtra as error:
        # Older versions raise RuntimeError on import if they find no FFmpeg libraries.
        return error
    # Newer versions can be imported, but fail at the first file.
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
    # The results are equal: a faster backend is not worth the seconds that importing torch takes.
    chosen = backend or (decoding_backend() if "torch" in sys.modules else "pyav")
    if chosen == "torchcodec" and (fault := _torchcodec_fault()):
        raise InputError(f"{fault} Or use the backend 'pyav', which brings its own FFmpeg.")
    return chosen
