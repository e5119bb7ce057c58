"""Comments on a page: notes, highlights, strikeouts, stamps, text boxes, and replies to them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from mm_rag._printing import one_line, printable
from mm_rag.boxes import Box
from mm_rag_loaders.pdf.objects import (
    box,
    entry,
    items,
    key_of,
    name,
    numbers,
    said,
    text,
    whole,
)
from mm_rag_loaders.pdf.page import PDFWord, around, iso_date

# Kinds of annotations that carry words of a person, by the name that a reader knows.
_KINDS = {
    "Text": "Comment",
    "FreeText": "Comment",
    "Highlight": "Highlight",
    "Underline": "Underline",
    "Squiggly": "Underline",
    "StrikeOut": "Deletion",
    "Caret": "Insertion",
    "Stamp": "Stamp",
    "Ink": "Drawing",
    "Line": "Drawing",
    "Square": "Drawing",
    "Circle": "Drawing",
    "Polygon": "Drawing",
    "PolyLine": "Drawing",
    "FileAttachment": "Attachment",
    "Redact": "Redaction",
    "Popup": "Comment",
}
_MARKS = ("Highlight", "Underline", "Squiggly", "StrikeOut", "Redact")
_CHANGES = ("StrikeOut", "Caret")  # which say something without a comment
_HIDDEN = 1 << 1 | 1 << 5  # flags: hidden, or not shown on screens
_MOST = 5000  # annotations of a page
_MOST_QUADS = 500
_LONGEST_THREAD = 64
_FILLED_IN_WORDS = 4  # a text box of at most so many words was used to fill in a form
_LEAST_COVERED = 0.5  # of a word's height and width by a mark
_MOST_MARKED = 60  # words that are quoted; of more, the first and last are
_OF_PREVIEW = "/AAPL:AKExtras"  # in shapes that Apple's Preview draws, such as a magnifying glass
# LibreOffice writes "Okafor, 01/31/24,".
_DATE_AFTER_NAME = re.compile(r",\s*\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4}\s*,?\s*\Z|,\s*\Z")
_BLANKS = re.compile(r"\s+")


@dataclass(frozen=True, kw_only=True)
class Comment:
    """Words that a person added to a page.

    Attributes:
        kind: `Comment`, `Highlight`, `Deletion`, `Reply` and so on.
        text: Words that the person wrote; may be empty for a deletion.
        author: Name; empty if it is not known.
        date: As ISO 8601; empty if it is not known.
        to: Author of the comment that this is a reply to; empty if it is not known.
        place: Its box on the page, in PDF coordinates.
        quads: Boxes of the words that it marks, in PDF coordinates.
        marked: The words that it marks.
        hidden: Whether viewers do not show it.
    """

    kind: str
    text: str
    author: str = ""
    date: str = ""
    to: str = ""
    place: Box = (0.0, 0.0, 0.0, 0.0)
    quads: tuple[Box, ...] = ()
    marked: str = ""
    hidden: bool = False

    @property
    def words(self) -> str:
        """The comment with its kind, author and marked words: `Comment by Okafor: ...`."""
        head = f"Hidden {self.kind.lower()}" if self.hidden else self.kind
        head += f" by {self.author}" if self.author else ""
        head += f" to {self.to}" if self.to else ""
        head += f" on \u201c{self.marked}\u201d" if self.marked else ""
        return f"{head}: {self.text}" if self.text else head


@dataclass(frozen=True, eq=False)
class _Annotation:
    """An annotation, its position in the list, and the number of what it is a reply to."""

    at: int
    kind: str
    source: Any
    answers: tuple[int, int] | None


def comments_of(page: Any) -> tuple[list[Comment], frozenset[int]]:
    """The comments of a page, from top to bottom, each followed by the replies to it.

    Args:
        page: A page of pikepdf.

    Returns:
        The comments, and the positions in the page's list of annotations of those whose drawn words
        are such a comment.
    """
    found = list(_annotations(page))
    threads = _threads(found)
    comments: list[Comment] = []
    silent: set[int] = set()
    for first in sorted(threads, key=lambda each: _from_top(each.source)):
        replies = threads[first]
        comment = _comment(first, replies)
        if first.kind == "Stamp" and entry(first.source, _OF_PREVIEW) is not None:
            silent.add(first.at)
        if comment is None:
            continue
        comments.append(comment)
        if first.kind == "FreeText":
            silent.add(first.at)
        comments += _replies(comment, replies)
    return comments, frozenset(silent)


def _annotations(page: Any) -> Iterator[_Annotation]:
    for at, each in enumerate(items(entry(page, "/Annots"), _MOST)):
        kind = name(each, "/Subtype")
        # A popup shows the words of the annotation that it belongs to.
        if kind in _KINDS and not (kind == "Popup" and entry(each, "/Parent") is not None):
            yield _Annotation(at, kind, each, key_of(entry(each, "/IRT")))


def _threads(found: Sequence[_Annotation]) -> dict[_Annotation, list[_Annotation]]:
    """Annotations that are not replies, each with all replies below it in their order."""
    by_key = {key_of(each.source): each for each in found if key_of(each.source)}
    threads: dict[_Annotation, list[_Annotation]] = {}
    firsts = [_first(each, by_key) for each in found]
    for first in firsts:
        threads.setdefault(first, [])
    for each, first in zip(found, firsts, strict=True):
        if each is not first:
            threads[first].append(each)
    return threads


def _first(each: _Annotation, by_key: dict[tuple[int, int] | None, _Annotation]) -> _Annotation:
    for _ in range(_LONGEST_THREAD):
        if each.answers not in by_key:
            break
        each = by_key[each.answers]
    return each


def _comment(first: _Annotation, replies: Sequence[_Annotation]) -> Comment | None:
    """The comment of an annotation; None if it says nothing, or was used to fill in a form."""
    source, kind = first.source, first.kind
    words, quads = _words(source), _quads(source) if kind in _MARKS else ()
    # A replaced word: one annotation strikes it out, another one with the new word belongs to it.
    parts = [each for each in replies if name(each.source, "/RT") == "Group"]
    for part in parts:
        words = words or _words(part.source)
        quads = quads or (_quads(part.source) if part.kind in _MARKS else ())
    kinds = {kind, *(part.kind for part in parts)}
    if kind == "FreeText" and _is_filled_in(source, words):
        return None
    if not (words or kinds & set(_CHANGES) or len(replies) > len(parts)):
        return None
    if not words and not quads and len(replies) == len(parts):
        return None
    return Comment(
        kind="Replacement" if kinds == set(_CHANGES) else _KINDS[kind],
        text=words,
        author=_author(source),
        date=_date(source),
        place=box(entry(source, "/Rect")) or (0.0, 0.0, 0.0, 0.0),
        quads=quads,
        hidden=bool(whole(source, "/F") & _HIDDEN),
    )


def _replies(comment: Comment, replies: Sequence[_Annotation]) -> Iterator[Comment]:
    for each in replies:
        model, words = said(each.source, "/StateModel"), _words(each.source)
        if name(each.source, "/RT") == "Group" or model == "Marked" or not words:
            continue
        yield Comment(
            kind="Review" if model else "Reply",
            text=words,
            author=_author(each.source),
            date=_date(each.source),
            to=comment.author,
            place=comment.place,
        )


def _words(source: Any) -> str:
    words = text(entry(source, "/Contents")) or _plain(text(entry(source, "/RC")))
    return words.strip()


def _plain(rich: str) -> str:
    """The words of a rich text, which is XHTML; empty if it is damaged."""
    if not rich:
        return ""
    try:
        root = fromstring(rich.encode())
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return ""
    paragraphs = ["".join(each.itertext()) for each in root.iter() if each.tag.endswith("}p")]
    return printable("\n".join(paragraphs or ["".join(root.itertext())]))


def _is_filled_in(source: Any, words: str) -> bool:
    intent = name(source, "/IT")
    if intent:
        return intent == "FreeTextTypeWriter"
    return len(words.split()) <= _FILLED_IN_WORDS


def _author(source: Any) -> str:
    return _DATE_AFTER_NAME.sub("", one_line(said(source, "/T"))).strip()


def _date(source: Any) -> str:
    return iso_date(said(source, "/M")) or iso_date(said(source, "/CreationDate"))


def _from_top(source: Any) -> tuple[float, float]:
    left, _, _, top = box(entry(source, "/Rect")) or (0.0, 0.0, 0.0, 0.0)
    return -top, left


def _quads(source: Any) -> tuple[Box, ...]:
    points = numbers(entry(source, "/QuadPoints"))[: 8 * _MOST_QUADS]
    found: list[Box] = []
    for at in range(0, len(points) - 7, 8):
        xs, ys = points[at : at + 8 : 2], points[at + 1 : at + 8 : 2]
        found.append((min(xs), min(ys), max(xs), max(ys)))
    return tuple(found)


def with_marked_words(comment: Comment, words: Sequence[PDFWord], quads: Sequence[Box]) -> Comment:
    """The comment with the words that lie in its quads.

    Args:
        comment: A comment.
        words: Words of its page, in reading order.
        quads: The boxes that it marks, in the words' coordinates.
    """
    if not quads:
        return comment
    whole_box = around(list(quads))
    near = [word for word in words if _covered(word.box, whole_box)]
    marked = [word.text for word in near if any(_covered(word.box, quad) for quad in quads)]
    if len(marked) > _MOST_MARKED:
        half = _MOST_MARKED // 2
        marked = [*marked[:half], "\u2026", *marked[-half:]]
    quoted = " ".join(marked)
    # Some programs copy the marked words into the comment.
    is_copied = _BLANKS.sub("", comment.text) == _BLANKS.sub("", quoted)
    return replace(comment, marked=quoted, text="" if is_copied else comment.text)


def _covered(word: Box, mark: Box) -> bool:
    x0, y0, x1, y1 = word
    across = min(x1, mark[2]) - max(x0, mark[0])
    down = min(y1, mark[3]) - max(y0, mark[1])
    return across >= _LEAST_COVERED * (x1 - x0) and down >= _LEAST_COVERED * (y1 - y0)
