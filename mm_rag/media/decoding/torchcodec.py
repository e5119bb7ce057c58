"""Decoding with torchcodec, which uses the FFmpeg libraries of the system.

torchcodec stops at the first damaged packet, while PyAV continues with the next one. Therefore the
rest of a damaged file is read with PyAV.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mm_rag._optional import require
from mm_rag.media.decoding.base import SAME_TIME, Frame, span_of
from mm_rag.media.decoding.pyav import PyAVFrames, PyAVSamples
from mm_rag.media.ffmpeg import AudioTrack, Probe, VideoTrack, frame_table

_RUN_UP = 0.25  # seconds decoded before a span and dropped: decoders start with a transient


class TorchCodecSamples:
    """A SampleDecoder on torchcodec."""

    def __init__(self, source: Probe, track: AudioTrack) -> None:
        self._source, self._track = source, track
        self._decoder: Any = _open("AudioDecoder", source, track.index)
        self._fallback: PyAVSamples | None = None
        self.damage: list[str] = []

    def read(self, start: float, end: float) -> npt.NDArray[np.float32]:
        """Samples of the span [start, end), as `SampleDecoder`."""
        if self._decoder is not None:
            try:
                begin = max(0.0, start - _RUN_UP)
                samples = self._decoder.get_samples_played_in_range(begin, end)
            except RuntimeError:
                self._decoder = None
            else:
                mono = samples.data.mean(dim=0).numpy()
                return span_of(mono, samples.pts_seconds, start, end, self._track.sample_rate)
        return self._pyav().read(start, end)

    def close(self) -> None:
        """Close the file."""
        self._decoder = None
        if self._fallback is not None:
            self._fallback.close()

    def _pyav(self) -> PyAVSamples:
        if self._fallback is None:
            self._fallback = PyAVSamples(self._source, self._track)
            self.damage = self._fallback.damage
        return self._fallback


class TorchCodecFrames:
    """A FrameDecoder on torchcodec."""

    def __init__(self, source: Probe, track: VideoTrack) -> None:
        self._source, self._track = source, track
        self._decoder: Any = _open(
            "VideoDecoder", source, track.index, dimension_order="NHWC", num_ffmpeg_threads=0
        )
        # Frames are requested by number: by time, torchcodec 0.17 returns the following frame if
        # FFmpeg 5 does not give the durations of frames.
        self.table = frame_table(source, track)
        self._fallback: PyAVFrames | None = None
        self.damage: list[str] = []

    def frames(self, times: Sequence[float]) -> Iterator[Frame]:
        """The frame shown at each of the ascending `times`, as `FrameDecoder`."""
        for done, time in enumerate(times):
            frame = self._frame(time)
            if frame is None:
                yield from self._pyav().frames(times[done:])
                return
            yield frame

    def close(self) -> None:
        """Close the file."""
        self._decoder = None
        if self._fallback is not None:
            self._fallback.close()

    def _frame(self, time: float) -> Frame | None:
        if self._decoder is None:
            return None
        index = bisect.bisect_right(self.table.times, time + SAME_TIME) - 1
        try:
            found = self._decoder.get_frame_at(min(max(index, 0), len(self._decoder) - 1))
        except (RuntimeError, IndexError):
            self._decoder = None
            return None
        return Frame(pts=found.pts_seconds, pixels=found.data.numpy())

    def _pyav(self) -> PyAVFrames:
        if self._fallback is None:
            self._fallback = PyAVFrames(self._source, self._track)
            self.damage = self._fallback.damage
        return self._fallback


def _open(kind: str, source: Probe, index: int, **options: Any) -> Any:
    decoders = require(
        "torchcodec.decoders", extra="video", feature="Decoding with the system's FFmpeg"
    )
    try:
        return getattr(decoders, kind)(source.file.reader(), stream_index=index, **options)
    except (RuntimeError, ValueError):
        return None  # the caller reads it with PyAV
