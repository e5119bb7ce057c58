"""Content: what a model is given.

Users pass plain values (a str, a Path, a PIL image, an array); `as_content` turns them into one of
these classes once, at the edge, and everything inside mm_rag handles only these.

A picture, recording or video may carry the words that were already read from it (`text`). A model
that reads its media (the embedded default) then uses those words instead of reading again; a model
with eyes and ears looks and listens for itself.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from mm_rag.errors import InputError

if TYPE_CHECKING:  # numpy alone would double the time that `import mm_rag` takes
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image as PILImage

Modality: TypeAlias = Literal["text", "image", "audio", "video"]
MODALITIES: tuple[Modality, ...] = get_args(Modality)

IMAGE_SUFFIXES = frozenset(
    [
        ".avif",
        ".bmp",
        ".gif",
        ".heic",
        ".ico",
        ".jpeg",
        ".jpg",
        ".jp2",
        ".png",
        ".ppm",
        ".tif",
        ".tiff",
        ".webp",
    ]
)
AUDIO_SUFFIXES = frozenset(
    [".aac", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".wma"]
)
VIDEO_SUFFIXES = frozenset(
    [".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".webm", ".wmv"]
)


@dataclass(frozen=True)
class Text:
    """Words."""

    text: str

    @property
    def modality(self) -> Modality:
        """Always `"text"`."""
        return "text"


@dataclass(frozen=True, eq=False)
class Image:
    """A picture.

    Attributes:
        source: A file, its bytes, a PIL image, or an array of shape (height, width, 3), uint8.
        text: The words on it, where they were read before; None where nobody has read it.
    """

    source: Path | bytes | PILImage | npt.NDArray[np.uint8]
    text: str | None = None

    @property
    def modality(self) -> Modality:
        """Always `"image"`."""
        return "image"


@dataclass(frozen=True, eq=False)
class Audio:
    """A recording, or the part of one between `start` and `end`.

    Attributes:
        source: A file, or mono samples of shape (n,), float32 in [-1, 1].
        sampling_rate: Of the samples, in Hz; None for a file, which knows its own.
        start: Where the part begins, in seconds.
        end: Where it ends, in seconds; None for the end of the recording.
        text: What is said in it, where it was transcribed before.
    """

    source: Path | npt.NDArray[np.float32]
    sampling_rate: int | None = None
    start: float = 0.0
    end: float | None = None
    text: str | None = None

    @property
    def modality(self) -> Modality:
        """Always `"audio"`."""
        return "audio"


@dataclass(frozen=True, eq=False)
class Video:
    """A video, or the part of one between `start` and `end`.

    Attributes:
        source: A file.
        start: Where the part begins, in seconds.
        end: Where it ends, in seconds; None for the end of the video.
        text: Its subtitles, speech and on-screen text, where they were read before.
    """

    source: Path
    start: float = 0.0
    end: float | None = None
    text: str | None = None

    @property
    def modality(self) -> Modality:
        """Always `"video"`."""
        return "video"


@dataclass(frozen=True, eq=False)
class Mixed:
    """Several pieces of content that mean one thing together: a photo and a question about it."""

    parts: tuple[Text | Image | Audio | Video, ...]

    def __post_init__(self) -> None:
        """Refuse an empty one."""
        if not self.parts:
            raise InputError("Mixed content needs at least one part; it got none.")


Content: TypeAlias = Text | Image | Audio | Video | Mixed


def as_content(value: Any) -> Content:
    """Turn a plain value into Content.

    A str that names an existing media file is that medium, any other str is text, as in
    sentence-transformers. Where a str is a user's words and must stay words, use `Text` instead.

    Args:
        value: Content, str, Path, bytes (a picture), PIL image, array (height, width, 3), or a dict
            such as `{"text": ..., "image": ...}`.

    Raises:
        InputError: The value is of no kind that a model takes.
    """
    match value:
        case Text() | Image() | Audio() | Video() | Mixed():
            return value
        case str():
            return _from_path(Path(value)) if _is_media_file(value) else Text(value)
        case Path():
            return _from_path(value)
        case bytes():
            return Image(value)
        case _ if getattr(value, "ndim", None) == 3:
            return Image(value)
        case Mapping():
            return _from_mapping(value)
        case _ if hasattr(value, "convert") and hasattr(value, "size"):
            return Image(value)
        case _:
            pass
    shape = f" of shape {value.shape}" if hasattr(value, "shape") else ""
    raise InputError(
        f"Cannot use a {type(value).__name__}{shape} as input. Give a str, a Path, bytes of a "
        "picture, a PIL image, an array (height, width, 3), a dict such as "
        "{'text': ..., 'image': ...}, or one of Text, Image, Audio, Video."
    )


def content_key(content: Content) -> Hashable:
    """Equal for contents that mean the same, without looking into files: same text, same place.

    Pictures and samples in memory are the same only when they are the same object.
    """
    match content:
        case Text():
            return ("text", content.text)
        case Mixed():
            return ("mixed", *map(content_key, content.parts))
        case Image():
            return ("image", _source_key(content.source), content.text)
        case Audio() | Video():
            place = (content.start, content.end, getattr(content, "sampling_rate", None))
            return (content.modality, _source_key(content.source), *place, content.text)


def _source_key(source: object) -> Hashable:
    return source if isinstance(source, Path | bytes) else id(source)


def _is_media_file(value: str) -> bool:
    if len(value) > 4096 or "\n" in value or "\0" in value:
        return False
    suffix = Path(value).suffix.lower()
    known = suffix in IMAGE_SUFFIXES | AUDIO_SUFFIXES | VIDEO_SUFFIXES
    try:
        return known and Path(value).is_file()
    except OSError:  # too long for the name of a file: words
        return False


def _from_path(path: Path) -> Image | Audio | Video:
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return Image(path)
    if suffix in AUDIO_SUFFIXES:
        return Audio(path)
    if suffix in VIDEO_SUFFIXES:
        return Video(path)
    raise InputError(
        f"Cannot tell from the name of {path} whether it is a picture, a recording or a video. "
        "Wrap it: Image(path), Audio(path) or Video(path)."
    )


def _from_mapping(value: Mapping[str, Any]) -> Content:
    unknown = sorted(set(value) - set(MODALITIES))
    if unknown or not value:
        raise InputError(
            f"A dict input takes the keys {', '.join(MODALITIES)}; this one has "
            f"{', '.join(map(repr, value)) or 'none'}."
        )
    parts = tuple(_named_part(modality, part) for modality, part in value.items())
    return parts[0] if len(parts) == 1 else Mixed(parts)


def _named_part(modality: str, value: Any) -> Text | Image | Audio | Video:
    match modality, value:
        case _, Text() | Image() | Audio() | Video():
            part = value
        case "text", str():
            part = Text(value)
        case "image", _:
            part = Image(Path(value) if isinstance(value, str) else value)
        case "audio", str() | Path():
            part = Audio(Path(value))
        case "video", str() | Path():
            part = Video(Path(value))
        case _:
            raise InputError(f"Cannot use a {type(value).__name__} as {modality}.")
    if part.modality != modality:
        raise InputError(f"The key '{modality}' of a dict input holds {part.modality}.")
    return part


def modality_name(content: Content) -> str:
    """`"text"`, `"image"`, ...; several together are joined with `+`, sorted: `"image+text"`."""
    if isinstance(content, Mixed):
        return "+".join(sorted({part.modality for part in content.parts}))
    return content.modality
