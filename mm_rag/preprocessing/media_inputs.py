"""Media as processors take them: pictures, samples and frames, and how many tokens they become."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL.Image import Image as PILImage
from transformers import ProcessorMixin
from transformers.video_utils import VideoMetadata

from mm_rag.content import Audio, Image, Part, Text, Url, Video, check_span
from mm_rag.errors import InputError, MediaTooLarge, MMRagError
from mm_rag.media.audio import waveform, whole_rate
from mm_rag.media.ffmpeg import probe
from mm_rag.media.image import image_info, open_image
from mm_rag.media.policy import MediaPolicy
from mm_rag.media.video import VideoFrames, open_video_frames

# Arguments that a video processor handles itself before it chooses frames.
_NOT_FOR_SAMPLING = frozenset(
    {"input_data_format", "do_convert_rgb", "do_sample_frames", "device", "video_metadata"}
)

# Estimates: tokens of media of unknown size, pixels of a patch's side, and samples per vector.
_UNKNOWN_SIZE = {"image": 1024, "audio": 3000, "video": 8192}
_PATCH_SIDE = 14  # the smallest that is usual
_STRIDE = 320  # that of wav2vec 2.0

# Errors of processors on sizes that they cannot use, and of older ones without a rule.
_NO_RULE = (AttributeError, TypeError, ValueError, LookupError, ArithmeticError, RuntimeError)


@dataclass(frozen=True, kw_only=True)
class Frames:
    """The frames of a video that a model looks at.

    Attributes:
        pixels: Shape (frames, height, width, 3), uint8.
        metadata: Which frames of the video these are, and its frame rate.
    """

    pixels: npt.NDArray[np.uint8]
    metadata: VideoMetadata


class MediaInputs:
    """Open media as one processor takes them, and count the tokens they become.

    Args:
        processor: A processor of one or several modalities.
        settings: The arguments it is called with, by modality.
        policy: Which media may be opened, and their limits.

    Attributes:
        sampling_rate: The rate of `samples` in Hz, with which the model was trained.
    """

    def __init__(
        self, processor: Any, settings: Mapping[str, Mapping[str, Any]], policy: MediaPolicy
    ) -> None:
        self._processor = processor
        self._image_processor = getattr(processor, "image_processor", processor)
        self._feature_extractor = getattr(processor, "feature_extractor", processor)
        self._video_processor = getattr(processor, "video_processor", processor)
        self._settings = settings
        defaults = _defaults(processor, "videos_kwargs")
        self._video_settings = {**defaults, **settings.get("video", {})}
        self.policy = policy
        configured = settings.get("audio", {}).get("sampling_rate")
        own = getattr(self._feature_extractor, "sampling_rate", None)
        self.sampling_rate: int = configured or own or 16_000

    def picture(self, image: Image) -> PILImage:
        """Open a picture: upright, RGB.

        Raises:
            UnreadableMedia: The picture is missing or damaged.
        """
        return open_image(image.source, self.policy)

    def samples(self, audio: Audio) -> npt.NDArray[np.float32]:
        """Decode a recording to mono samples, shape (n,).

        Raises:
            UnreadableMedia: The recording is missing, damaged or empty.
        """
        samples = waveform(audio, self.sampling_rate, self.policy)
        # CLAP's processor would select a random part of a long recording: encoding it twice would
        # give two different vectors.
        if getattr(self._feature_extractor, "truncation", None) == "rand_trunc":
            return samples[: self._feature_extractor.nb_max_samples]
        return samples

    def frames(self, video: Video) -> Frames:
        """Decode the frames of a video that the processor chooses.

        Raises:
            UnreadableMedia: The video is missing, damaged or empty.
            MediaTooLarge: The video, or its frames together, exceed a limit of the policy.
            InputError: Its metadata do not match its frames.
        """
        with open_video_frames(video, self.policy) as clip:
            metadata, total = _metadata(clip), clip.total_num_frames
            if self._video_setting("do_sample_frames"):
                metadata.frames_indices = chosen = self._sampled(metadata)
            else:
                chosen = list(range(total))
                metadata.frames_indices = metadata.frames_indices or chosen
            if max(chosen, default=total) >= total:
                raise InputError(
                    f"The video_metadata say {metadata.total_num_frames} frames, but the video has "
                    f"{total}."
                )
            self._check_bytes(len(chosen), clip.size)
            return self._long_enough(clip.frames(chosen), metadata)

    def _sampled(self, metadata: VideoMetadata) -> list[int]:
        """The frames that the processor chooses; called directly, it would need all frames."""
        names = set(self._video_processor.valid_kwargs.__annotations__) - _NOT_FOR_SAMPLING
        settings = {name: self._video_setting(name) for name in names}
        try:
            chosen = self._video_processor.sample_frames(metadata=metadata, **settings)
            return [int(index) for index in chosen]
        except (ValueError, TypeError, ArithmeticError, LookupError) as error:
            name = type(self._video_processor).__name__
            raise InputError(f"The model's {name} cannot choose frames: {error}") from error

    def _video_setting(self, name: str) -> Any:
        return self._video_settings.get(name, getattr(self._video_processor, name, None))

    def _check_bytes(self, count: int, size: tuple[int, int]) -> None:
        """Limit the memory of frames: some processors choose all frames of any video."""
        needed = count * size[0] * size[1] * 3
        if needed > self.policy.max_bytes:
            raise MediaTooLarge(
                f"The model looks at {count:,} frames of this video, {size[0]} x {size[1]} pixels, "
                f"which take {needed:,} bytes; MediaPolicy.max_bytes allows "
                f"{self.policy.max_bytes:,}. Give it a part: Video(..., start=0, end=60)."
            )

    def _long_enough(self, pixels: npt.NDArray[np.uint8], metadata: VideoMetadata) -> Frames:
        """Repeat the last frame for models that look at several frames at once."""
        missing = getattr(self._video_processor, "temporal_patch_size", 1) - len(pixels)
        if missing > 0:
            pixels = np.concatenate([pixels, np.repeat(pixels[-1:], missing, axis=0)])
            indices = metadata.frames_indices or [0]
            metadata.frames_indices = [*indices, *[indices[-1]] * missing]
        return Frames(pixels=pixels, metadata=metadata)

    def tokens(self, part: Part) -> int:
        """Count the tokens or patches of a medium, whichever are more; 0 for text.

        Batches are planned by this number; vectors do not depend on it. It is the processor's own
        count if it has a rule for one, otherwise an estimate. A page of a document can have 100
        times the tokens of a small picture. Only the header of a medium is read.
        """
        try:
            match part:
                case Text():
                    return 0
                case Image():
                    return self._image_tokens(part)
                case Audio():
                    return self._audio_tokens(part)
                case Video():
                    return self._video_tokens(part)
        except MMRagError:  # opening it raises the same again
            return _UNKNOWN_SIZE[part.modality]

    def _image_tokens(self, image: Image) -> int:
        match image.source:
            case np.ndarray() as pixels:
                return self._picture_tokens(pixels.shape[0], pixels.shape[1])
            case PILImage() as picture:
                return self._picture_tokens(picture.height, picture.width)
            case Url():
                return _UNKNOWN_SIZE["image"]
            case source:
                info = image_info(source, self.policy)
                return self._picture_tokens(info.height, info.width)

    def _picture_tokens(self, height: int, width: int) -> int:
        counts = self._own_counts(image_sizes=[(height, width)])
        own = [counts.get("num_image_tokens"), counts.get("num_image_patches")]
        if found := [count[0] for count in own if count]:
            return max(1, *found)
        height, width = _fixed_size(self._image_processor) or (height, width)
        return max(1, (height // _PATCH_SIDE) * (width // _PATCH_SIDE))

    def _audio_tokens(self, audio: Audio) -> int:
        seconds = self._seconds(audio)
        if seconds is None:
            return _UNKNOWN_SIZE["audio"]
        extractor = self._feature_extractor
        samples = round(seconds * self.sampling_rate)
        # CLAP's extractor pads every recording to one length, Whisper's with this setting.
        is_padded = self._settings.get("audio", {}).get("padding") == "max_length"
        full = getattr(extractor, "nb_max_samples", 0)
        full = full or is_padded * getattr(extractor, "n_samples", 0)
        return max(1, (full or samples) // (getattr(extractor, "hop_length", None) or _STRIDE))

    def _seconds(self, audio: Audio) -> float | None:
        """The duration of a recording, by its header; None if it is not known."""
        match audio.source:
            case np.ndarray() as samples:
                whole = samples.shape[-1] / (whole_rate(audio.sampling_rate) or self.sampling_rate)
            case Path() as path:
                whole = probe(path, self.policy).duration
            case _:
                return None
        return _part_seconds(whole, audio, self.policy)

    def _video_tokens(self, video: Video) -> int:
        shape = self._frames_shape(video)
        if shape is None:
            return _UNKNOWN_SIZE["video"]
        frames, height, width = shape
        counts = self._own_counts(video_sizes=[shape]).get("num_video_tokens")
        if counts:
            merged = getattr(self._processor.video_processor, "merge_size", 1)
            return max(1, counts[0] * merged**2)
        return max(1, frames * self._picture_tokens(height, width))

    def _frames_shape(self, video: Video) -> tuple[int, int, int] | None:
        """The number of frames that the processor chooses, their height and width, by the header.

        Returns:
            None if they are not known without downloading the video.

        Raises:
            UnreadableMedia: The video is missing or damaged.
            InputError: Its metadata do not match its frames.
        """
        if isinstance(video.source, Path):
            track = (found := probe(video.source, self.policy)).video
            if track is None or not track.fps:
                return None
            seconds = _part_seconds(found.duration, video, self.policy)
            total, size = max(1, round(seconds * track.fps)), (track.width, track.height)
            metadata = VideoMetadata(total_num_frames=total, fps=track.fps, duration=seconds)
            metadata.width, metadata.height = size
        elif isinstance(video.source, Url):
            return None
        else:
            with open_video_frames(video, self.policy) as clip:  # in memory: nothing is decoded
                metadata, total, size = _metadata(clip), clip.total_num_frames, clip.size
        if self._video_setting("do_sample_frames"):
            total = len(self._sampled(metadata))
        return total, size[1], size[0]

    def _own_counts(self, **sizes: Any) -> dict[str, Any]:
        """The token counts of a processor of several modalities; empty if it has no rule."""
        rule = getattr(self._processor, "_get_num_multimodal_tokens", None)
        if rule is None or not isinstance(self._processor, ProcessorMixin):
            return {}
        try:
            own = {
                "images_kwargs": dict(self._settings.get("image", {})),
                "videos_kwargs": dict(self._settings.get("video", {})),
            }
            return dict(vars(rule(**sizes, **own)))
        except _NO_RULE:
            return {}


def _part_seconds(seconds: float, medium: Audio | Video, policy: MediaPolicy) -> float:
    """The duration of the part between a medium's `start` and `end`.

    Raises:
        InputError: The start and the end do not make a part.
    """
    check_span("A medium", medium.start, medium.end)
    end = seconds if medium.end is None else min(medium.end, seconds)
    return min(max(0.0, end - medium.start), policy.max_seconds)


def _defaults(processor: Any, name: str) -> dict[str, Any]:
    """The arguments that a processor of several modalities passes to one of its parts."""
    kinds = getattr(processor, "valid_processor_kwargs", None)
    return dict(getattr(kinds, "_defaults", {}).get(name, {}))


def _fixed_size(image_processor: Any) -> tuple[int, int] | None:
    """The height and width that every picture is resized to; None if they depend on the picture."""
    cropped = getattr(image_processor, "do_center_crop", False) and getattr(
        image_processor, "crop_size", None
    )
    size: Any = cropped or getattr(image_processor, "size", None) or {}
    try:
        height, width = size["height"], size["width"]
    except (KeyError, TypeError):
        return None
    return (height, width) if height and width else None


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
