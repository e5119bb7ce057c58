"""Opening videos: upright pictures with square pixels at any time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from mm_rag._closing import Closing
from mm_rag.errors import InputError, MediaTooLarge, UnreadableMedia
from mm_rag.media.access import FileSource
from mm_rag.media.decoding import Backend, frame_decoder
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
