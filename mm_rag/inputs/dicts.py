"""Values whose modality is said: `{"image": ...}`, `{"array": ..., "sampling_rate": ...}`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from mm_rag.content import MODALITIES, Audio, Image, Modality, Part, Text, Url, Video
from mm_rag.errors import InputError
from mm_rag.inputs.values import (
    from_data_uri,
    guessed,
    is_array,
    is_picture_object,
    modality_of,
    place,
)
from mm_rag.media.policy import MediaPolicy


def as_parts(modality: Modality, value: Any, policy: MediaPolicy) -> list[Part]:
    """One value or several of a modality; a list of pictures as video is one video's frames.

    Args:
        modality: What they are said to be.
        value: One of them, or a list.
        policy: Whether frames that are given as files or addresses may be opened, which happens
            here; all other media are opened later.

    Raises:
        InputError: One of them cannot be of that modality, or there are none.
        UnreadableMedia: A file does not exist, or samples or frames are missing or not finite.
    """
    if not isinstance(value, list | tuple):
        return [as_part(modality, value, policy)]
    several = cast("Sequence[Any]", value)
    if not several:
        raise InputError(f"The list of {modality} in a dict input is empty.")
    if modality == "video" and all(map(_is_picture, several)):
        return [as_part(modality, several, policy)]
    return [as_part(modality, one, policy) for one in several]


def as_part(modality: Modality, value: Any, policy: MediaPolicy) -> Part:
    """One value that is said to be of a modality.

    Raises:
        InputError: It cannot be.
        UnreadableMedia: As for `as_parts`.
    """
    is_part = isinstance(value, Text | Image | Audio | Video)
    part = value if is_part else _MAKERS[modality](value, policy)
    if part is None:
        raise InputError(f"Cannot use a {type(value).__name__} as {modality}.")
    if part.modality != modality:
        raise InputError(f"What was given as {modality} is {part.modality}.")
    return part


def audio_samples(value: Mapping[str, Any], _: MediaPolicy) -> Audio:
    """`{"array": ..., "sampling_rate": ...}`; the `path` that datasets adds is not read.

    Raises:
        InputError: The rate is no positive whole number, or there are other keys.
        UnreadableMedia: There are no samples, or some are not finite.
    """
    from mm_rag.media.arrays import mono_samples
    from mm_rag.media.waveform import whole_rate

    _check_keys(value, "array", "sampling_rate", "path")
    return Audio(mono_samples(value["array"]), whole_rate(value.get("sampling_rate")))


def video_frames(value: Mapping[str, Any], policy: MediaPolicy) -> Video:
    """`{"array": ..., "video_metadata": ...}`, where the array may be a list of pictures.

    Raises:
        InputError: The metadata is no dict, or there are other keys.
        UnreadableMedia: There are no frames.
    """
    _check_keys(value, "array", "video_metadata")
    metadata = value.get("video_metadata")
    if not isinstance(metadata, Mapping | None):
        raise InputError(f"video_metadata is a dict or None; got a {type(metadata).__name__}.")
    return Video(
        _frames(value["array"], policy), metadata=cast("Mapping[str, Any] | None", metadata)
    )


def _text(value: Any, _: MediaPolicy) -> Part | None:
    return Text(value) if isinstance(value, str) else None


def _image(value: Any, _: MediaPolicy) -> Part | None:
    if isinstance(value, str) and value.startswith("data:"):
        return from_data_uri(value)
    if isinstance(value, str | Url):
        return Image(place(value, "image") if isinstance(value, str) else value)
    if is_array(value):
        from mm_rag.media.arrays import rgb_array

        return Image(rgb_array(value))
    return _medium(value, Image)


def _audio(value: Any, policy: MediaPolicy) -> Part | None:
    if isinstance(value, str | Url):
        return Audio(place(value, "audio") if isinstance(value, str) else value)
    if isinstance(value, Mapping):
        return audio_samples(cast("Mapping[str, Any]", value), policy)
    if is_array(value):
        from mm_rag.media.arrays import mono_samples

        return Audio(mono_samples(value))
    return _medium(value, Audio)


def _video(value: Any, policy: MediaPolicy) -> Part | None:
    if isinstance(value, str | Url):
        return Video(place(value, "video") if isinstance(value, str) else value)
    if isinstance(value, Mapping):
        return video_frames(cast("Mapping[str, Any]", value), policy)
    if is_array(value) or isinstance(value, list | tuple):
        return Video(_frames(value, policy))
    return _medium(value, Video)


_MAKERS: Mapping[Modality, Callable[[Any, MediaPolicy], Part | None]] = {
    "text": _text,
    "image": _image,
    "audio": _audio,
    "video": _video,
}


def _medium(value: Any, kind: type[Image | Audio | Video]) -> Part | None:
    """A Path, which need not have a suffix here, or an object whose type says what it is."""
    from pathlib import Path

    return kind(value) if isinstance(value, Path) else guessed(value, MODALITIES)


def _frames(value: Any, policy: MediaPolicy) -> Any:
    from mm_rag.media import arrays

    if is_array(value):
        return arrays.rgb_frames(value)
    if not isinstance(value, list | tuple) or not value:
        raise InputError(f"The frames of a video are an array or a list; got {_shown(value)}.")
    frames = cast("Sequence[Any]", value)
    if all(map(is_array, frames)) and len({tuple(frame.shape) for frame in frames}) == 1:
        # Together, so that a dark frame of floats is not taken for one of another scale.
        return arrays.rgb_frames(arrays.as_array([arrays.as_array(frame) for frame in frames]))
    return arrays.stacked([_pixels(frame, policy) for frame in frames])


def _pixels(frame: Any, policy: MediaPolicy) -> Any:
    import numpy as np

    from mm_rag.media.image import open_image

    part = as_part("image", frame, policy)
    assert isinstance(part, Image)
    return np.asarray(open_image(part.source, policy))


def _is_picture(value: Any) -> bool:
    if isinstance(value, str):
        return modality_of(value) == "image"
    if is_array(value):
        return value.ndim in (2, 3)
    return isinstance(value, Image | bytes) or is_picture_object(value)


def _check_keys(value: Mapping[str, Any], *known: str) -> None:
    unknown = [key for key in value if key not in known]
    if unknown or "array" not in value:
        raise InputError(
            f"A dict of an array takes the keys {', '.join(known)}; this one has "
            f"{', '.join(map(repr, value)) or 'none'}."
        )


def _shown(value: Any) -> str:
    return f"an empty {type(value).__name__}" if not value else f"a {type(value).__name__}"
