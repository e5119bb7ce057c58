"""TextLoader: plain text and Markdown as passages."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import ClassVar

from mm_rag._printing import printable
from mm_rag.errors import UnreadableMedia
from mm_rag.media.plain_text import is_plain_text
from mm_rag.segment import Segment
from mm_rag_loaders.loader import Loader, SourceFile
from mm_rag_loaders.passages import passages

_MOST_BYTES = 32 * 1024**2
_HEADING = re.compile(r"\A\s*#\s+(.+)")


class TextLoader(Loader):
    """Reads plain text in UTF-8 or UTF-16, otherwise as Windows-1252."""

    becomes: ClassVar[str] = "passages"

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield the text's passages.

        Raises:
            UnreadableMedia: It is not text, or contains no words.
        """
        most = min(_MOST_BYTES, self.options.policy.max_bytes)
        with file.opened.reader() as reader:
            data = reader.read(most + 1)
        if not is_plain_text(data[:65_536]):
            raise UnreadableMedia(f"{file.path.name} is not plain text.")
        if len(data) > most:
            data = data[:most]
            file.note("limit", f"only the first {most:,} bytes were read")
            text = printable(_decoded(data, file, whole=False))
        else:
            text = printable(_decoded(data, file, whole=True))
        heading = _HEADING.match(text)
        found = passages(text, max_words=self.options.passage_words)
        if not found:
            raise UnreadableMedia(f"{file.path.name} has no words in it.")
        for part, passage in enumerate(found):
            yield Segment(
                modality="text",
                source=file.source,
                sha256=file.sha256,
                text=passage,
                title=(heading[1].strip() if heading else "") or file.name_in_words,
                part=part,
            )


def _decoded(data: bytes, file: SourceFile, *, whole: bool) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    try:
        # The limit may cut a character in two, which is not an error of the encoding.
        return codecs.getincrementaldecoder("utf-8-sig")().decode(data, final=whole)
    except UnicodeDecodeError:
        file.note("encoding", "not UTF-8: read as Windows-1252")
        return data.decode("cp1252", errors="replace")
