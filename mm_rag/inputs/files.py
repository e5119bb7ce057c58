"""Bytes, open files and base64: what they hold is told by their content, not by their type."""

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
_MADE: Mapping[str, type[Image | Audio | Video]] = {"image": Image, "audio": Audio, "video": Video}
_NOUNS = {"image": "picture", "audio": "recording", "video": "video"}
_MOVING_PICTURES = frozenset({"image/gif", "image/webp", "image/apng", "image/png"})


def is_open_file(value: Any) -> bool:
    """Whether it is read like a file: an `io.BytesIO`, what `open` gives, an answer of the web."""
    return callable(getattr(value, "read", None)) and not isinstance(value, type)


def is_file_dict(value: Any) -> bool:
    """Whether it is what `datasets` gives for a medium that it does not decode."""
    return isinstance(value, Mapping) and "bytes" in value and set(value) <= {"bytes", "path"}


def bytes_in(value: Any, policy: MediaPolicy) -> bytes | None:
    """The bytes of a bytes-like value or of a whole open file; None for any other value.

    An open file is left at the place where it was, if it has places.

    Raises:
        UnreadableMedia: The file is closed, or open for text.
        MediaTooLarge: It is over the policy's `max_bytes`.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    return _bytes_of_file(value, policy) if is_open_file(value) else None


def medium_of_bytes(data: bytes, said: Modality | None = None, name: str = "") -> Part:
    """The picture, recording or video whose bytes these are.

    Args:
        data: The bytes of a whole file.
        said: What they were given as; None for whatever they are.
        name: Of the file that they come from, whose suffix counts where the bytes do not tell.

    Raises:
        UnreadableMedia: They are none of these.
        InputError: They are another one than was said.
    """
    from mm_rag.media.kind import bytes_type

    if not data:
        raise UnreadableMedia(f"What was given as {said or 'bytes'} is empty (0 bytes).")
    found = bytes_type(data, Path(name).suffix)
    if said is not None:
        return _MADE[said](_checked(data, said, found))
    made = _MADE.get(found.kind or "")
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
    """Whether bytes, or a dict of `datasets`, hold a picture, or name the file of one."""
    from mm_rag.media.kind import bytes_type

    if is_file_dict(value):
        if value["bytes"] is None:
            return Path(str(value.get("path"))).suffix.lower() in IMAGE_SUFFIXES
        value = value["bytes"]
    return isinstance(value, bytes | bytearray) and bytes_type(bytes(value)).kind == "image"


def data_uri_bytes(text: str) -> bytes:
    """The bytes in a `data:...;base64,` URI.

    Raises:
        UnreadableMedia: It is not in base64, or damaged.
    """
    header, comma, body = text.partition(",")
    if not comma or not header.endswith(";base64"):
        raise UnreadableMedia(f"The data URI {text[:40]!r} is not of the form data:...;base64,...")
    return base64_bytes(body)


def base64_bytes(text: str) -> bytes:
    """What base64 stands for.

    Raises:
        UnreadableMedia: It is no base64.
    """
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnreadableMedia(f"The medium {text[:20]!r}... is no valid base64.") from error


def bare_base64_bytes(text: str) -> bytes | None:
    """The bytes of a medium in base64 that does not say that it is base64; None for other texts."""
    from mm_rag.media.kind import bytes_type

    if len(text) < _SHORTEST_BASE64:
        return None
    try:
        data = base64_bytes(text)
    except UnreadableMedia:
        return None
    found = bytes_type(data)
    return data if found.kind in _MADE and found.certain else None


def _bytes_of_file(file: Any, policy: MediaPolicy) -> bytes:
    name = f"The open file {_name(file)}".rstrip()
    pieces: list[bytes] = []
    left = policy.max_bytes
    try:
        seekable = getattr(file, "seekable", None)
        place = file.tell() if seekable is not None and seekable() else None
        if place:
            file.seek(0)
        while left >= 0 and (piece := file.read(_CHUNK)):
            if not isinstance(piece, bytes | bytearray | memoryview):
                raise UnreadableMedia(
                    f"{name} gives {type(piece).__name__}, not bytes: open it with mode 'rb'."
                )
            pieces.append(bytes(piece))
            left -= len(piece)
        if place is not None:
            file.seek(place)
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


def _checked(data: bytes, said: Modality, found: FileType) -> bytes:
    """The bytes, unless it is certain that they are something else than was said."""
    is_it = found.kind == said or (
        (said == "audio" and found.kind == "video")  # its sound
        or (said == "video" and found.mime in _MOVING_PICTURES)
    )
    if is_it or not found.certain or found.mime == "application/octet-stream":
        return data  # its reader says what is wrong with it
    if found.kind in _MADE:
        raise InputError(f"What was given as {said} is {found.kind} ({found.mime}).")
    raise UnreadableMedia(
        f"What was given as {said} is no {_NOUNS[said]}: it holds {_described(found)}. "
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
