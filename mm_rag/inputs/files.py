"""Bytes, open files and base64: recognise the medium in them by their content."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mm_rag.content import IMAGE_SUFFIXES, Audio, Image, Modality, Part, Video
from mm_rag.errors import InputError, MediaTooLarge, UnreadableMedia
from mm_rag.media.policy import MediaPolicy

if TYPE_CHECKING:
    from mm_rag.media.kind import FileType

_CHUNK = 1024**2
_SHORTEST_BASE64 = 32  # characters; no picture takes less
MEDIA_CLASSES: Mapping[str, type[Image | Audio | Video]] = {
    "image": Image,
    "audio": Audio,
    "video": Video,
}
_NOUNS = {"image": "picture", "audio": "recording", "video": "video"}
_MOVING_PICTURES = frozenset({"image/gif", "image/webp", "image/apng", "image/png"})


def is_open_file(value: Any) -> bool:
    """Whether it has `read`: an `io.BytesIO`, an open file, an HTTP response."""
    return callable(getattr(value, "read", None)) and not isinstance(value, type)


def is_file_dict(value: Any) -> bool:
    """Whether it is a medium that `datasets` does not decode: `{"bytes": ..., "path": ...}`."""
    return isinstance(value, Mapping) and "bytes" in value and set(value) <= {"bytes", "path"}


def bytes_in(value: Any, policy: MediaPolicy) -> bytes | None:
    """The bytes of a bytes-like value or of a whole open file; None for any other value.

    The position of a seekable file is restored.

    Raises:
        UnreadableMedia: The file is closed, or open for text.
        MediaTooLarge: It exceeds the policy's `max_bytes`.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    return _bytes_of_file(value, policy) if is_open_file(value) else None


def medium_of_bytes(data: bytes, declared: Modality | None = None, name: str = "") -> Part:
    """Make a picture, recording or video out of its bytes.

    Args:
        data: The bytes of a whole file.
        declared: The modality that the caller gave; None for any.
        name: The file's name, whose suffix counts if the bytes are ambiguous.

    Raises:
        UnreadableMedia: The bytes are not a medium.
        InputError: The medium is of another modality than the caller gave.
    """
    from mm_rag.media.kind import bytes_type

    if not data:
        raise UnreadableMedia(f"What was given as {declared or 'bytes'} is empty (0 bytes).")
    found = bytes_type(data, Path(name).suffix)
    if declared is not None:
        return MEDIA_CLASSES[declared](_checked(data, declared, found))
    made = MEDIA_CLASSES.get(found.kind or "")
    # Some formats have no signature, such as TGA.
    if (made is None or not found.certain) and found.kind != "text" and _is_picture(data):
        return Image(data)
    if made is not None:
        return made(data)
    raise UnreadableMedia(
        f"Cannot use bytes that hold {_described(found)}: they are neither a picture, nor a "
        f"recording or video. {_hint(found)}"
    )


def holds_picture(value: Any) -> bool:
    """Whether bytes or a dict of `datasets` contain a picture, or name a picture file."""
    from mm_rag.media.kind import bytes_type

    if is_file_dict(value):
        if value["bytes"] is None:
            return Path(str(value.get("path"))).suffix.lower() in IMAGE_SUFFIXES
        value = value["bytes"]
    return isinstance(value, bytes | bytearray) and bytes_type(bytes(value)).kind == "image"


def data_uri_bytes(text: str) -> bytes:
    """Decode a `data:...;base64,` URI.

    Raises:
        UnreadableMedia: It is not in base64, or damaged.
    """
    header, comma, body = text.partition(",")
    if not comma or not header.endswith(";base64"):
        raise UnreadableMedia(f"The data URI {text[:40]!r} is not of the form data:...;base64,...")
    return base64_bytes(body)


def base64_bytes(text: str) -> bytes:
    """Decode base64.

    Raises:
        UnreadableMedia: The text is not base64.
    """
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnreadableMedia(f"The medium {text[:20]!r}... is not valid base64.") from error


def bare_base64_bytes(text: str) -> bytes | None:
    """Decode a medium in base64 without a `data:` prefix; None for other texts."""
    from mm_rag.media.kind import bytes_type

    if len(text) < _SHORTEST_BASE64:
        return None
    try:
        data = base64_bytes(text)
    except UnreadableMedia:
        return None
    found = bytes_type(data)
    return data if found.kind in MEDIA_CLASSES and found.certain else None


def _bytes_of_file(file: Any, policy: MediaPolicy) -> bytes:
    name = f"The open file {_name(file)}".rstrip()
    pieces: list[bytes] = []
    left = policy.max_bytes
    try:
        seekable = getattr(file, "seekable", None)
        position = file.tell() if seekable is not None and seekable() else None
        if position:
            file.seek(0)
        while left >= 0 and (piece := file.read(_CHUNK)):
            if not isinstance(piece, bytes | bytearray | memoryview):
                raise UnreadableMedia(
                    f"{name} gives {type(piece).__name__}, not bytes: open it with mode 'rb'."
                )
            pieces.append(bytes(piece))
            left -= len(piece)
        if position is not None:
            file.seek(position)
    except (OSError, ValueError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise UnreadableMedia(f"{name} cannot be read: {error}.") from error
    if left < 0:
        raise MediaTooLarge(
            f"{name} has more than {policy.max_bytes:,} bytes, which MediaPolicy.max_bytes allows."
        )
    return b"".join(pieces)


def _name(file: Any) -> str:
    name = getattr(file, "name", "")
    return repr(name) if isinstance(name, str) and name else ""


def _checked(data: bytes, declared: Modality, found: FileType) -> bytes:
    """Return the bytes, unless they certainly are of another modality than the caller gave."""
    is_it = found.kind == declared or (
        (declared == "audio" and found.kind == "video")  # a video's sound
        or (declared == "video" and found.mime in _MOVING_PICTURES)
    )
    if is_it or not found.certain or found.mime == "application/octet-stream":
        return data  # opening it reports what is wrong
    if found.kind in MEDIA_CLASSES:
        raise InputError(f"What was given as {declared} is {found.kind} ({found.mime}).")
    raise UnreadableMedia(
        f"What was given as {declared} is no {_NOUNS[declared]}: it holds {_described(found)}. "
        f"{_hint(found)}".rstrip()
    )


def _is_picture(data: bytes) -> bool:
    from mm_rag.media.image import image_format

    try:
        image_format(data)
    except UnreadableMedia:
        return False
    return True


def _described(found: FileType) -> str:
    if found.mime == "application/octet-stream":
        return "something of an unknown kind"
    return f"{found.name} ({found.mime})"


def _hint(found: FileType) -> str:
    match found.kind:
        case "text":
            return "Give words as a str: data.decode()."
        case "pdf" | "office":
            return "mm_rag_loaders.load_bytes reads documents."
        case _:
            return "" if found.mime != "application/octet-stream" else "Are they damaged?"
