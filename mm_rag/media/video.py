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
        probe: Its headers: tags, tracks.
        duration: Duration according to the header, in seconds; at most the policy's `max_seconds`.
        fps: Average frames per second; None if it is not known.
        size: Width and height of a displayed frame, in pixels.
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
        """Damage found so far, in words."""
        return self._decoder.damage

    def frame_at(self, time: float) -> Image.Image:
        """The frame shown at a time, in seconds.

        Raises:
            UnreadableMedia: No frame can be decoded there.
        """
        for frame in self.frames_at([time]):
            return frame
        raise UnreadableMedia(f"{self.path.name} has no picture at {time:.1f} s to decode.")

    def frames_at(self, times: Sequence[float]) -> Iterator[Image.Image]:
        """The frames shown at ascending times, in seconds, decoded one by one.

        Times before the first frame give the first, times after the last the last. If frames cannot
        be decoded, there are fewer frames than times.

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
        """Presentation times of all frames in file time. The file is scanned, but not decoded."""
        return self._decoder.table

    def pixels_at(self, file_times: Sequence[float]) -> Iterator[npt.NDArray[np.uint8]]:
        """The coded frames at ascending times of the `frame_table`, otherwise as `frames_at`.

        Each has shape (height, width, 3) and is upright; non-square pixels are not corrected.
        """
        return (frame.pixels for frame in self._decoder.frames(file_times))

    def close(self) -> None:
        """Close the file."""
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
        backend: Decodes it; see `decoding_backend` for the default.

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
    # Beyond 4:1 the aspect is damaged, not anamorphic.
    aspect = track.pixel_aspect if 0.25 <= track.pixel_aspect <= 4 else 1.0
    sideways = picture.size == (track.height, track.width) and track.width != track.height
    factor = 1 / aspect if sideways else aspect
    if factor == 1.0:
        return picture
    return picture.resize((max(1, round(picture.width * factor)), picture.height))


class VideoFrames(Closing):
    """The frames of a video, or of a part of one, by index. Use it in a `with` block.

    Attributes:
        total_num_frames: Number of frames in the part, counted and not taken from the header.
        fps: Average frames per second of the whole video; None if it is not known.
        duration: Duration of the part, in seconds; None if it is not known.
        size: Width and height of a coded, upright frame, in pixels.
        metadata: Given metadata of frames in memory; None for a file.
    """

    total_num_frames: int
    fps: float | None
    duration: float | None
    size: tuple[int, int]
    metadata: Mapping[str, Any] | None = None

    def frames(self, indices: Sequence[int]) -> npt.NDArray[np.uint8]:
        """Frames of the part by index.

        Args:
            indices: Indices from 0, in any order.

        Returns:
            Shape (n, height, width, 3), in the order of the indices.

        Raises:
            InputError: An index is out of range.
            UnreadableMedia: A frame cannot be decoded.
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
        """Frames of valid indices."""


def open_video_frames(video: Video, policy: MediaPolicy = DEFAULT_POLICY) -> VideoFrames:
    """Open the frames of a video, or of a part of one, from any source.

    Args:
        video: The video. A part of frames in memory needs `fps` in the metadata.
        policy: Limits on what is opened; frames beyond its `max_seconds` are left out.

    Raises:
        UnreadableMedia: The video is missing, damaged, or without frames in that part.
        MediaTooLarge: It is over the policy's `max_bytes` or `max_pixels`.
        InputError: Start and end or the source are invalid.
    """
    check_span("A video", video.start, video.end)
    source: Any = video.source
    if isinstance(source, Path | Url | bytes):
        return _FileFrames(video, source, policy)
    kind = _DecoderFrames if hasattr(source, "get_frames_at") else _ArrayFrames
    clip = kind(video, source)
    _check_pixels(clip.size, policy)
    return clip


class _FileFrames(VideoFrames):
    def __init__(self, video: Video, source: Path | Url | bytes, policy: MediaPolicy) -> None:
        with ExitStack() as stack:
            path, own = stack.enter_context(local_file(source, policy))
            self._file = stack.enter_context(open_video(path, own))
            self._read_table(video, policy)
            # Keep the file open if there was no error.
            self._stack = stack.pop_all()

    def _read_table(self, video: Video, policy: MediaPolicy) -> None:
        table, zero = self._file.frame_table, self._file.probe.start
        if not table.times:
            raise UnreadableMedia(f"{self._file.path.name} has no frames.")
        whole = table.end - table.times[0]
        self.fps = len(table.times) / whole if whole > 0 else self._file.fps
        start = zero + video.start
        end = zero + min(video.end or policy.max_seconds, video.start + policy.max_seconds)
        # The first frame is the one shown at the start of the part.
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
        # In ascending order without repetitions, so that each frame is decoded once.
        numbers = sorted(set(indices))
        found = list(self._file.pixels_at([self._times[number] for number in numbers]))
        if len(found) != len(numbers):
            raise UnreadableMedia(f"{self._file.path.name} has frames that cannot be decoded.")
        pixels = dict(zip(numbers, found, strict=True))
        return np.stack([pixels[index] for index in indices])

    def close(self) -> None:
        self._stack.close()


class _FramesInMemory(VideoFrames):
    """Frames without time stamps: a part is found by the average frame rate."""

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
        """Nothing to close: the frames belong to the caller."""


class _ArrayFrames(_FramesInMemory):
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


class _DecoderFrames(_FramesInMemory):
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
