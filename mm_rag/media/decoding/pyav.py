"""Decoding with PyAV, which contains FFmpeg and skips damaged packets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mm_rag._optional import require
from mm_rag.media.decoding.base import SAME_TIME, Frame, span_of
from mm_rag.media.ffmpeg import (
    AudioTrack,
    FrameTable,
    Probe,
    VideoTrack,
    frame_table,
    open_container,
)

if TYPE_CHECKING:
    from av import AudioFrame, VideoFrame

_SEEK_MARGIN = 0.5  # seconds decoded before a span after a seek: sound decoders need some run-up
_SKIP_AHEAD = 10.0  # seconds ahead from which seeking is faster than decoding on


@dataclass(frozen=True)
class _Piece:
    start: float
    end: float
    samples: npt.NDArray[np.float32]


class Track:
    """Decodes the frames of one track in order, from the position of the last seek."""

    def __init__(self, source: Probe, index: int, what: str) -> None:
        self._av = require("av", extra="video", feature="Reading recordings and videos")
        self._source, self._index, self._what = source, index, what
        self._start = source.start
        self._stack = ExitStack()
        self.damage: list[str] = []
        self._open()

    def seek(self, time: float) -> None:
        """Seek to the last point before `time`, in file time, at which decoding can start."""
        offset = int(max(time, 0.0) / self._stream.time_base)
        try:
            self._container.seek(offset, stream=self._stream)
        except self._av.FFmpegError:
            # Not all files are seekable, but all can be read from the beginning.
            self._open()

    def decode(self) -> Iterator[Any]:
        """Frames from the current position on. Damaged packets are left out and noted."""
        packets, time = self._container.demux(self._stream), self._start
        while True:
            try:
                packet = next(packets, None)
            except self._av.FFmpegError:
                self._note(f"the {self._what} track is cut off at {time - self._start:.1f} s")
                return
            if packet is None:
                return
            time = float(packet.pts * packet.time_base) if packet.pts is not None else time
            try:
                yield from packet.decode()
            except self._av.FFmpegError:
                self._note(f"the {self._what} track is damaged at {time - self._start:.1f} s")

    def close(self) -> None:
        """Close the file."""
        self._stack.close()

    def _open(self) -> None:
        self._stack.close()
        self._container = self._stack.enter_context(open_container(self._source.file))
        self._stream: Any = self._container.streams[self._index]
        if self._what == "picture":
            self._stream.thread_type = "AUTO"

    def _note(self, damage: str) -> None:
        if not self.damage:
            self.damage.append(damage)


class PyAVSamples:
    """A SampleDecoder on PyAV."""

    def __init__(self, source: Probe, track: AudioTrack) -> None:
        self._track = Track(source, track.index, "sound")
        self._rate = track.sample_rate
        self._pieces: Iterator[_Piece] = iter(())
        self._position = float("inf")  # earlier samples need a seek
        self._held: _Piece | None = None
        self.damage = self._track.damage

    def read(self, start: float, end: float) -> npt.NDArray[np.float32]:
        """Samples of the span [start, end), as `SampleDecoder`."""
        if start < self._position or start > self._position + _SKIP_AHEAD:
            self._track.seek(start - _SEEK_MARGIN)
            self._pieces, self._held = self._decoded(), None
        self._position = start
        pieces = list(self._covering(start, end))
        self._held = pieces[-1] if pieces else None
        self._position = end
        if not pieces:
            return np.zeros(0, np.float32)
        samples = np.concatenate([piece.samples for piece in pieces])
        return span_of(samples, pieces[0].start, start, end, self._rate)

    def close(self) -> None:
        """Close the file."""
        self._track.close()

    def _covering(self, start: float, end: float) -> Iterator[_Piece]:
        if self._held is not None and self._held.end > start:
            yield self._held
            if self._held.end >= end:
                return
        for piece in self._pieces:
            if piece.end > start:
                yield piece
            if piece.end >= end:
                return

    def _decoded(self) -> Iterator[_Piece]:
        expected = None
        for frame in self._track.decode():
            samples = _mono(frame)
            start = frame.time if frame.time is not None else expected
            if start is None:
                continue
            expected = start + len(samples) / self._rate
            yield _Piece(start, expected, samples)


class PyAVFrames:
    """A FrameDecoder on PyAV."""

    def __init__(self, source: Probe, track: VideoTrack) -> None:
        self._source, self._of = source, track
        self._table: FrameTable | None = None
        self._track = Track(source, track.index, "picture")
        self._frame_seconds = 1 / track.fps if track.fps else 0.04
        self._frames: Iterator[tuple[float, VideoFrame]] = iter(())
        self._shown: tuple[float, VideoFrame] | None = None
        self._next: tuple[float, VideoFrame] | None = None
        self.damage = self._track.damage

    @property
    def table(self) -> FrameTable:
        """Presentation times of all frames; the whole file is scanned on first use."""
        if self._table is None:
            self._table = frame_table(self._source, self._of)
        return self._table

    def frames(self, times: Sequence[float]) -> Iterator[Frame]:
        """The frame shown at each of the ascending `times`, as `FrameDecoder`."""
        for time in times:
            self._go_to(time)
            if self._shown is not None:
                yield _as_frame(*self._shown)

    def close(self) -> None:
        """Close the file."""
        self._shown = self._next = None
        self._track.close()

    def _go_to(self, time: float) -> None:
        at = self._shown[0] if self._shown else float("inf")
        if time < at or time > at + _SKIP_AHEAD:
            self._track.seek(time)
            self._frames = self._decoded()
            self._next = next(self._frames, None)
            self._shown = self._next or self._shown
        while self._next is not None and self._next[0] <= time + SAME_TIME:
            self._shown, self._next = self._next, next(self._frames, None)

    def _decoded(self) -> Iterator[tuple[float, VideoFrame]]:
        expected = 0.0
        for frame in self._track.decode():
            time = frame.time if frame.time is not None else expected
            expected = time + self._frame_seconds
            yield time, frame


def _as_frame(time: float, frame: VideoFrame) -> Frame:
    pixels = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    quarter_turns = round(frame.rotation / 90)
    return Frame(pts=time, pixels=np.rot90(pixels, quarter_turns))


def _mono(frame: AudioFrame) -> npt.NDArray[np.float32]:
    array = frame.to_ndarray()
    if not frame.format.is_planar:
        array = array.reshape(-1, frame.layout.nb_channels).T
    mixed = array.mean(axis=0, dtype=np.float32 if array.dtype.kind == "f" else np.float64)
    if array.dtype.kind == "f":
        return mixed.astype(np.float32, copy=False)
    full_scale = 2.0 ** (8 * array.dtype.itemsize - 1)
    if array.dtype.kind == "u":
        mixed -= full_scale
    return (mixed / full_scale).astype(np.float32)
