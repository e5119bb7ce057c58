"""HtmlLoader: web pages as passages of their main content, with the pictures beside them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from mm_rag.errors import UnreadableMedia
from mm_rag.segment import Segment
from mm_rag_loaders.documents import Document, document_segments
from mm_rag_loaders.html.page import html_page
from mm_rag_loaders.html.web_archive import WebArchive, is_web_archive, read_web_archive
from mm_rag_loaders.loader import Loader, Member, SourceFile
from mm_rag_loaders.local_pictures import picture_members
from mm_rag_loaders.outcome import Note

_MOST_BYTES = 32 * 1024**2


class HtmlLoader(Loader):
    """Reads HTML and XHTML pages, and pages that a browser saved with their pictures (MHTML)."""

    becomes: ClassVar[str] = (
        "the main content by headings, with tables, lists, links and captions; its local pictures"
    )

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield the page's passages.

        Raises:
            UnreadableMedia: It has neither words nor pictures.
            MissingExtra: The parser is not installed.
        """
        page, _, notes = self._read(file)
        for note in (*notes, *page.notes):
            file.note(note.kind, note.text)
        if not page.parts and not page.pictures:
            raise UnreadableMedia(f"{file.name} has no words in it.")
        yield from document_segments(page, file, self.options.passage_words)

    def members(self, file: SourceFile) -> Iterator[Member]:
        """Yield the page's pictures that lie beside it or in it."""
        page, archive, _ = self._read(file)
        contained = archive.picture if archive else None
        yield from picture_members(
            page.pictures, file, self.options.policy, contained, beside=archive is None
        )

    def _read(self, file: SourceFile) -> tuple[Document, WebArchive | None, list[Note]]:
        with file.opened.reader() as reader:
            data = reader.read(_MOST_BYTES + 1)
        notes: list[Note] = []
        if len(data) > _MOST_BYTES:
            notes.append(Note("limit", f"only the first {_MOST_BYTES:,} bytes were read"))
            data = data[:_MOST_BYTES]
        archive = read_web_archive(data) if is_web_archive(data) else None
        if archive is None:
            return html_page(data), None, notes
        return html_page(archive.page, declared=archive.encoding), archive, notes
