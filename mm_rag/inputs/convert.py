"""as_content and as_contents: convert one input, or a batch of inputs, to Content."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

from mm_rag.content import MODALITIES, Audio, Chat, Content, Image, Mixed, Part, Text, Video
from mm_rag.errors import InputError, at_position
from mm_rag.inputs.dicts import (
    as_chat,
    as_parts,
    audio_samples,
    file_dict,
    is_message,
    video_frames,
)
from mm_rag.inputs.files import is_file_dict
from mm_rag.inputs.values import detected, items_of
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy

_ARRAY_KEYS = {"sampling_rate": audio_samples, "video_metadata": video_frames}


def as_content(
    value: Any,
    *,
    media: Collection[str] = MODALITIES,
    policy: MediaPolicy = DEFAULT_POLICY,
) -> Content:
    """Convert a plain value to Content.

    Args:
        value: Content, or one of these. A str: the name of an existing media file, the URL of a
            medium or a `data:` URI of one is that medium, any other str is text; wrap a user's
            words in `Text`, so that they stay text. A Path. The bytes of a picture, recording or
            video, or an open file of one, recognised by their content. A PIL image. An array or
            tensor: sound with 1 or 2 dimensions, a picture with 3, a video with 4. A decoder of
            torchcodec. `{"array": ..., "sampling_rate": ...}`,
            `{"array": ..., "video_metadata": ...}`, `{"bytes": ..., "path": ...}`. Several
            together, such as `{"text": ..., "image": ...}`, where each may be a list. A chat
            message (`{"role": ..., "content": ...}`), or a list of them.
        media: The modalities of which a str may name a medium; otherwise it stays text.
        policy: Whether a video's frames in files or at URLs may be opened, which happens here; all
            other media are opened later.

    Raises:
        InputError: The value is of an unsupported type, or malformed.
        UnreadableMedia: A file does not exist, or samples or frames are missing or not finite.
    """
    if isinstance(value, Text | Image | Audio | Video | Mixed | Chat):
        return value
    if _is_conversation(value):
        return as_chat(value, policy)
    if isinstance(value, Mapping):
        if is_message(value):
            return as_chat([value], policy)
        return _from_mapping(cast("Mapping[Any, Any]", value), policy)
    part = detected(value, media, policy)
    if part is None:
        raise InputError(_unusable(value))
    return part


def as_contents(
    inputs: Any,
    *,
    media: Collection[str] = MODALITIES,
    policy: MediaPolicy = DEFAULT_POLICY,
) -> tuple[list[Content], bool]:
    """Convert one input or a batch of inputs to Content, in order.

    Args:
        inputs: A value that `as_content` accepts, or a batch of such values: a list or another
            sequence, a generator, a view of a dict, a column of a table, or an array of strings or
            objects. A list of chat messages is one input; a list or tuple of two str in a batch is
            a pair of texts, which has one vector.
        media: As for `as_content`.
        policy: As for `as_content`.

    Returns:
        The contents, and whether `inputs` was a single input.

    Raises:
        InputError: As for `as_content`, with its position in a batch.
    """
    several = None if _is_conversation(inputs) else items_of(inputs)
    if several is None:
        return [as_content(inputs, media=media, policy=policy)], True
    contents: list[Content] = []
    for position, value in enumerate(several):
        with at_position(position):
            pair = _as_pair(value)
            contents.append(pair or as_content(value, media=media, policy=policy))
    return contents, False


def _as_pair(value: Any) -> Text | None:
    """A pair of texts as one input; None for other values."""
    match value:
        case (str() as first, str() as second):
            return Text(first, second)
        case _:
            return None


def _is_conversation(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and is_message(cast("list[Any]", value)[0])


def _from_mapping(value: Mapping[Any, Any], policy: MediaPolicy) -> Content:
    if is_file_dict(value):
        return file_dict(value, None, policy)
    if "array" in value:
        return _from_array_dict(value, policy)
    unknown = [key for key in value if key not in MODALITIES]
    if unknown or not value:
        raise InputError(
            f"A dict input takes the keys {', '.join(MODALITIES)}; this one has "
            f"{', '.join(map(repr, value)) or 'none'}.{_hint(unknown)}"
        )
    parts = [part for name, held in value.items() for part in as_parts(name, held, policy)]
    return parts[0] if len(parts) == 1 else Mixed(tuple(parts))


def _from_array_dict(value: Mapping[Any, Any], policy: MediaPolicy) -> Part:
    for key, convert in _ARRAY_KEYS.items():
        if key in value:
            return convert(value, policy)
    raise InputError(
        "A dict with 'array' needs 'sampling_rate' beside it, which makes it audio, or "
        f"'video_metadata', which makes it video; this one has {', '.join(map(repr, value))}."
    )


def _hint(unknown: list[Any]) -> str:
    if "sampling_rate" in unknown:
        return " Give a recording as {'audio': {'array': ..., 'sampling_rate': ...}}."
    if "video_metadata" in unknown:
        return " Give a video as {'video': {'array': ..., 'video_metadata': ...}}."
    return ""


def _unusable(value: Any) -> str:
    shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
    return (
        f"Cannot use a {type(value).__name__}{shape} as input. Give a str, a Path, the bytes or "
        "open file of a medium, a PIL image, an array of 1 to 4 dimensions, a dict such as "
        "{'text': ..., 'image': ...}, chat messages, or one of Text, Image, Audio, Video."
    )
