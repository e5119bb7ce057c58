"""Content: what a model is given.

Users pass plain values (a str, a Path, a PIL image, an array); `mm_rag.inputs.as_content` turns
them into one of these classes once, at the edge, and everything inside mm_rag handles only these.

A picture, recording or video may carry the words that were already read from it (`text`). A model
that reads its media (the embedded default) then uses those words instead of reading again; a model
with eyes and ears looks and listens for itself.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, get_args

from mm_rag.errors import InputError

if TYPE_CHECKING:  # numpy alone would double the time that `import mm_rag` takes
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image as PILImage
    from torchcodec.decoders import (
        AudioDecoder,  # pyright: ignore[reportPrivateImportUsage]
        VideoDecoder,  # pyright: ignore[reportPrivateImportUsage]
    )

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
class Url:
    """Where a picture, recording or video lies on the web.

    Attributes:
        address: Begins with `http://` or `https://`. It is fetched when the medium is opened,
            within the limits of the `MediaPolicy`.
    """

    address: str


@dataclass(frozen=True)
class Text:
    """Words.

    Attributes:
        text: Half a character (a lone surrogate, as in the name of a file that is no UTF-8), which
            no tokenizer takes, becomes U+FFFD.
        second: A text that goes with it, as the document of a pair goes with its query: one
            vector is made of both. None for a single text.
    """

    text: str
    second: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse what is no str, and mend half characters."""
        given: dict[str, Any] = {"text": self.text}
        if self.second is not None:
            given["second"] = self.second
        for name, value in given.items():
            if not isinstance(value, str):
                raise InputError(f"Text holds a str; got a {type(value).__name__}.")
            object.__setattr__(self, name, _whole_characters(value))

    @property
    def modality(self) -> Modality:
        """Always `"text"`."""
        return "text"


@dataclass(frozen=True, eq=False)
class Image:
    """A picture.

    Attributes:
        source: A file, its address, its bytes, a PIL image, or an array of shape
            (height, width, 3), uint8.
        text: The words on it, where they were read before; None where nobody has read it.
    """

    source: Path | Url | bytes | PILImage | npt.NDArray[np.uint8]
    text: str | None = None

    @property
    def modality(self) -> Modality:
        """Always `"image"`."""
        return "image"


@dataclass(frozen=True, eq=False)
class Audio:
    """A recording, or the part of one between `start` and `end`.

    Attributes:
        source: A file, its address, its bytes, mono samples of shape (n,), float32 in [-1, 1], or a
            decoder of torchcodec.
        sampling_rate: Of samples, in Hz; None where they are at the rate the model wants. A file
            or a decoder knows its own.
        start: Where the part begins, in seconds.
        end: Where it ends, in seconds; None for the end of the recording.
        text: What is said in it, where it was transcribed before.
    """

    source: Path | Url | bytes | npt.NDArray[np.float32] | AudioDecoder
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
        source: A file, its address, its bytes, frames of shape (frames, height, width, 3), uint8,
            or a decoder of torchcodec.
        start: Where the part begins, in seconds.
        end: Where it ends, in seconds; None for the end of the video.
        text: Its subtitles, speech and on-screen text, where they were read before.
        metadata: What transformers' `VideoMetadata` says about frames in memory: `fps`,
            `total_num_frames`, `duration` (in seconds), `frames_indices`; None where nothing is
            known of them.
    """

    source: Path | Url | bytes | npt.NDArray[np.uint8] | VideoDecoder
    start: float = 0.0
    end: float | None = None
    text: str | None = None
    metadata: Mapping[str, Any] | None = None

    @property
    def modality(self) -> Modality:
        """Always `"video"`."""
        return "video"


Part: TypeAlias = Text | Image | Audio | Video


@dataclass(frozen=True, eq=False)
class Mixed:
    """Several pieces of content that mean one thing together: a photo and a question about it."""

    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        """Refuse an empty one, and what is no part."""
        if not self.parts:
            raise InputError("Mixed content needs at least one part; it got none.")
        _check_parts("Mixed content", self.parts)


@dataclass(frozen=True, eq=False)
class Turn:
    """One chat message.

    Attributes:
        role: Who speaks: `system`, `user`, `assistant`, or whatever the model's template knows.
        parts: What is said and shown, in order.
        fields: The message's other keys, for templates that read them.
    """

    role: str
    parts: tuple[Part, ...]
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        """Refuse what is no part."""
        _check_parts("A Turn", self.parts)


@dataclass(frozen=True, eq=False)
class Chat:
    """Chat messages, which together are one input."""

    turns: tuple[Turn, ...]

    def __post_init__(self) -> None:
        """Refuse an empty one."""
        if not self.turns:
            raise InputError("A chat needs at least one message; it got none.")
        for turn in cast("tuple[Any, ...]", self.turns):
            if not isinstance(turn, Turn):
                raise InputError(f"A Chat holds Turns; got a {type(turn).__name__}.")


Content: TypeAlias = Part | Mixed | Chat


def content_key(content: Content) -> Hashable:
    """Equal for contents that mean the same, without looking into files: same text, same place.

    What is in memory (pictures, samples, frames, decoders, their metadata) is the same only when
    it is the same object, so the key holds only as long as the content is kept.
    """
    match content:
        case Text():
            return ("text", content.text, content.second)
        case Mixed():
            return ("mixed", *map(content_key, content.parts))
        case Chat():
            return ("message", *map(_turn_key, content.turns))
        case Image():
            return ("image", _source_key(content.source), content.text)
        case Audio():
            return ("audio", *_place(content), content.sampling_rate)
        case Video():
            return ("video", *_place(content), _source_key(content.metadata))


def modality_name(content: Content) -> str:
    """`"text"`, `"image"`, ...; several together are joined with `+`, sorted: `"image+text"`.

    Chat messages are `"message"`, whatever they hold.
    """
    if isinstance(content, Chat):
        return "message"
    if isinstance(content, Mixed):
        return "+".join(sorted({part.modality for part in content.parts}))
    return content.modality


def _whole_characters(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _check_parts(what: str, parts: tuple[Any, ...]) -> None:
    for part in parts:
        if not isinstance(part, Text | Image | Audio | Video):
            raise InputError(
                f"{what} holds Text, Image, Audio and Video; got a {type(part).__name__}."
            )


def _turn_key(turn: Turn) -> Hashable:
    fields = tuple(sorted((name, repr(value)) for name, value in turn.fields.items()))
    return (turn.role, fields, *map(content_key, turn.parts))


def _place(content: Audio | Video) -> tuple[Hashable, ...]:
    return (_source_key(content.source), content.start, content.end, content.text)


def _source_key(source: object) -> Hashable:
    return source if isinstance(source, Path | Url | bytes) else id(source)


def parts_of(content: Content) -> tuple[Part, ...]:
    """The single texts and media that a content is made of, in order."""
    match content:
        case Mixed():
            return content.parts
        case Chat():
            return tuple(part for turn in content.turns for part in turn.parts)
        case _:
            return (content,)


def check_span(what: str, start: Any, end: Any) -> None:
    """See that a part begins and ends somewhere.

    Args:
        what: What it is a part of, for the error.
        start: In seconds.
        end: In seconds; None for the end of the whole.

    Raises:
        InputError: They are no finite numbers, or not 0 <= start < end.
    """
    given = [start] if end is None else [start, end]
    usable = all(isinstance(time, Real) and math.isfinite(time) for time in given)
    if not usable or start < 0 or (end is not None and end <= start):
        raise InputError(f"{what} needs 0 <= start < end, in seconds; got {start = }, {end = }.")
