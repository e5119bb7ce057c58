"""Open videos: decoded frames by time, or by number from any source."""

from __future__ import annotations

import bisect
import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import pairwise
from numbers import Real
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from mm_rag._closing import Closing
from mm_rag.content import Url, Video, check_span
from mm_rag.errors import InputError, MediaTooLarge, UnreadableMedia
from mm_rag.media.access import FileSource
from mm_rag.media.arrays import rgb_frames
from mm_rag.media.decoding import Backend, frame_decoder
from mm_rag.media.decoding.base import SAME_TIME
from mm_rag.media.fetch import local_file
from mm_rag.media.ffmpeg import FrameTable, Probe, VideoTrack, probe
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy


class VideoFile(Closing):
    """An opened video. Use it in a `with` block.

    Attributes:
        path: The file.
        probe: What its headers say: tags, tracks.
        duration: In seconds, as its header says; what lies beyond the policy's `max_seconds` is
            left out.
        fps: Average frames per second; None where nothing says it.
        size: Width and height of a frame as it is shown, in pixels.
        has_audio: Whether there is sound.
    """

    def __init__(self, source: Probe, policy: MediaPolicy, backend: Backend | None) -> None:
        if source.video is None:
            raise UnreadableMedia(f"{source.path.name} has no moving pictures.")
        _check_size(source.path, source.video, policy)
        self.path: Path = source.path
        self.probe: Probe = source
        self.duration: float = min(source.duration, policy.max_seconds)
        self.fps: float | None = source.video.fps
        self.has_audio: bool = source.audio is not None
        self._track = source.video
        self._decoder = frame_decoder(source, source.video, backend)
        try:
            self.size: tuple[int, int] = self.frame_at(0.0).size
        except UnreadableMedia:
            self.close()
            raise

    @property
    def damage(self) -> list[str]:
        """What could not be decoded so far, in words."""
        return self._decoder.damage

    def frame_at(self, time: float) -> Image.Image:
        """The frame that is shown at a time, in seconds.

        Raises:
            UnreadableMedia: No frame can be decoded there.
        """
        for frame in self.frames_at([time]):
            return frame
        raise UnreadableMedia(f"{self.path.name} has no picture at {time:.1f} s to decode.")

    def frames_at(self, times: Sequence[float]) -> Iterator[Image.Image]:
        """The frames that are shown at ascending times, in seconds, decoded one by one.

        Before the first frame that is the first, after the last the last. Where nothing can be
        decoded there are fewer frames than times.

        Raises:
            InputError: The times do not ascend.
        """
        if any(later < earlier for earlier, later in pairwise(times)):
            raise InputError(f"frames_at takes ascending times; got {list(times)[:10]}.")
        zero = self.probe.start
        for frame in self._decoder.frames([zero + time for time in times]):
            yield _square_pixels(frame.pixels, self._track)

    @property
    def frame_table(self) -> FrameTable:
        """When each frame is shown, in file time; the whole file is scanned, nothing decoded."""
        return self._decoder.table

    def pixels_at(self, file_times: Sequence[float]) -> Iterator[npt.NDArray[np.uint8]]:
        """The frames that are shown at ascending times of the `frame_table`, as they are coded.

        Each has the shape (height, width, 3), upright; pixels that are not square are not made so.
        Before the first frame, after the last and beyond damage it is as for `frames_at`.
        """
        return (frame.pixels for frame in self._decoder.frames(file_times))

    def close(self) -> None:
        """Let go of the file."""
        self._decoder.close()
        self.probe.file.close()


def open_video(
    path: str | FileSource,
    policy: MediaPolicy = DEFAULT_POLICY,
    *,
    backend: Backend | None = None,
) -> VideoFile:
    """Open a video.

    Args:
        path: The file.
        policy: Limits on what is opened.
        backend: What decodes it; by default `decoding_backend()`.

    Raises:
        UnreadableMedia: The file is missing, empty, damaged or without moving pictures.
        MediaTooLarge: It is over the policy's `max_bytes` or `max_pixels`.
        MissingExtra: PyAV is not installed.
    """
    return VideoFile(probe(path, policy), policy, backend)


def _check_size(path: Path, track: VideoTrack, policy: MediaPolicy) -> None:
    if track.width * track.height > policy.max_pixels:
        raise MediaTooLarge(
            f"{path.name} has frames of {track.width} x {track.height} pixels; the policy's "
            f"max_pixels is {policy.max_pixels:,}."
        )


def _square_pixels(pixels: npt.NDArray[np.uint8], track: VideoTrack) -> Image.Image:
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    # A file may claim any aspect; beyond 4:1 it is damage, not anamorphic film.
    aspect = track.pixel_aspect if 0.25 <= track.pixel_aspect <= 4 else 1.0
    sideways = picture.size == (track.height, track.width) and track.width != track.height
    factor = 1 / aspect if sideways else aspect
    if factor == 1.0:
        return picture
    return picture.resize((max(1, round(picture.width * factor)), picture.height))


class Clip(Closing):
    """An opened video, or the part of one that a `Video` is. Use it in a `with` block.

    Attributes:
        total_num_frames: Of the part; counted in the file, not taken from its header.
        fps: Average frames per second of the whole video; None where nothing says it.
        duration: Of the part, in seconds; None where nothing says it.
        size: Width and height of a frame as it is coded and upright, in pixels.
        metadata: What was said about frames in memory; None for a file.
    """

    total_num_frames: int
    fps: float | None
    duration: float | None
    size: tuple[int, int]
    metadata: Mapping[str, Any] | None = None

    def frames(self, indices: Sequence[int]) -> npt.NDArray[np.uint8]:
        """Some frames of the part.

        Args:
            indices: Their numbers, from 0, in any order.

        Returns:
            Shape (n, height, width, 3), in the order of the indices.

        Raises:
            InputError: There is no frame of such a number.
            UnreadableMedia: They cannot be decoded.
        """
        wanted = [int(index) for index in indices]
        wrong = [index for index in wanted if not 0 <= index < self.total_num_frames]
        if wrong:
            raise InputError(
                f"The video has {self.total_num_frames} frames; there is no frame {wrong[0]}."
            )
        if not wanted:
            return np.zeros((0, self.size[1], self.size[0], 3), np.uint8)
        return self._frames(wanted)

    @abstractmethod
    def _frames(self, indices: list[int]) -> npt.NDArray[np.uint8]:
        """Frames of numbers that exist."""


def open_clip(video: Video, policy: MediaPolicy = DEFAULT_POLICY) -> Clip:
    """Open a video, or a part of one, from any source.

    Args:
        video: Of frames in memory the `fps` of the metadata says where a part begins.
        policy: Limits on what is opened; what is over its `max_seconds` is left out.

    Raises:
        UnreadableMedia: The video is missing, damaged, or without frames in that part.
        MediaTooLarge: It is over the policy's `max_bytes` or `max_pixels`.
        InputError: Start and end do not fit, or the source is none.
    """
    check_span("A video", video.start, video.end)
    source: Any = video.source
    if isinstance(source, Path | Url | bytes):
        return _FileClip(video, source, policy)
    kind = _DecoderClip if hasattr(source, "get_frames_at") else _ArrayClip
    clip = kind(video, source)
    _check_pixels(clip.size, policy)
    return clip


class _FileClip(Clip):
    def __init__(self, video: Video, source: Path | Url | bytes, policy: MediaPolicy) -> None:
        with ExitStack() as stack:
            path, own = stack.enter_context(local_file(source, policy))
            self._file = stack.enter_context(open_video(path, own))
            self._read_table(video, policy)
            # Only what opened without an error stays open.
            self._stack = stack.pop_all()

    def _read_table(self, video: Video, policy: MediaPolicy) -> None:
        table, zero = self._file.frame_table, self._file.probe.start
        if not table.times:
            raise UnreadableMedia(f"{self._file.path.name} has no frames.")
        whole = table.end - table.times[0]
        self.fps = len(table.times) / whole if whole > 0 else self._file.fps
        start = zero + video.start
        end = zero + min(video.end or policy.max_seconds, video.start + policy.max_seconds)
        # The first is the one that is shown when the part begins.
        first = max(0, bisect.bisect_right(table.times, start + SAME_TIME) - 1)
        self._times = table.times[first : bisect.bisect_left(table.times, end - SAME_TIME)]
        self.total_num_frames = len(self._times)
        if not self._times or start >= max(table.end, table.times[-1] + SAME_TIME):
            raise UnreadableMedia(
                f"{self._file.path.name} has no frames between {video.start:g} s and "
                f"{end - zero:g} s."
            )
        self.duration = min(end, table.end) - max(start, table.times[0])
        self.size = _size(next(self._file.pixels_at(self._times[:1]), None), self._file.path)

    def _frames(self, indices: list[int]) -> npt.NDArray[np.uint8]:
        # Decoders go forward, and decode each frame once.
        numbers = sorted(set(indices))
        found = list(self._file.pixels_at([self._times[number] for number in numbers]))
        if len(found) != len(numbers):
            raise UnreadableMedia(f"{self._file.path.name} has frames that cannot be decoded.")
        pixels = dict(zip(numbers, found, strict=True))
        return np.stack([pixels[index] for index in indices])

    def close(self) -> None:
        self._stack.close()


class _MemoryClip(Clip):
    """Frames whose times nobody stored: a part is found by the average rate."""

    def _cut(self, video: Video, total: int) -> None:
        self._first, last = 0, total
        if video.start or video.end is not None:
            if not self.fps:
                raise InputError(
                    "A part of a video in memory needs its frame rate: pass metadata={'fps': ...}."
                )
            self._first = round(video.start * self.fps)
            last = total if video.end is None else min(total, round(video.end * self.fps))
        self.total_num_frames = last - self._first
        if self.total_num_frames < 1:
            raise UnreadableMedia(
                f"The video has no frames from {video.start:g} s on: it has {total} in all."
            )
        if (self._first, last) != (0, total) or self.duration is None:
            self.duration = self.total_num_frames / self.fps if self.fps else None

    def close(self) -> None:
        """Whoever made the frames keeps them."""


class _ArrayClip(_MemoryClip):
    def __init__(self, video: Video, source: Any) -> None:
        self._pixels = rgb_frames(source)
        self.metadata = video.metadata
        _check_numbers(video.metadata or {})
        known = video.metadata or {}
        self.fps, self.duration = known.get("fps"), known.get("duration")
        self.size = (self._pixels.shape[2], self._pixels.shape[1])
        self._cut(video, len(self._pixels))

    def _frames(self, indices: list[int]) -> npt.NDArray[np.uint8]:
        return self._pixels[[self._first + index for index in indices]]


def _check_numbers(metadata: Mapping[str, Any]) -> None:
    for name in ("fps", "total_num_frames", "duration"):
        value = metadata.get(name)
        if value is None:
            continue
        if not isinstance(value, Real) or not 0 < float(value) < math.inf:
            raise InputError(f"The {name} in video_metadata is a number over 0; got {value!r}.")


class _DecoderClip(_MemoryClip):
    def __init__(self, video: Video, source: Any) -> None:
        self._decoder, known = source, source.metadata
        self.fps, self.duration = known.average_fps, known.duration_seconds
        self._first = 0
        self._cut(video, len(source))
        self.size = _size(self._frames([0])[0], None)

    def _frames(self, indices: list[int]) -> npt.NDArray[np.uint8]:
        try:
            found = self._decoder.get_frames_at([self._first + index for index in indices]).data
        except (RuntimeError, IndexError, ValueError) as error:
            raise UnreadableMedia(f"The decoder cannot decode its video: {error}") from error
        return rgb_frames(found)


def _size(pixels: npt.NDArray[np.uint8] | None, path: Path | None) -> tuple[int, int]:
    if pixels is None:
        raise UnreadableMedia(f"{path.name if path else 'The video'} has no frame to decode.")
    return cast("tuple[int, int]", (pixels.shape[1], pixels.shape[0]))


def _check_pixels(size: tuple[int, int], policy: MediaPolicy) -> None:
    if size[0] * size[1] > policy.max_pixels:
        raise MediaTooLarge(
            f"The video has frames of {size[0]} x {size[1]} pixels; the policy's max_pixels is "
            f"{policy.max_pixels:,}."
        )
