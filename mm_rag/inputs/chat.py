"""Chat messages, in the spellings of transformers and of OpenAI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from mm_rag.content import MODALITIES, Audio, Chat, Image, Modality, Part, Text, Turn, Video
from mm_rag.errors import InputError
from mm_rag.inputs.dicts import as_part
from mm_rag.inputs.files import base64_bytes, medium_of_bytes
from mm_rag.inputs.values import guessed
from mm_rag.media.policy import MediaPolicy

# Where the value of a part is, by what the part says it is; the first that is there counts.
_KEYS: dict[str, tuple[Modality, tuple[str, ...]]] = {
    "text": ("text", ("text",)),
    "image": ("image", ("image", "url", "path", "base64")),
    "image_url": ("image", ("image_url",)),
    "audio": ("audio", ("audio", "url", "path", "base64")),
    "audio_url": ("audio", ("audio_url",)),
    "input_audio": ("audio", ("input_audio",)),
    "video": ("video", ("video", "url", "path", "base64")),
    "video_url": ("video", ("video_url",)),
}


def is_message(value: Any) -> bool:
    """Whether it is one chat message."""
    return isinstance(value, Mapping) and "role" in value and "content" in value


def as_chat(messages: Sequence[Any], policy: MediaPolicy) -> Chat:
    """Messages, each a dict of `role`, `content` and whatever else the model's template reads.

    The content is a str, which is always text, another medium, or a list of parts such as
    `{"type": "image", "image": ...}`. Of a part's keys only those of its medium are read.

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
    parts = tuple(_part(piece, number, policy) for piece in pieces)
    if not parts:
        raise InputError(f"Chat message {number} (role {role!r}) has no content.")
    return Turn(role, parts, fields)


def _part(piece: Any, number: int, policy: MediaPolicy) -> Part:
    if isinstance(piece, Text | Image | Audio | Video):
        return piece
    if isinstance(piece, Mapping):
        return _typed(cast("Mapping[str, Any]", piece), number, policy)
    part = Text(piece) if isinstance(piece, str) else guessed(piece, MODALITIES, policy)
    if part is None:
        raise InputError(
            f"Chat message {number} holds a {type(piece).__name__}; its content is a str or a list "
            "of parts such as {'type': 'text', 'text': ...}."
        )
    return part


def _typed(piece: Mapping[str, Any], number: int, policy: MediaPolicy) -> Part:
    kind = piece.get("type")
    if kind not in _KEYS:
        raise InputError(
            f"A part of chat message {number} has the type {kind!r}; it takes {', '.join(_KEYS)}."
        )
    modality, keys = _KEYS[kind]
    found = next((key for key in keys if piece.get(key) is not None), None)
    if found is None:
        raise InputError(
            f"A part of type {kind!r} in chat message {number} needs one of the keys "
            f"{', '.join(keys)}; it has {', '.join(map(repr, piece))}."
        )
    return _value(modality, found, piece[found], policy)


def _value(modality: Modality, key: str, value: Any, policy: MediaPolicy) -> Part:
    if key == "input_audio" and isinstance(value, Mapping):
        key, value = "base64", value.get("data")
    if key == "base64" and isinstance(value, str) and not value.startswith("data:"):
        return medium_of_bytes(base64_bytes(value), modality)
    if key.endswith("_url") and isinstance(value, Mapping):
        value = value.get("url")
    return as_part(modality, value, policy)
