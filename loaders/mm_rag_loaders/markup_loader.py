"""MarkupLoader: Markdown, reStructuredText, AsciiDoc and TeX by their headings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import ClassVar

from mm_rag._printing import printable
from mm_rag.errors import MissingExtra, UnreadableMedia
from mm_rag.media.kind import file_type
from mm_rag.media.text_encoding import decoded
from mm_rag.segment import Segment
from mm_rag_loaders.documents import Document, document_segments
from mm_rag_loaders.loader import Loader, Member, SourceFile
from mm_rag_loaders.local_pictures import picture_members
from mm_rag_loaders.markup.headed import asciidoc_document, tex_document
from mm_rag_loaders.markup.markdown import markdown_document
from mm_rag_loaders.markup.rst import rst_document
from mm_rag_loaders.outcome import Note
from mm_rag_loaders.text_loader import TextLoader

_MOST_BYTES = 8 * 1024**2
_READERS: Mapping[str, Callable[[str], Document | None]] = {
    "text/markdown": markdown_document,
    "text/x-rst": rst_document,
    "text/asciidoc": asciidoc_document,
    "text/x-tex": tex_document,
}


class MarkupLoader(Loader):
    """Reads texts with markup."""

    becomes: ClassVar[str] = (
        "passages by headings, with tables, lists, code, footnotes and links; its local pictures"
    )

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield the passages. What cannot be read by its structure is read as plain text.

        Raises:
            UnreadableMedia: It has neither words nor pictures.
        """
        if file_type(file.opened).mime not in _READERS:
            yield from TextLoader(self.options).segments(file)
            return
        try:
            document = self._read(file)
        except MissingExtra as error:
            file.note("missing reader", f"read as plain text: {error}")
            document = None
        else:
            if document is None:
                file.note("limit", "too large or nested too deep: read as plain text")
        if document is None:
            yield from TextLoader(self.options).segments(file)
            return
        for note in document.notes:
            file.note(note.kind, note.text)
        if not document.parts and not document.pictures:
            raise UnreadableMedia(f"{file.name} has no words in it.")
        yield from document_segments(document, file, self.options.passage_words)

    def members(self, file: SourceFile) -> Iterator[Member]:
        """Yield the pictures beside the text and in it."""
        if file_type(file.opened).mime not in _READERS:
            return
        try:
            document = self._read(file)
        except MissingExtra:
            return
        if document and document.pictures:
            yield from picture_members(document.pictures, file, self.options.policy)

    def _read(self, file: SourceFile) -> Document | None:
        if file.opened.size > _MOST_BYTES:
            return None
        with file.opened.reader() as reader:
            found = decoded(reader.read())
        document = _READERS[file_type(file.opened).mime](printable(found.text))
        if document is None or not found.note:
            return document
        return replace(document, notes=(Note("encoding", found.note), *document.notes))
