"""TextLoader: plain text as passages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, TextIO

from mm_rag._printing import printable
from mm_rag.errors import UnreadableMedia
from mm_rag.media.plain_text import is_plain_text
from mm_rag.media.text_encoding import OpenedText, open_text
from mm_rag.segment import Segment
from mm_rag_loaders.line_passages import Line, line_passages
from mm_rag_loaders.loader import Loader, SourceFile
from mm_rag_loaders.passages import passages

_BLOCK = 1_000_000  # characters of a long text that are split into passages at once
_LONGEST_LINE = 100_000  # characters of a line that are held at once
_HEAD = 65_536  # bytes that distinguish a text from a binary file
_HEADING = re.compile(r"\A\s*#\s+(.+)")
_LOG = re.compile(r"\.(log|err|out)(\.|$)", re.IGNORECASE)
# Colours and other commands to terminals; letters that printers struck twice, as in manual pages.
_COMMAND = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
_STRUCK = re.compile(r".\x08", re.DOTALL)
# Separators of fields and records, which would tie two words to one.
_SEPARATORS = str.maketrans("\x0b\x1c\x1d\x1e\x1f", 5 * " ")


class TextLoader(Loader):
    """Reads plain text in any encoding, and of any length with the same memory."""

    becomes: ClassVar[str] = "passages, in any encoding; passages of whole lines for logs"

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield the text's passages.

        Raises:
            UnreadableMedia: It is not text, or contains no words.
        """
        opened = open_plain_text(file)
        part = 0
        with opened.stream as stream:
            if _LOG.search(file.name):
                for lines in line_passages(lines_of(stream), max_words=self.options.passage_words):
                    yield file.text_segment(lines.text, part=part, place=lines.place)
                    part += 1
            else:
                title = ""
                for block in _blocks(stream):
                    text = readable(block)
                    heading = _HEADING.match(text) if part == 0 else None
                    title = heading[1].strip() if heading else title
                    for passage in passages(text, max_words=self.options.passage_words):
                        yield file.text_segment(passage, title=title, part=part)
                        part += 1
        if part == 0:
            raise UnreadableMedia(f"{file.path.name} has no words in it.")


def open_plain_text(file: SourceFile) -> OpenedText:
    """Open a file that should be text, and note its encoding if it is not UTF-8.

    Raises:
        UnreadableMedia: It is not text.
    """
    with file.opened.reader() as reader:
        head = reader.read(_HEAD)
    if not is_plain_text(head):
        raise UnreadableMedia(f"{file.path.name} is not plain text.")
    opened = open_text(file.opened)
    if opened.note:
        file.note("encoding", opened.note)
    return opened


def lines_of(stream: TextIO) -> Iterator[Line]:
    """The readable lines of a text. A very long line comes in parts with the same number."""
    number = 1
    while line := stream.readline(_LONGEST_LINE):
        yield Line(number, readable(line.rstrip("\n")))
        number += line.endswith("\n")


def readable(text: str) -> str:
    """Remove control characters, commands to terminals and letters that were struck over."""
    if "\x1b" in text:
        text = _COMMAND.sub("", text)
    if "\x08" in text:
        text = _STRUCK.sub("", text)
    return printable(text.translate(_SEPARATORS))


def _blocks(stream: TextIO) -> Iterator[str]:
    """A long text in blocks that end with a paragraph, a line or a word."""
    text = stream.read(_BLOCK)
    while len(text) >= _BLOCK:
        ends = (text.rfind(end, _BLOCK // 2) + len(end) for end in ("\n\n", "\n", " "))
        cut = next((end for end in ends if end > _BLOCK // 2), len(text))
        yield text[:cut]
        text = text[cut:] + stream.read(_BLOCK)
    yield text
