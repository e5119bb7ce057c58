"""Opening: pictures, recordings and videos become the arrays that processors take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL.Image import Image as PILImage
from transformers.video_utils import VideoMetadata

from mm_rag.content import Audio, Image, Url, Video, check_span
from mm_rag.errors import InputError, MediaTooLarge
from mm_rag.media.audio import waveform, whole_rate
from mm_rag.media.ffmpeg import probe
from mm_rag.media.image import open_image
from mm_rag.media.policy import MediaPolicy
from mm_rag.media.video import VideoFrames, open_video_frames


@dataclass(frozen=True, kw_only=True)
class Frames:
    """The frames of a video that a model looks at.

    Attributes:
        pixels: Shape (frames, height, width, 3), uint8.
        metadata: Which frames of the video these are, and its frame rate.
    """

    pixels: npt.NDArray[np.uint8]
    metadata: VideoMetadata


class Opener:
    """Open media the way that one processor wants them.

    Args:
        processor: A processor of one or several modalities.
        settings: What it is called with, by modality.
        policy: What may be opened, and its limits.
    """

    def __init__(
        self, processor: Any, settings: Mapping[str, Mapping[str, Any]], policy: MediaPolicy
    ) -> None:
        self._hearing = getattr(processor, "feature_extractor", processor)
        self._watching = getattr(processor, "video_processor", processor)
        self._audio_settings = settings.get("audio", {})
        defaults = _defaults(processor, "videos_kwargs")
        self._video_settings = {**defaults, **settings.get("video", {})}
        self.policy = policy

    @property
    def sampling_rate(self) -> int:
        """The rate of `samples`, in Hz: the one that the model was trained with."""
        asked = self._audio_settings.get("sampling_rate")
        return asked or getattr(self._hearing, "sampling_rate", None) or 16_000

    def picture(self, image: Image) -> PILImage:
        """Upright RGB.

        Raises:
            UnreadableMedia: The picture is missing or damaged.
        """
        return open_image(image.source, self.policy)

    def samples(self, audio: Audio) -> npt.NDArray[np.float32]:
        """Mono samples of shape (n,).

        Raises:
            UnreadableMedia: The recording is missing, damaged or empty.
        """
        samples = waveform(audio, self.sampling_rate, self.policy)
        # CLAP's processor would cut a random part out of a long recording: the same recording would
        # get another vector each time.
        if getattr(self._hearing, "truncation", None) == "rand_trunc":
            return samples[: self._hearing.nb_max_samples]
        return samples

    def heard_seconds(self, audio: Audio) -> float | None:
        """How long a recording is, as its header says; None where that is not at hand."""
        match audio.source:
            case np.ndarray() as samples:
                whole = samples.shape[-1] / (whole_rate(audio.sampling_rate) or self.sampling_rate)
            case Path() as path:
                whole = probe(path, self.policy).duration
            case _:
                return None
        return _part(whole, audio, self.policy)

    def seen_frames(self, video: Video) -> tuple[int, int, int] | None:
        """How many frames the processor chooses, their height and width, by the header alone.

        None where that is not at hand.

        Raises:
            UnreadableMedia: The video is missing or damaged.
            InputError: Its metadata do not fit its frames.
        """
        if isinstance(video.source, Path):
            track = (found := probe(video.source, self.policy)).video
            if track is None or not track.fps:
                return None
            seconds = _part(found.duration, video, self.policy)
            total, size = max(1, round(seconds * track.fps)), (track.width, track.height)
            metadata = VideoMetadata(total_num_frames=total, fps=track.fps, duration=seconds)
            metadata.width, metadata.height = size
        elif isinstance(video.source, Url):
            return None
        else:
            with open_video_frames(video, self.policy) as clip:  # in memory: nothing is decoded
                metadata, total, size = _metadata(clip), clip.total_num_frames, clip.size
        if self._video_setting("do_sample_frames"):
            total = len(self._choose(metadata))
        return total, size[1], size[0]

    def frames(self, video: Video) -> Frames:
        """The frames that the processor chooses of this video.

        Raises:
            UnreadableMedia: The video is missing, damaged or empty.
            MediaTooLarge: It, or its frames together, are over a limit of the policy.
            InputError: Its metadata do not fit its frames.
        """
        with open_video_frames(video, self.policy) as clip:
            metadata, total = _metadata(clip), clip.total_num_frames
            if self._video_setting("do_sample_frames"):
                metadata.frames_indices = wanted = self._choose(metadata)
            else:
                wanted = list(range(total))
                metadata.frames_indices = metadata.frames_indices or wanted
            if max(wanted, default=total) >= total:
                raise InputError(
                    f"The video_metadata say {metadata.total_num_frames} frames, but the video has "
                    f"{total}."
                )
            self._check_bytes(len(wanted), clip.size)
            return self._long_enough(clip.frames(wanted), metadata)

    def _check_bytes(self, count: int, size: tuple[int, int]) -> None:
        """Some processors want every frame, however long the video is."""
        needed = count * size[0] * size[1] * 3
        if needed > self.policy.max_bytes:
            raise MediaTooLarge(
                f"The model looks at {count:,} frames of this video, {size[0]} x {size[1]} pixels, "
                f"which take {needed:,} bytes; MediaPolicy.max_bytes allows "
                f"{self.policy.max_bytes:,}. Give it a part: Video(..., start=0, end=60)."
            )

    def _long_enough(self, pixels: npt.NDArray[np.uint8], metadata: VideoMetadata) -> Frames:
        """Models that look at two frames at once refuse one alone: it is shown twice."""
        missing = getattr(self._watching, "temporal_patch_size", 1) - len(pixels)
        if missing > 0:
            pixels = np.concatenate([pixels, np.repeat(pixels[-1:], missing, axis=0)])
            indices = metadata.frames_indices or [0]
            metadata.frames_indices = [*indices, *[indices[-1]] * missing]
        return Frames(pixels=pixels, metadata=metadata)

    def _choose(self, metadata: VideoMetadata) -> list[int]:
        """As the processor itself does, which would have to be given every frame of the video."""
        names = set(self._watching.valid_kwargs.__annotations__) - _NOT_FOR_CHOICE
        settings = {name: self._video_setting(name) for name in names}
        try:
            chosen = self._watching.sample_frames(metadata=metadata, **settings)
            return [int(index) for index in chosen]
        except (ValueError, TypeError, ArithmeticError, LookupError) as error:
            name = type(self._watching).__name__
            raise InputError(f"The model's {name} cannot choose frames: {error}") from error

    def _video_setting(self, name: str) -> Any:
        return self._video_settings.get(name, getattr(self._watching, name, None))


# What a video processor takes for itself before it chooses frames.
_NOT_FOR_CHOICE = frozenset(
    {"input_data_format", "do_convert_rgb", "do_sample_frames", "device", "video_metadata"}
)


def _part(seconds: float, medium: Audio | Video, policy: MediaPolicy) -> float:
    """How much of a medium of some seconds the part is that is meant.

    Raises:
        InputError: Its start and end make no part.
    """
    check_span("A medium", medium.start, medium.end)
    end = seconds if medium.end is None else min(medium.end, seconds)
    return min(max(0.0, end - medium.start), policy.max_seconds)


def _defaults(processor: Any, name: str) -> dict[str, Any]:
    """What a processor of several modalities gives to its parts, whatever they say themselves."""
    kinds = getattr(processor, "valid_processor_kwargs", None)
    return dict(getattr(kinds, "_defaults", {}).get(name, {}))


def _metadata(clip: VideoFrames) -> VideoMetadata:
    width, height = clip.size
    found: dict[str, Any] = {
        "total_num_frames": clip.total_num_frames,
        "fps": clip.fps,
        "duration": clip.duration,
        "width": width,
        "height": height,
    }
    given = {name: value for name, value in (clip.metadata or {}).items() if value is not None}
    try:
        if "frames_indices" in given:
            given["frames_indices"] = [int(index) for index in given["frames_indices"]]
        return VideoMetadata(**{**found, **given})
    except (TypeError, ValueError) as error:
        known = ", ".join(found)
        raise InputError(f"video_metadata takes {known} and frames_indices: {error}.") from error
