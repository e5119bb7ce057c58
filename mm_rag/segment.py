"""Segment: what can be found. Hit: a Segment that was found."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from mm_rag.content import Audio, Content, Image, Modality, Text, Video
from mm_rag.errors import InputError

Scalar: TypeAlias = str | int | float | bool


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A PDF page, a passage of it, a picture, or a time span of a recording or video.

    It refers to its media and never holds the bytes, so a million of them fit in memory.

    Attributes:
        modality: What a model is given: `text` for a passage, `image` for a page or a picture.
        source: Absolute path of the file it comes from.
        sha256: Of that file's bytes, hexadecimal.
        text: The words in it: text layer, OCR, speech, subtitles; empty where there are none.
        title: What the source calls itself, or else its file name in words.
        media: Absolute path of what a model with eyes or ears is given: the screenshot of the
            page, the picture, the whole recording or video (see `start` and `end`).
        preview: Absolute path of a picture that stands for it: screenshot, thumbnail, key frame.
        mime_type: Of `media`.
        page: Physical page, 1-based; None where there are no pages.
        start: Where it begins in the recording or video, in seconds; None where there is no time.
        end: Where it ends, in seconds.
        part: Its number among the segments of the same modality and place, from 0.
        metadata: Whatever else is known, flat.
    """

    modality: Modality
    source: str
    sha256: str
    text: str = ""
    title: str = ""
    media: str | None = None
    preview: str | None = None
    mime_type: str | None = None
    page: int | None = None
    start: float | None = None
    end: float | None = None
    part: int = 0
    metadata: Mapping[str, Scalar] = field(default_factory=dict[str, Scalar])

    def __post_init__(self) -> None:
        """Check what later stages rely on."""
        if self.page is not None and self.page < 1:
            raise InputError(f"Pages count from 1; this segment has {self.page = }.")
        if self.start is not None and self.end is not None and self.end < self.start:
            raise InputError(f"A segment ends after it starts; got {self.start = }, {self.end = }.")
        if self.modality != "text" and self.media is None:
            raise InputError(f"A segment of modality {self.modality} needs its media.")

    @cached_property
    def id(self) -> str:
        """Derived from the file's content and the place in it: the same file gives the same ids."""
        start, end = (None if t is None else round(t * 1000) for t in (self.start, self.end))
        place = f"{self.sha256}|{self.modality}|{self.page}|{start}|{end}|{self.part}"
        return hashlib.sha256(place.encode()).hexdigest()[:32]

    @property
    def place(self) -> tuple[str, int | None, float | None]:
        """What a reader would call the place: the file, and its page or the clip's start."""
        return (self.sha256, self.page, self.start)

    @property
    def content(self) -> Content:
        """What a model is given. The words already read travel along, so nothing is read twice."""
        words = f"{self.title}\n{self.text}".strip() if self.title else self.text
        if self.modality == "text" or self.media is None:
            return Text(words)
        media = Path(self.media)
        match self.modality:
            case "image":
                return Image(media, text=words)
            case "audio":
                return Audio(media, start=self.start or 0.0, end=self.end, text=words)
            case "video":
                return Video(media, start=self.start or 0.0, end=self.end, text=words)


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A page, picture or clip that answers a query.

    Attributes:
        segment: The page, picture or clip.
        rank: 1 for the best.
        score: What the hits are ordered by; higher is better, comparable within one search only.
        scores: The score of each stage that saw it: `vector`, `lexical`, `rerank`.
        matched: The segments of this page or clip that were found, best first: where to look.
    """

    segment: Segment
    rank: int
    score: float
    scores: Mapping[str, float] = field(default_factory=dict[str, float])
    matched: tuple[Segment, ...] = ()

    def __post_init__(self) -> None:
        """Check what later stages rely on."""
        if self.rank < 1:
            raise InputError(f"Ranks count from 1; this hit has {self.rank = }.")
