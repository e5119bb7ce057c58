"""Contents of a PDF beside the printed words: comments, form fields, bookmarks, layers, files."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from mm_rag.boxes import Box
from mm_rag.errors import UnreadableMedia
from mm_rag.media.access import FileSource
from mm_rag_loaders.pdf.annotations import Comment, comments_of, with_marked_words
from mm_rag_loaders.pdf.attachments import Attachment, attachments_of
from mm_rag_loaders.pdf.bookmarks import Bookmark, bookmarks_of, hidden_layers_of
from mm_rag_loaders.pdf.forms import FormField, form_of, written
from mm_rag_loaders.pdf.objects import box, entry, errors, inherited, kind_of, objects_of
from mm_rag_loaders.pdf.page import Addition, Line, PDFWord, RawPage
from mm_rag_loaders.pdf.xfa import is_dynamic, lines_of

_LETTER: Box = (0.0, 0.0, 612.0, 792.0)  # of a page that says nothing about its size
FORM_HEADING = "Form fields"
"""Heading of the passages of form fields."""
_TICK_SIZE = 0.8  # font size of the word for a tick, as a share of the height of its box


@dataclass(frozen=True, kw_only=True)
class PageExtras:
    """Comments and form fields of a page.

    Attributes:
        comments: From top to bottom, each followed by the replies to it.
        fields: Form fields, from top to bottom.
        ticked: Boxes that are ticked, in PDF coordinates.
        silent: Positions in the page's list of annotations of those whose drawn words are given by
            the others: text boxes, and the letters of a symbol font in boxes to tick.
        visible: The visible part of the page, in PDF coordinates.
        hidden_layers: Names of the document's layers that viewers do not show.
    """

    comments: tuple[Comment, ...] = ()
    fields: tuple[FormField, ...] = ()
    ticked: tuple[Box, ...] = ()
    silent: frozenset[int] = field(default=frozenset[int]())
    visible: Box = (0.0, 0.0, 0.0, 0.0)
    hidden_layers: frozenset[str] = field(default=frozenset[str]())

    def with_ticks(self, page: RawPage) -> RawPage:
        """The page with the word `yes` in each ticked box."""
        lines = [self._tick(place) for place in self._places(self.ticked, page)]
        return replace(page, lines=(*page.lines, *lines)) if lines else page

    def additions_to(self, page: RawPage) -> tuple[Addition, ...]:
        """The comments, and the fields that are filled in."""
        if not (self.comments or self.fields):
            return ()
        words = [word for line in page.lines for word in line.words]
        found = [*self._comments(page, words)]
        lines = written(
            self.fields, [self._places(each.places, page) for each in self.fields], words
        )
        if lines:
            about = {"heading": FORM_HEADING}
            found.append(Addition(text="\n".join(lines), is_new=False, metadata=about))
        return tuple(found)

    def _comments(self, page: RawPage, words: Sequence[PDFWord]) -> Iterator[Addition]:
        for at, comment in enumerate(self.comments):
            comment = with_marked_words(comment, words, self._places(comment.quads, page))
            following = self.comments[at + 1 : at + 2]
            has_replies = any(each.kind in ("Reply", "Review") for each in following)
            # A mark without words of its own would only repeat printed words.
            if not (comment.text or has_replies or comment.kind in ("Deletion", "Replacement")):
                continue
            about = {"comment": comment.kind.lower(), "author": comment.author}
            about["date"] = comment.date
            yield Addition(
                text=comment.words, metadata={key: value for key, value in about.items() if value}
            )

    def _places(self, boxes: Sequence[Box], page: RawPage) -> list[Box]:
        """Boxes in points from the upper left corner of the page."""
        left, _, right, top = self.visible
        # One library scales a page with a unit of its own, the other one does not.
        unit = page.size[0] / (right - left) if right > left else 1.0
        return [
            ((x0 - left) * unit, (top - y1) * unit, (x1 - left) * unit, (top - y0) * unit)
            for x0, y0, x1, y1 in boxes
        ]

    @staticmethod
    def _tick(place: Box) -> Line:
        return Line((PDFWord("yes", place),), _TICK_SIZE * (place[3] - place[1]))


NO_EXTRAS = PageExtras()


class Unprinted:
    """Contents of a PDF beside its printed words; empty if pikepdf finds no document.

    Attributes:
        bookmarks: In the order of pages.
        hidden_layers: Names of layers that viewers do not show.
        is_portfolio: Whether the pages are only the cover of the attached files.
        form_lines: Words and fields of a form that is XML beside the pages.
        is_only_form: Whether there is such a form, so that the pages only ask for another viewer.
        is_damaged: Whether some of these could not be read.
    """

    def __init__(self, document: Any) -> None:
        self._document = document
        self.bookmarks: list[Bookmark] = []
        self.hidden_layers: list[str] = []
        self.is_portfolio = self.is_only_form = self.is_damaged = False
        self.form_lines: list[str] = []
        if document is None:
            return
        try:
            self._pages = document.pages
            self.bookmarks = bookmarks_of(document)
            self.hidden_layers = hidden_layers_of(document)
            self.is_portfolio = kind_of(entry(document.Root, "/Collection")) == "dictionary"
            self.is_only_form = is_dynamic(document)
            self.form_lines = lines_of(document) if self.is_only_form else []
        except errors():
            self.is_damaged = True

    @property
    def has_attachments(self) -> bool:
        """Whether there are files in the document."""
        try:
            return self._document is not None and any(True for _ in self.attachments())
        except UnreadableMedia:
            return False

    def page(self, number: int) -> PageExtras:
        """Comments and form fields of a page, by its physical number.

        Raises:
            UnreadableMedia: They are damaged; the message is the reason only.
        """
        if self._document is None:
            return NO_EXTRAS
        try:
            extras = _extras(self._pages[number - 1].obj)
        except errors() as error:
            raise UnreadableMedia(_reason(error)) from error
        hidden = frozenset(self.hidden_layers)
        return replace(extras, hidden_layers=hidden) if hidden else extras

    def attachments(self) -> Iterator[Attachment]:
        """The files in the document.

        Raises:
            UnreadableMedia: They are damaged; the message is the reason only.
        """
        try:
            yield from attachments_of(self._document) if self._document is not None else ()
        except errors() as error:
            raise UnreadableMedia(_reason(error)) from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _extras(page: Any) -> PageExtras:
    if inherited(page, "/Annots") is None:
        return NO_EXTRAS
    comments, boxes = comments_of(page)
    form = form_of(page)
    return PageExtras(
        comments=tuple(comments),
        fields=form.fields,
        ticked=form.ticked,
        silent=boxes | form.ticks,
        visible=_visible_part(page),
    )


def _visible_part(page: Any) -> Box:
    """The crop box within the media box."""
    sheet = box(inherited(page, "/MediaBox")) or _LETTER
    crop = box(inherited(page, "/CropBox")) or sheet
    x0, y0 = max(sheet[0], crop[0]), max(sheet[1], crop[1])
    x1, y1 = min(sheet[2], crop[2]), min(sheet[3], crop[3])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else sheet


@contextmanager
def unprinted_of(file: FileSource, password: str | None) -> Generator[Unprinted]:
    """Open a PDF for what it holds beside its printed words.

    Raises:
        MissingExtra: pikepdf is not installed.
    """
    with objects_of(file, password) as document:
        yield Unprinted(document)
