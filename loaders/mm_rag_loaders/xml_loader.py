"""XmlLoader: any XML as passages of its records, with their place in the document."""

from __future__ import annotations

import codecs
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar, TextIO

from mm_rag._printing import printable
from mm_rag.errors import MissingExtra, UnreadableMedia
from mm_rag.media.text_encoding import open_text
from mm_rag.segment import Segment
from mm_rag_loaders.html import html_parts
from mm_rag_loaders.loader import Loader, SourceFile
from mm_rag_loaders.passages import passages
from mm_rag_loaders.xml_records import (
    ByteStream,
    NestedEntities,
    Record,
    RecordReader,
    record_level,
)

_ENOUGH = 0.5  # share of a passage's words from which it is not joined with the next record
_ENCODING = re.compile(rb"\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9_:.-]+)")
_EXPAT_READS = ("utf-8", "utf-16", "iso8859-1", "ascii")
_HTML = re.compile(r"</?(a|b|br|div|em|h\d|i|img|li|p|span|strong|table|ul)\b[^>]*>", re.IGNORECASE)
_LAST = re.compile(r"\[(\d+)\]\Z")
_MOST_PLACE = 200  # characters


class XmlLoader(Loader):
    """Reads XML of any size. Nothing outside of the file is opened."""

    becomes: ClassVar[str] = "records with the names of their elements and attributes"

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield passages of one long or several short records.

        Raises:
            UnreadableMedia: It is damaged, hostile, or has no words.
        """
        with _opened(file) as (stream, encoding):
            level = record_level(stream, encoding)
        with _opened(file) as (stream, encoding):
            reader = RecordReader(encoding, level)
            found = False
            try:
                for segment in self._passages(reader.records(stream), reader, file):
                    found = True
                    yield segment
            except NestedEntities:
                file.note("damaged", "its entities contain others, as bombs do: not read further")
                if not found:
                    raise UnreadableMedia(
                        f"{file.name} declares entities that contain others, as bombs do."
                    ) from None
        for note in reader.notes:
            file.note("limit", note)
        if reader.damage and found:
            file.note("damaged", f"what follows {reader.damage} was not read")
        if not found:
            reason = f"is damaged: {reader.damage}" if reader.damage else "has no words in it"
            raise UnreadableMedia(f"{file.name} {reason}.")

    def _passages(
        self, records: Iterator[Record], reader: RecordReader, file: SourceFile
    ) -> Iterator[Segment]:
        waiting = _Waiting()
        part = 0
        for record in records:
            text = "\n".join(filter(None, (_shown(str(line)) for line in record.lines)))
            if not text:
                continue
            size = len(text.split())
            if waiting.records and waiting.words + size > self.options.passage_words:
                for segment in self._segments_of(waiting, reader, file, part):
                    part += 1
                    yield segment
                waiting = _Waiting()
            waiting.add(record, text, size)
            if waiting.words >= _ENOUGH * self.options.passage_words:
                for segment in self._segments_of(waiting, reader, file, part):
                    part += 1
                    yield segment
                waiting = _Waiting()
        yield from self._segments_of(waiting, reader, file, part)

    def _segments_of(
        self, waiting: _Waiting, reader: RecordReader, file: SourceFile, part: int
    ) -> Iterator[Segment]:
        if not waiting.records:
            return
        text = "\n\n".join(waiting.texts)
        titles = [title for record in waiting.records if (title := record.title)]
        heading = printable(titles[0])[:_MOST_PLACE] if len(waiting.records) == 1 and titles else ""
        for at, passage in enumerate(passages(text, max_words=self.options.passage_words)):
            yield file.text_segment(
                passage,
                part=part + at,
                heading=heading,
                place=_place(waiting.records),
                language=printable(reader.language)[:40],
            )


@dataclass
class _Waiting:
    """Records that become a passage."""

    records: list[Record] = field(default_factory=list[Record])
    texts: list[str] = field(default_factory=list[str])
    words: int = 0

    def add(self, record: Record, text: str, words: int) -> None:
        self.records.append(record)
        self.texts.append(text)
        self.words += words


@contextmanager
def _opened(file: SourceFile) -> Generator[tuple[ByteStream, str | None]]:
    """The bytes of the file in an encoding that the parser reads, and its name."""
    with file.opened.reader() as reader:
        head = reader.read(4096)
        found = _ENCODING.match(head)
        named = found[1].decode("ascii") if found else ""
        try:
            codec = codecs.lookup(named).name if named else ""
        except LookupError:
            codec = "unknown"
        has_mark = head.startswith((codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF8))
        if has_mark or (codec in _EXPAT_READS and not codec.startswith("utf-16")):
            reader.seek(0)
            yield reader, None
            return
    text = open_text(file.opened, declared=named or None)
    if text.note:
        file.note("encoding", text.note)
    with text.stream as stream:
        yield _AsUtf8(stream), "utf-8"


class _AsUtf8:
    """A stream of text as bytes in UTF-8."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        return self._stream.read(size).encode("utf-8", "replace")


def _shown(text: str) -> str:
    """A value, without the HTML that feeds put in it."""
    if _HTML.search(text):
        try:
            text = " ".join(part.text for part in html_parts(text))
        except MissingExtra:
            text = _HTML.sub(" ", text)
    return printable(text)


def _place(records: list[Record]) -> str:
    """The place of one record, or of the first to the last: `/catalog/book[3-9]`."""
    first, last = records[0].place, records[-1].place
    begin, end = _LAST.search(first), _LAST.search(last)
    if len(records) > 1 and begin and end and first[: begin.start()] == last[: end.start()]:
        first = f"{first[: begin.start()]}[{begin[1]}-{end[1]}]"
    return printable(first)[:_MOST_PLACE]
