"""Documents with headings, links and pictures, such as web pages, as segments of their file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from mm_rag.segment import Scalar, Segment
from mm_rag_loaders.loader import SourceFile
from mm_rag_loaders.outcome import Note
from mm_rag_loaders.passages import Passage, TextPart, passages_of

_MOST_LINKS = 100  # of a passage
_MOST_LINK_LETTERS = 10_000
_PASSAGES_AHEAD = 3  # in which a link is looked for, after the passage of the link before it


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture of a document.

    Attributes:
        source: Reference in the document: an address, a relative path or a `data:` address.
        alt: Alternative text.
        caption: Caption of its figure.
        heading: Path of the headings above it.
    """

    source: str
    alt: str = ""
    caption: str = ""
    heading: str = ""


@dataclass(frozen=True, kw_only=True)
class Document:
    """Content of a document, or of a chapter or cell of it.

    Attributes:
        title: Its title; empty if it has none.
        metadata: Such as `author`, `date` and `language`, as far as it gives them.
        parts: Its content in reading order. Headings have levels; tables are Markdown.
        links: Text and address of its links, in order.
        pictures: Its pictures, in order. They are not opened.
        notes: Notes about parts that were left out or changed.
    """

    title: str = ""
    metadata: Mapping[str, Scalar] = field(default_factory=dict[str, Scalar])
    parts: Sequence[TextPart] = ()
    links: Sequence[tuple[str, str]] = ()
    pictures: Sequence[Picture] = ()
    notes: Sequence[Note] = ()


Headings: TypeAlias = Sequence[tuple[int, str]]
"""Level and text of the headings above a place, the highest first."""


def headings_after(above: Headings, parts: Sequence[TextPart]) -> Headings:
    """The headings above what follows some parts."""
    open_ = list(above)
    for part in parts:
        if part.kind == "heading":
            open_ = [one for one in open_ if one[0] < part.level]
            open_.append((part.level, " ".join(part.text.split())))
    return open_


def document_segments(
    document: Document,
    file: SourceFile,
    max_words: int,
    *,
    page: int | None = None,
    place: str = "",
    above: Headings = (),
) -> Iterator[Segment]:
    """Yield the passages of a document with the headings above them and the links in them.

    Args:
        document: The document.
        file: Its file.
        max_words: Longest passage.
        page: Number of the chapter or cell that it is; None if it is the whole file.
        place: Describes the chapter or cell; empty if it is the whole file.
        above: Headings above the chapter or cell.
    """
    found = passages_of(document.parts, max_words=max_words, nested=True)
    links = _links_of(found, document.links)
    levels = [part.level for part in document.parts if part.kind == "heading"]
    for part, passage in enumerate(found):
        outer = [text for level, text in above if not passage.heading or level < min(levels)]
        path = " > ".join([*outer, *filter(None, [passage.heading])])
        about = {"heading": path, "place": place, "links": "\n".join(links[part])}
        yield file.text_segment(
            passage.text,
            title=document.title,
            part=part,
            page=page,
            **{**document.metadata, **about},
        )


def _links_of(
    passages: Sequence[Passage], links: Sequence[tuple[str, str]]
) -> list[dict[str, None]]:
    """The addresses of the links in each passage, each once."""
    found: list[dict[str, None]] = [{} for _ in passages]
    texts = [" ".join(passage.text.split()) for passage in passages]
    room = [_MOST_LINK_LETTERS] * len(passages)
    at = 0
    for text, address in links:
        ahead = range(at, min(at + _PASSAGES_AHEAD, len(texts)))
        at = next((n for n in ahead if text in texts[n]), at)
        if at < len(found) and len(found[at]) < _MOST_LINKS and len(address) <= room[at]:
            found[at][address] = None
            room[at] -= len(address)
    return found
