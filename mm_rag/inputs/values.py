"""One plain value becomes one medium: by its type, its shape or its name."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any, cast

from mm_rag.content import (
    AUDIO_SUFFIXES,
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    Audio,
    Image,
    Modality,
    Part,
    Text,
    Url,
    Video,
)
from mm_rag.errors import InputError, UnreadableMedia
from mm_rag.inputs.files import bytes_in, data_uri_bytes, medium_of_bytes
from mm_rag.media.policy import MediaPolicy

_SUFFIXES: dict[Modality, frozenset[str]] = {
    "image": IMAGE_SUFFIXES,
    "audio": AUDIO_SUFFIXES,
    "video": VIDEO_SUFFIXES,
}
_WEB = re.compile(r"https?://", re.IGNORECASE)
_FILE = re.compile(r"file:/", re.IGNORECASE)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://|file:", re.IGNORECASE)  # "C://" begins a path
_PATH = re.compile(r"[a-z]+:(?://[^/?#]*)?([^?#]*)", re.IGNORECASE)
_DATA_URI = re.compile(r"data:(image|audio|video)/", re.IGNORECASE)
_LONGEST_NAME = 4096


def guessed(value: Any, media: Collection[str], policy: MediaPolicy) -> Part | None:
    """The medium that a value is; None for a value that is none.

    Args:
        value: Anything but a dict or a list.
        media: The modalities that a str may name.
        policy: How many bytes an open file may have.

    Raises:
        InputError: It looks like a medium and cannot be one.
    """
    match value:
        case str():
            modality = modality_of(value)
            if modality is None or modality not in media:
                return Text(value)
            return _named(value, modality)
        case Path():
            return _from_path(value)
        case Url():
            return _from_address(value)
        case _ if is_array(value):
            return _from_array(value)
        case _ if is_picture_object(value):
            return Image(value)
        case _ if is_decoder(value):
            return _from_decoder(value)
        case _:
            data = bytes_in(value, policy)
            return None if data is None else medium_of_bytes(data, name=_name_of(value))


def modality_of(text: str) -> Modality | None:
    """What a str names: an existing media file, the address of a medium, a medium's data URI.

    An address of a file is one of a medium too, whether or not the policy lets it be opened: words
    that begin with `file:/` and end like a picture are nobody's question.
    """
    if data := _DATA_URI.match(text):
        return cast("Modality", data[1].lower())
    if _WEB.match(text) or _FILE.match(text):
        return _modality_of_address(text)
    if len(text) > _LONGEST_NAME or "\n" in text or "\0" in text:
        return None
    modality = _by_suffix(Path(text).suffix)
    try:
        return modality if modality and Path(text).is_file() else None
    except OSError:  # too long for the name of a file: words
        return None


def named_modality(text: str) -> Modality | None:
    """The modality that the suffix of a path or an address tells, whether or not it exists."""
    return _modality_of_address(text) if _ADDRESS.match(text) else _by_suffix(Path(text).suffix)


def place(text: str, modality: Modality) -> Path | Url:
    """The file or address that a str names, where it must be one.

    Raises:
        UnreadableMedia: There is no such file.
    """
    if _ADDRESS.match(text):
        return Url(text)  # of whatever kind: opening it says whether it may be
    try:
        found = "\0" not in text and Path(text).is_file()
    except OSError:
        found = False
    if not found:
        raise UnreadableMedia(
            f"There is no file {text[:200]!r}, which was given as {modality}; an address begins "
            "with http:// or https://."
        )
    return Path(text)


def is_array(value: Any) -> bool:
    """Whether it is a numpy array, a tensor, or behaves like one."""
    return hasattr(value, "ndim") and hasattr(value, "dtype") and hasattr(value, "shape")


def is_picture_object(value: Any) -> bool:
    """Whether it is a PIL image; PIL itself may stay unloaded."""
    pil = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(value, pil.Image)


def is_decoder(value: Any) -> bool:
    """Whether it is a decoder of torchcodec; torchcodec itself may stay unloaded."""
    decoders = sys.modules.get("torchcodec.decoders")
    kinds = (decoders.AudioDecoder, decoders.VideoDecoder) if decoders else ()
    return isinstance(value, kinds)


def _named(text: str, modality: Modality) -> Part:
    if text.startswith("data:"):
        return medium_of_bytes(data_uri_bytes(text), modality)
    return _MADE[modality](Url(text) if _ADDRESS.match(text) else Path(text))


_MADE: dict[str, Any] = {"image": Image, "audio": Audio, "video": Video}


def _modality_of_address(text: str) -> Modality | None:
    if any(character.isspace() for character in text):
        return None
    path = _PATH.match(text)
    return _by_suffix(Path(path[1]).suffix) if path else None


def _by_suffix(suffix: str) -> Modality | None:
    for modality, suffixes in _SUFFIXES.items():
        if suffix.lower() in suffixes:
            return modality
    return None


def _from_path(path: Path) -> Part:
    modality = _by_suffix(path.suffix)
    if modality is None:
        raise InputError(
            f"Cannot tell from the name of {path} whether it is a picture, a recording or a video. "
            "Wrap it: Image(path), Audio(path) or Video(path)."
        )
    return _MADE[modality](path)


def _from_address(url: Url) -> Part:
    modality = _modality_of_address(url.address)
    if modality is None:
        raise InputError(
            "Cannot tell from an address without a known suffix whether it is a picture, a "
            "recording or a video. Wrap it: Image(url), Audio(url) or Video(url)."
        )
    return _MADE[modality](url)


def _from_array(value: Any) -> Part | None:
    from mm_rag.media import arrays

    match value.ndim:
        case 1 | 2:
            return Audio(arrays.mono_samples(value))
        case 3:
            return Image(arrays.rgb_array(value))
        case 4:
            return Video(arrays.rgb_frames(value))
        case _:
            return None


def _from_decoder(value: Any) -> Audio | Video:
    is_audio = isinstance(value, sys.modules["torchcodec.decoders"].AudioDecoder)
    return Audio(value) if is_audio else Video(value)


def _name_of(value: Any) -> str:
    """The name of an open file, whose suffix may tell what its bytes do not."""
    name = getattr(value, "name", "")
    return name if isinstance(name, str) else ""
