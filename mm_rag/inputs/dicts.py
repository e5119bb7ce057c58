"""Values whose modality is said: `{"image": ...}`, `{"array": ..., "sampling_rate": ...}`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from mm_rag.content import MODALITIES, Audio, Image, Modality, Part, Text, Url, Video
from mm_rag.errors import InputError, UnreadableMedia
from mm_rag.inputs.files import (
    bare_base64_bytes,
    bytes_in,
    data_uri_bytes,
    holds_picture,
    is_file_dict,
    medium_of_bytes,
)
from mm_rag.inputs.listing import items_of
from mm_rag.inputs.values import (
    guessed,
    is_array,
    is_picture_object,
    modality_of,
    named_modality,
    place,
)
from mm_rag.media.policy import MediaPolicy


def as_parts(modality: Modality, value: Any, policy: MediaPolicy) -> list[Part]:
    """One value or several of a modality; a list of pictures as video is one video's frames.

    Args:
        modality: What they are said to be.
        value: One of them, or a list or whatever else `items_of` takes.
        policy: Whether frames that are given as files or addresses may be opened, which happens
            here; all other media are opened later.

    Raises:
        InputError: One of them cannot be of that modality, or there are none.
        UnreadableMedia: A file does not exist, or samples or frames are missing or not finite.
    """
    several = items_of(value)
    if several is None:
        return [as_part(modality, value, policy)]
    # An open file may be read but once.
    several = [one if (data := bytes_in(one, policy)) is None else data for one in several]
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
    from mm_rag.media.audio import whole_rate

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


def file_dict(value: Mapping[str, Any], said: Modality | None, policy: MediaPolicy) -> Part:
    """`{"bytes": ..., "path": ...}`, which `datasets` gives for a medium that it does not decode.

    Args:
        value: Where there are bytes, the path only tells their name.
        said: What it is said to be; None for whatever it is.
        policy: How many bytes an open file may have.

    Raises:
        InputError: It is of another modality, or its bytes are none.
        UnreadableMedia: There is neither a medium nor the path of one.
    """
    held, path = value["bytes"], value.get("path")
    if held is not None:
        data = bytes_in(held, policy)
        if data is None:
            raise InputError(f"'bytes' holds the bytes of a medium; got a {type(held).__name__}.")
        return medium_of_bytes(data, said, name=str(path or ""))
    if not isinstance(path, str | Path):
        raise UnreadableMedia("The dict of a medium holds neither its bytes nor its path.")
    modality = said or named_modality(str(path))
    if modality is None:
        raise InputError(
            f"Cannot tell from the name of {path} whether it is a picture, a recording or a video. "
            "Say it: {'image': {'bytes': ..., 'path': ...}}."
        )
    return as_part(modality, str(path), policy)


def _text(value: Any, _: MediaPolicy) -> Part | None:
    return Text(value) if isinstance(value, str) else None


def _image(value: Any, policy: MediaPolicy) -> Part | None:
    if is_array(value):
        from mm_rag.media.arrays import as_array, rgb_array

        if value.ndim == 1:  # the bytes of a file, as `np.frombuffer` and OpenCV have them
            return medium_of_bytes(as_array(value).astype("uint8").tobytes(), "image")
        return Image(rgb_array(value))
    return _medium(value, "image", policy)


def _audio(value: Any, policy: MediaPolicy) -> Part | None:
    if isinstance(value, Mapping) and not is_file_dict(value):
        return audio_samples(cast("Mapping[str, Any]", value), policy)
    if is_array(value):
        from mm_rag.media.arrays import mono_samples

        return Audio(mono_samples(value))
    return _medium(value, "audio", policy)


def _video(value: Any, policy: MediaPolicy) -> Part | None:
    if isinstance(value, Mapping) and not is_file_dict(value):
        return video_frames(cast("Mapping[str, Any]", value), policy)
    if is_array(value) or isinstance(value, list | tuple):
        return Video(_frames(value, policy))
    return _medium(value, "video", policy)


_MAKERS: Mapping[Modality, Callable[[Any, MediaPolicy], Part | None]] = {
    "text": _text,
    "image": _image,
    "audio": _audio,
    "video": _video,
}


_KINDS: Mapping[Modality, type[Image | Audio | Video]] = {
    "image": Image,
    "audio": Audio,
    "video": Video,
}


def _medium(value: Any, modality: Modality, policy: MediaPolicy) -> Part | None:
    """A file, an address, bytes, an open file, or an object whose type says what it is."""
    if isinstance(value, str):
        return _named(value, modality)
    if isinstance(value, Path | Url):  # a Path need not have a suffix here
        return _KINDS[modality](value)
    if is_file_dict(value):
        return file_dict(cast("Mapping[str, Any]", value), modality, policy)
    data = bytes_in(value, policy)
    if data is not None:
        return medium_of_bytes(data, modality)
    return guessed(value, MODALITIES, policy)


def _named(text: str, modality: Modality) -> Part:
    """A str that must be a medium: a file, an address, a data URI, or else base64."""
    if text.startswith("data:"):
        return medium_of_bytes(data_uri_bytes(text), modality)
    try:
        return _KINDS[modality](place(text, modality))
    except UnreadableMedia:
        data = bare_base64_bytes(text)
        if data is None:
            raise
    return medium_of_bytes(data, modality)


def _frames(value: Any, policy: MediaPolicy) -> Any:
    from mm_rag.media import arrays

    if is_array(value):
        return arrays.rgb_frames(value)
    frames = items_of(value)
    if not frames:
        raise InputError(f"The frames of a video are an array or a list; got {_shown(value)}.")
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
    return isinstance(value, Image) or is_picture_object(value) or holds_picture(value)


def _check_keys(value: Mapping[str, Any], *known: str) -> None:
    unknown = [key for key in value if key not in known]
    if unknown or "array" not in value:
        raise InputError(
            f"A dict of an array takes the keys {', '.join(known)}; this one has "
            f"{', '.join(map(repr, value)) or 'none'}."
        )


def _shown(value: Any) -> str:
    return f"an empty {type(value).__name__}" if not value else f"a {type(value).__name__}"
