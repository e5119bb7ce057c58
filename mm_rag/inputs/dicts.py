"""Dict inputs: media by modality, arrays with metadata, files of `datasets`, chat messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from mm_rag.content import (
    MODALITIES,
    Audio,
    Chat,
    Image,
    Modality,
    Part,
    Text,
    Turn,
    Url,
    Video,
)
from mm_rag.errors import InputError, UnreadableMedia
from mm_rag.inputs.files import (
    MEDIA_CLASSES,
    bare_base64_bytes,
    base64_bytes,
    bytes_in,
    data_uri_bytes,
    holds_picture,
    is_file_dict,
    medium_of_bytes,
)
from mm_rag.inputs.values import (
    detected,
    is_array,
    is_picture_object,
    items_of,
    modality_of,
    named_modality,
    path_or_url,
)
from mm_rag.media.policy import MediaPolicy

# The keys of a message part that may hold its value, by its type; the first present one counts.
_PART_KEYS: dict[str, tuple[Modality, tuple[str, ...]]] = {
    "text": ("text", ("text",)),
    "image": ("image", ("image", "url", "path", "base64")),
    "image_url": ("image", ("image_url",)),
    "audio": ("audio", ("audio", "url", "path", "base64")),
    "audio_url": ("audio", ("audio_url",)),
    "input_audio": ("audio", ("input_audio",)),
    "video": ("video", ("video", "url", "path", "base64")),
    "video_url": ("video", ("video_url",)),
}


def as_parts(modality: Modality, value: Any, policy: MediaPolicy) -> list[Part]:
    """Turn one or several values into parts; a list of pictures as video is the frames of one.

    Args:
        modality: The modality that the caller gave.
        value: One value, or a list or another value that `items_of` accepts.
        policy: Whether frames in files or at URLs may be opened, which happens here; all other
            media are opened later.

    Raises:
        InputError: A value cannot be of that modality, or the list is empty.
        UnreadableMedia: A file does not exist, or samples or frames are missing or not finite.
    """
    several = items_of(value)
    if several is None:
        return [as_part(modality, value, policy)]
    # An open file can be read only once.
    several = [one if (data := bytes_in(one, policy)) is None else data for one in several]
    if not several:
        raise InputError(f"The list of {modality} in a dict input is empty.")
    if modality == "video" and all(map(_is_picture, several)):
        return [as_part(modality, several, policy)]
    return [as_part(modality, one, policy) for one in several]


def as_part(modality: Modality, value: Any, policy: MediaPolicy) -> Part:
    """Turn one value into a part of the given modality.

    Raises:
        InputError: It cannot be of that modality.
        UnreadableMedia: As for `as_parts`.
    """
    is_part = isinstance(value, Text | Image | Audio | Video)
    part = value if is_part else _CONVERTERS[modality](value, policy)
    if part is None:
        raise InputError(f"Cannot use a {type(value).__name__} as {modality}.")
    if part.modality != modality:
        raise InputError(f"What was given as {modality} is {part.modality}.")
    return part


def audio_samples(value: Mapping[str, Any], _: MediaPolicy) -> Audio:
    """Convert `{"array": ..., "sampling_rate": ...}`; the `path` that datasets adds is not read.

    Raises:
        InputError: The rate is not a positive integer, or there are other keys.
        UnreadableMedia: There are no samples, or some are not finite.
    """
    from mm_rag.media.arrays import mono_samples
    from mm_rag.media.audio import whole_rate

    _check_keys(value, "array", "sampling_rate", "path")
    return Audio(mono_samples(value["array"]), whole_rate(value.get("sampling_rate")))


def video_frames(value: Mapping[str, Any], policy: MediaPolicy) -> Video:
    """Convert `{"array": ..., "video_metadata": ...}`; the array may be a list of pictures.

    Raises:
        InputError: The metadata is not a dict, or there are other keys.
        UnreadableMedia: There are no frames.
    """
    _check_keys(value, "array", "video_metadata")
    metadata = value.get("video_metadata")
    if not isinstance(metadata, Mapping | None):
        raise InputError(f"video_metadata is a dict or None; got a {type(metadata).__name__}.")
    return Video(
        _frames(value["array"], policy), metadata=cast("Mapping[str, Any] | None", metadata)
    )


def file_dict(value: Mapping[str, Any], declared: Modality | None, policy: MediaPolicy) -> Part:
    """Convert `{"bytes": ..., "path": ...}`, a medium that `datasets` does not decode.

    Args:
        value: If there are bytes, the path is only their name.
        declared: The modality that the caller gave; None for any.
        policy: Limits the bytes of an open file.

    Raises:
        InputError: The medium is of another modality, or `bytes` holds another type.
        UnreadableMedia: There are neither bytes nor a path.
    """
    held, path = value["bytes"], value.get("path")
    if held is not None:
        data = bytes_in(held, policy)
        if data is None:
            raise InputError(f"'bytes' holds the bytes of a medium; got a {type(held).__name__}.")
        return medium_of_bytes(data, declared, name=str(path or ""))
    if not isinstance(path, str | Path):
        raise UnreadableMedia("The dict of a medium holds neither its bytes nor its path.")
    modality = declared or named_modality(str(path))
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

        if value.ndim == 1:  # the bytes of a file, as from `np.frombuffer` and OpenCV
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


_CONVERTERS: Mapping[Modality, Callable[[Any, MediaPolicy], Part | None]] = {
    "text": _text,
    "image": _image,
    "audio": _audio,
    "video": _video,
}


def _medium(value: Any, modality: Modality, policy: MediaPolicy) -> Part | None:
    """Convert a file, a URL, bytes, an open file, or an object of a known type."""
    if isinstance(value, str):
        return _named(value, modality)
    if isinstance(value, Path | Url):  # a Path need not have a suffix here
        return MEDIA_CLASSES[modality](value)
    if is_file_dict(value):
        return file_dict(cast("Mapping[str, Any]", value), modality, policy)
    data = bytes_in(value, policy)
    if data is not None:
        return medium_of_bytes(data, modality)
    return detected(value, MODALITIES, policy)


def _named(text: str, modality: Modality) -> Part:
    """Convert a str that must be a medium: a file, a URL, a data URI, or else base64."""
    if text.startswith("data:"):
        return medium_of_bytes(data_uri_bytes(text), modality)
    try:
        return MEDIA_CLASSES[modality](path_or_url(text, modality))
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
        # Together, so that a dark frame of floats is scaled like the others.
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


def is_message(value: Any) -> bool:
    """Whether it is one chat message."""
    return isinstance(value, Mapping) and "role" in value and "content" in value


def as_chat(messages: Sequence[Any], policy: MediaPolicy) -> Chat:
    """Convert messages: dicts of `role`, `content` and other keys that the model's template reads.

    They may be spelt as for transformers or as for OpenAI. The content is a str, which is always
    text, a medium, or a list of parts such as `{"type": "image", "image": ...}`, of which only the
    keys of the medium are read.

    Raises:
        InputError: A message or a part is malformed.
        UnreadableMedia: A file does not exist, or samples or frames are missing or not finite.
    """
    return Chat(tuple(_turn(message, number, policy) for number, message in enumerate(messages)))


def _turn(message: Any, number: int, policy: MediaPolicy) -> Turn:
    if not is_message(message):
        raise InputError(
            f"Chat message {number} needs the keys 'role' and 'content'; it is a "
            f"{type(message).__name__}"
            + (f" with {', '.join(map(repr, message))}." if isinstance(message, Mapping) else ".")
        )
    fields = {key: value for key, value in message.items() if key not in ("role", "content")}
    content, role = message["content"], message["role"]
    if not isinstance(role, str):
        raise InputError(f"The role of chat message {number} is a str; got {role!r}.")
    several = isinstance(content, list | tuple)
    pieces = cast("Sequence[Any]", content) if several else [content]
    parts = tuple(_chat_part(piece, number, policy) for piece in pieces)
    if not parts:
        raise InputError(f"Chat message {number} (role {role!r}) has no content.")
    return Turn(role, parts, fields)


def _chat_part(piece: Any, number: int, policy: MediaPolicy) -> Part:
    if isinstance(piece, Text | Image | Audio | Video):
        return piece
    if isinstance(piece, Mapping):
        return _typed_part(cast("Mapping[str, Any]", piece), number, policy)
    part = Text(piece) if isinstance(piece, str) else detected(piece, MODALITIES, policy)
    if part is None:
        raise InputError(
            f"Chat message {number} holds a {type(piece).__name__}; its content is a str or a list "
            "of parts such as {'type': 'text', 'text': ...}."
        )
    return part


def _typed_part(piece: Mapping[str, Any], number: int, policy: MediaPolicy) -> Part:
    kind = piece.get("type")
    if kind not in _PART_KEYS:
        raise InputError(
            f"A part of chat message {number} has the type {kind!r}; it takes "
            f"{', '.join(_PART_KEYS)}."
        )
    modality, keys = _PART_KEYS[kind]
    found = next((key for key in keys if piece.get(key) is not None), None)
    if found is None:
        raise InputError(
            f"A part of type {kind!r} in chat message {number} needs one of the keys "
            f"{', '.join(keys)}; it has {', '.join(map(repr, piece))}."
        )
    return _part_value(modality, found, piece[found], policy)


def _part_value(modality: Modality, key: str, value: Any, policy: MediaPolicy) -> Part:
    if key == "input_audio" and isinstance(value, Mapping):
        key, value = "base64", value.get("data")
    if key == "base64" and isinstance(value, str) and not value.startswith("data:"):
        return medium_of_bytes(base64_bytes(value), modality)
    if key.endswith("_url") and isinstance(value, Mapping):
        value = value.get("url")
    return as_part(modality, value, policy)
