"""Segment: a page, passage, picture or clip that can be found. Hit: one that was found."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias, cast

from mm_rag._printing import one_line
from mm_rag.content import Audio, Content, Image, Modality, Text, Video
from mm_rag.errors import InputError
from mm_rag.explanation import explained

Scalar: TypeAlias = str | int | float | bool

RELEVANT = 0.3
"""A hit with a lower score is called probably not relevant. The right hit of a question in other
words than those of the page often has a score between this and 0.5."""

_LIKELY = 0.8  # a score from which on a hit is called likely to be relevant

_EXCERPT = 80  # characters of the text of a segment in its repr
_TABLE_RULE = re.compile(r"^\|(?:---\|)+\n?", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, repr=False)
class Segment:
    """A PDF page, a passage of it, a picture, or a time span of a recording or video.

    It refers to media files and never holds their bytes, so a million segments fit in memory.

    Attributes:
        modality: Input of the model: `text` for a passage, `image` for a page or picture.
        source: Absolute path of the source file, or its address.
        sha256: Hexadecimal sha256 of the source file.
        text: The words in it: text layer, OCR, speech, subtitles; empty if there are none.
        title: Title in the source, or else its file name in words; empty if neither is meaningful.
        media: Absolute path of the input of a multimodal model: the screenshot of the page, the
            picture, the whole recording or video (see `start` and `end`).
        preview: Absolute path of a picture to show: screenshot, thumbnail, key frame.
        mime_type: MIME type of `media`.
        boxes: Absolute path of the JSON file with the boxes of its words on `preview`
            (`mm_rag.boxes`); None if they are not known.
        page: Number of the page, slide, sheet, chapter or message, 1-based; None without pages.
        start: Start in the recording or video, in seconds; None if it has no time.
        end: End, in seconds.
        part: Number among the segments of the same modality and place, from 0.
        member: Path of a file inside the source file, for attachments and members of archives:
            `invoice.pdf`, `mails.zip/2024/offer.eml`; None for the source file itself.
        metadata: Further flat metadata. `place`, if there is one, describes where the segment is in
            its file: `sheet Costs, rows 2-15`.
        tags: The user's tags, sorted; in Chroma a list of strings under `tags`.
    """

    modality: Modality
    source: str
    sha256: str
    text: str = ""
    title: str = ""
    media: str | None = None
    preview: str | None = None
    mime_type: str | None = None
    boxes: str | None = None
    page: int | None = None
    start: float | None = None
    end: float | None = None
    part: int = 0
    member: str | None = None
    metadata: Mapping[str, Scalar] = field(default_factory=dict[str, Scalar])
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Validate the fields."""
        if self.tags:
            object.__setattr__(self, "tags", checked_tags(self.tags))
        if self.page is not None and self.page < 1:
            raise InputError(f"Pages count from 1; this segment has {self.page = }.")
        if self.start is not None and self.end is not None and self.end < self.start:
            raise InputError(f"A segment ends after it starts; got {self.start = }, {self.end = }.")
        if self.modality != "text" and self.media is None:
            raise InputError(f"A segment of modality {self.modality} needs its media.")
        # Callers may not use a type checker.
        for key, value in cast("Mapping[str, object]", self.metadata).items():
            if not isinstance(value, str | int | float | bool):
                raise InputError(f"Metadata are flat: {key!r} is a {type(value).__name__}.")

    def __repr__(self) -> str:
        """Modality, label and the beginning of the text."""
        words = f", {_excerpt(self.text)!r}" if self.text.strip() else ""
        return f"Segment({self.modality}, {one_line(self.label)}{words})"

    @property
    def name(self) -> str:
        """File name, and the path in the file: `report.pdf`, `a.zip/photo.jpg`."""
        return Path(self.source).name + (f"/{self.member}" if self.member else "")

    @property
    def label(self) -> str:
        """File name and place: `report.pdf page 3`, `talk.mp4 0:30-1:00`, `a.zip/photo.jpg`."""
        return f"{self.name} {self.where}".strip()

    @cached_property
    def id(self) -> str:
        """Id made from content hash and place: the same file always gives the same ids."""
        start, end = (None if t is None else round(t * 1000) for t in (self.start, self.end))
        place = f"{self.sha256}|{self.modality}|{self.page}|{start}|{end}|{self.part}"
        if self.member is not None:
            place += f"|{self.member}"
        return hashlib.sha256(place.encode()).hexdigest()[:32]

    @property
    def place(self) -> tuple[str, str | None, int | None, float | None]:
        """The place as a key: the file, the file in it, and the page or the start of the clip."""
        return (self.sha256, self.member, self.page, self.start)

    @property
    def where(self) -> str:
        """The place in words: `page 3`, `rows 2-15`, `0:26-0:33`; empty for a picture."""
        return place_in_words(self.page, self.start, self.end, self.metadata.get("place"))

    @property
    def words(self) -> str:
        """Input of a text model: title and text.

        The line of dashes of Markdown tables is removed: for all-MiniLM-L6-v2 it makes a table
        similar to any question (a cosine of 0.55 instead of 0.49). The bars between cells stay:
        without them 13 questions about tables scored lower (nDCG@10 of 0.895 instead of 0.923).
        """
        return f"{self.title}\n{_TABLE_RULE.sub('', self.text)}".strip()

    @property
    def content(self) -> Content:
        """Input of the model, with the extracted words, so that nothing is extracted twice."""
        if self.modality == "text" or self.media is None:
            return Text(self.words)
        media = Path(self.media)
        match self.modality:
            case "image":
                return Image(media, text=self.words)
            case "audio":
                return Audio(media, start=self.start or 0.0, end=self.end, text=self.words)
            case "video":
                return Video(media, start=self.start or 0.0, end=self.end, text=self.words)


@dataclass(frozen=True, kw_only=True, repr=False)
class Hit:
    """A page, picture or clip that was found.

    Attributes:
        segment: The page, picture or clip.
        rank: 1 for the best.
        score: Probability that it is relevant to the query, from 0 to 1; comparable across queries
            and collections. It orders the hits, unless `diversity` is used. With `rerank="alone"`
            it is that model's probability.
        scores: Scores of the stages for the best of its segments: `vector:words` (cosine to text or
            extracted text), `vector:image` and so on (cosine to a medium that the model encodes),
            `vector:picture` (cosine of the looks of a picture and one in the query),
            `calibrated` (the best of these relative to chance: 0 for the similarity of the nearest
            of as many unrelated segments, 1 for a standard deviation more; comparable between
            modalities), `lexical` (BM25 as a share of the query's maximum), `rerank`.
        evidence: Share of each signal in the log-odds of `score`, by its name: `base`, `meaning`,
            `words`, `identifiers`, `required`, `looks`, `reranker`. 0.7 doubles the odds, and
            -0.7 halves them. Signals that a search does not use are left out.
        matched: Segments of this page or clip that were found, best first.
        also: Absolute paths of other files with the same content.
        same_words: Segments of other files with the same words but for case and spacing, such
            as a page that two versions share, best first. They are in the list itself only if there
            are too few other hits, behind them.
        query: Words of the query, including those read from its pictures and recordings.
    """

    segment: Segment
    rank: int
    score: float
    scores: Mapping[str, float] = field(default_factory=dict[str, float])
    evidence: Mapping[str, float] = field(default_factory=dict[str, float])
    matched: tuple[Segment, ...] = ()
    also: tuple[str, ...] = ()
    same_words: tuple[Segment, ...] = ()
    query: str = ""

    def __post_init__(self) -> None:
        """Validate the rank."""
        if self.rank < 1:
            raise InputError(f"Ranks count from 1; this hit has {self.rank = }.")

    def __repr__(self) -> str:
        """Rank, score and segment."""
        return f"Hit(rank={self.rank}, score={self.score:.3f}, {self.segment!r})"

    def __str__(self) -> str:
        """One line: `1. report.pdf page 3 (0.87): Revenue grew by ...`."""
        texts = (segment.text for segment in (*self.matched, self.segment))
        words = next((text for text in texts if text.strip()), self.segment.title)
        label = one_line(self.segment.label)
        return f"{self.rank}. {label} ({self.score:.2f}): {_excerpt(words)}"

    @property
    def is_relevant(self) -> bool:
        """Whether it may well be relevant: `score` is at least `RELEVANT`."""
        return self.score >= RELEVANT

    def explain(self) -> str:
        """Say in words why it was found: score and label, then each signal, strongest first.

        The number of each signal is its part of `evidence`::

            0.93, likely relevant: annual.pdf page 3
            Meaning (+3.1): much closer to the query than unrelated content
            Reranker (+2.0): beside the query, it reads like an answer
            Words (+1.2): has 2 of 3 words of the query: pump, seal; not wear
            Base (-3.7): what every candidate of this search begins with
        """
        found = (*self.matched, self.segment)
        texts = [text for one in found for text in (one.text, one.title, one.name)]
        lines = explained(self.evidence, self.query, list(dict.fromkeys(texts)))
        return "\n".join([f"{self._verdict}: {one_line(self.segment.label)}", *lines])

    @property
    def _verdict(self) -> str:
        if not 0.0 <= self.score <= 1.0:
            return f"{self.score:.2f}, the reranker's own score"
        if self.is_relevant:
            return f"{self.score:.2f}, {'likely' if self.score >= _LIKELY else 'maybe'} relevant"
        return f"{self.score:.2f}, probably not relevant"


def _excerpt(text: str) -> str:
    """The beginning of a text, on one line without control characters."""
    line = one_line(" ".join(text[: 10 * _EXCERPT].split()))
    return line if len(line) <= _EXCERPT else f"{line[: _EXCERPT - 3].rstrip()}..."


def checked_tags(tags: str | Iterable[str]) -> tuple[str, ...]:
    """Normalise tags (NFC), remove duplicates and sort; a str is one tag.

    Raises:
        InputError: A tag is empty, no str, or has an unprintable character.
    """
    given: list[Any] = [tags] if isinstance(tags, str) else list(cast("Iterable[Any]", tags))
    for tag in given:
        if not isinstance(tag, str) or not tag.strip() or not tag.isprintable():
            raise InputError(f"A tag is a str of printable characters; got {tag!r:.100}.")
    return tuple(sorted({unicodedata.normalize("NFC", tag.strip()) for tag in given}))


def place_in_words(
    page: int | None, start: float | None, end: float | None, place: object = None
) -> str:
    """A place in a file in words; empty without a place.

    Args:
        page: Number of a page.
        start: Start of a time span, in seconds.
        end: Its end.
        place: Description from the metadata, preferred to the other arguments.
    """
    if place and isinstance(place, str):
        return one_line(place)
    if page is not None:
        return f"page {page}"
    if start is None:
        return ""
    return _clock(start) if end is None else f"{_clock(start)}-{_clock(end)}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
