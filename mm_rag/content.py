"""Content: the inputs of models.

Callers pass plain values (a str, a Path, a PIL image, an array). `mm_rag.inputs.as_content`
converts them to one of these classes, the only ones that the rest of mm_rag handles.

A picture, recording or video may carry the words that were already read from it (`text`). A model
that encodes media as text (the built-in default) uses those words instead of reading again; a model
that sees or hears ignores them.
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
    [
        *(".aac", ".aif", ".aiff", ".au", ".caf", ".flac", ".m4a", ".mp3", ".oga", ".ogg"),
        *(".opus", ".wav", ".wma"),
    ]
)
VIDEO_SUFFIXES = frozenset(
    [".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".webm", ".wmv"]
)


@dataclass(frozen=True)
class Url:
    """The URL of a picture, recording or video.

    Attributes:
        address: Begins with `http://` or `https://`. It is downloaded when the medium is opened,
            within the limits of the `MediaPolicy`.
    """

    address: str


@dataclass(frozen=True)
class Text:
    """A text, or a pair of texts.

    Attributes:
        text: The text. Lone surrogates, as in file names that are not UTF-8, become U+FFFD, because
            no tokenizer accepts them.
        second: The second text of a pair, such as a query and a document, for which models make one
            vector; None for a single text.
    """

    text: str
    second: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check the types, and replace lone surrogates."""
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
        text: The words on it, if they were read earlier; None otherwise.
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
        sampling_rate: The rate of samples in Hz; None if it is the model's. Files and decoders have
            their own.
        start: The start of the part in seconds.
        end: The end of the part in seconds; None for the end of the recording.
        text: The speech in it, if it was transcribed earlier; None otherwise.
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
        start: The start of the part in seconds.
        end: The end of the part in seconds; None for the end of the video.
        text: Its subtitles, speech and on-screen text, if they were read earlier; None otherwise.
        metadata: Of frames in memory, as in transformers' `VideoMetadata`: `fps`,
            `total_num_frames`, `duration` (in seconds), `frames_indices`; None if unknown.
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
    """Several texts and media that are one input together, such as a photo and a question."""

    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        """Check that there are parts, and their types."""
        if not self.parts:
            raise InputError("Mixed content needs at least one part; it got none.")
        _check_parts("Mixed content", self.parts)


@dataclass(frozen=True, eq=False)
class Turn:
    """One chat message.

    Attributes:
        role: `system`, `user`, `assistant`, or another role of the model's template.
        parts: The texts and media, in order.
        fields: Other keys of the message, for templates that read them.
    """

    role: str
    parts: tuple[Part, ...]
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        """Check the types of the parts."""
        _check_parts("A Turn", self.parts)


@dataclass(frozen=True, eq=False)
class Chat:
    """Chat messages that are one input together."""

    turns: tuple[Turn, ...]

    def __post_init__(self) -> None:
        """Check that there are messages, and their types."""
        if not self.turns:
            raise InputError("A chat needs at least one message; it got none.")
        for turn in cast("tuple[Any, ...]", self.turns):
            if not isinstance(turn, Turn):
                raise InputError(f"A Chat holds Turns; got a {type(turn).__name__}.")


Content: TypeAlias = Part | Mixed | Chat


def content_key(content: Content) -> Hashable:
    """Return a key that is equal for contents with the same text, path, or URL.

    Objects in memory (pictures, samples, frames, decoders, their metadata) are compared by
    identity, so the key is valid only as long as the content exists.
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
    """Return `"text"`, `"image"`, ...; several are joined with `+`, sorted: `"image+text"`.

    Chat messages are `"message"`, for any content.
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
    """The single texts and media of a content, in order."""
    match content:
        case Mixed():
            return content.parts
        case Chat():
            return tuple(part for turn in content.turns for part in turn.parts)
        case _:
            return (content,)


def check_span(what: str, start: Any, end: Any) -> None:
    """Check the start and the end of a part.

    Args:
        what: What it is a part of, for the error.
        start: In seconds.
        end: In seconds; None for the end of the whole.

    Raises:
        InputError: They are not finite numbers, or not 0 <= start < end.
    """
    given = [start] if end is None else [start, end]
    usable = all(isinstance(time, Real) and math.isfinite(time) for time in given)
    if not usable or start < 0 or (end is not None and end <= start):
        raise InputError(f"{what} needs 0 <= start < end, in seconds; got {start = }, {end = }.")
