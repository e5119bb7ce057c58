"""Plain values: how many inputs a value holds, and which medium it is by type, shape or name."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from mm_rag.content import (
    AUDIO_SUFFIXES,
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    Audio,
    Chat,
    Image,
    Mixed,
    Modality,
    Part,
    Text,
    Url,
    Video,
)
from mm_rag.errors import InputError, UnreadableMedia
from mm_rag.inputs.files import (
    MEDIA_CLASSES,
    bytes_in,
    data_uri_bytes,
    is_open_file,
    medium_of_bytes,
)
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

# A single input each, although some are iterable.
_SINGLE = (
    *(str, bytes, bytearray, memoryview, Mapping, Path, Url),
    *(Text, Image, Audio, Video, Mixed, Chat),
)
_COLUMN_KINDS = frozenset("UTSO")  # of numpy: str, StringDType, bytes, objects


def items_of(values: Any) -> list[Any] | None:
    """The items of a value that holds several inputs, in order; None for a single input.

    Several inputs are a list or another sequence, a generator, a view of a dict, a column of
    pandas, pyarrow, polars or datasets, or a numpy array of strings or objects. Other arrays are
    one medium.

    Raises:
        InputError: The value is a set, which has no order, or a whole table.
    """
    if isinstance(values, _SINGLE) or is_open_file(values):
        return None
    if is_picture_object(values) or is_decoder(values) or _is_model(values):
        return None
    if hasattr(values, "columns") and hasattr(values, "shape"):
        raise InputError(
            f"A {type(values).__name__} is a whole table. Give one of its columns, or its rows as "
            "dicts such as {'text': ..., 'image': ...}."
        )
    if isinstance(values, set | frozenset):
        raise InputError("A set has no order. Give a list.")
    if is_array(values):
        return _column(values) if is_column(values) else None
    if hasattr(values, "to_pylist"):  # pyarrow, whose items are not plain values
        return list(values.to_pylist())
    if isinstance(values, Iterable | Sequence):
        return list(cast("Iterable[Any]", values))
    return None


def is_column(values: Any) -> bool:
    """Whether it is an array of strings or objects, or a column of such a table."""
    kind = getattr(getattr(values, "dtype", None), "kind", "")
    return kind in _COLUMN_KINDS and getattr(values, "ndim", 0) > 0


def _column(values: Any) -> list[Any]:
    if values.dtype.kind != "S" or values.ndim > 1:  # each row is a column of its own
        return list(values)
    return [_words_or_bytes(item) for item in values.tolist()]


def _words_or_bytes(item: Any) -> Any:
    """Decode a string of numpy's type `S`; bytes that are not UTF-8 hold a medium."""
    try:
        return item.decode() if isinstance(item, bytes) else item
    except UnicodeDecodeError:
        return item


def _is_model(value: Any) -> bool:
    """Whether it is a pydantic object, which is iterable."""
    return hasattr(type(value), "model_fields")


def detected(value: Any, media: Collection[str], policy: MediaPolicy) -> Part | None:
    """Turn a value into a text or medium; None if it is neither.

    Args:
        value: Any value but a dict or a list.
        media: The modalities of which a str may name a file or URL.
        policy: Limits the bytes of an open file.

    Raises:
        InputError: The value looks like a medium but cannot be one.
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
    """The modality of the medium that a str names by an existing file, a URL or a data URI.

    `file:` URLs count, too, even if the policy forbids them: a text that begins with `file:/` and
    ends like a picture is not a question.
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
    except OSError:  # too long for a file name: a text
        return None


def named_modality(text: str) -> Modality | None:
    """The modality by the suffix of a path or URL, whether or not the file exists."""
    return _modality_of_address(text) if _ADDRESS.match(text) else _by_suffix(Path(text).suffix)


def path_or_url(text: str, modality: Modality) -> Path | Url:
    """Turn a str that must name a medium into a Path or Url.

    Raises:
        UnreadableMedia: The file does not exist.
    """
    if _ADDRESS.match(text):
        return Url(text)  # with any scheme: opening it checks whether that is allowed
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
    """Whether it is a numpy array, a tensor, or a similar type."""
    return hasattr(value, "ndim") and hasattr(value, "dtype") and hasattr(value, "shape")


def is_picture_object(value: Any) -> bool:
    """Whether it is a PIL image; does not import PIL."""
    pil = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(value, pil.Image)


def is_decoder(value: Any) -> bool:
    """Whether it is a decoder of torchcodec; does not import torchcodec."""
    decoders = sys.modules.get("torchcodec.decoders")
    kinds = (decoders.AudioDecoder, decoders.VideoDecoder) if decoders else ()
    return isinstance(value, kinds)


def _named(text: str, modality: Modality) -> Part:
    if text.startswith("data:"):
        return medium_of_bytes(data_uri_bytes(text), modality)
    return MEDIA_CLASSES[modality](Url(text) if _ADDRESS.match(text) else Path(text))


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
    return MEDIA_CLASSES[modality](path)


def _from_address(url: Url) -> Part:
    modality = _modality_of_address(url.address)
    if modality is None:
        raise InputError(
            "Cannot tell from an address without a known suffix whether it is a picture, a "
            "recording or a video. Wrap it: Image(url), Audio(url) or Video(url)."
        )
    return MEDIA_CLASSES[modality](url)


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
    """The name of an open file, whose suffix may say what its bytes do not."""
    name = getattr(value, "name", "")
    return name if isinstance(name, str) else ""
