"""The texts of a message's body: which of two alternatives says more, and what is new in each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mm_rag._printing import printable
from mm_rag.errors import MissingExtra
from mm_rag_loaders.mail.html import html_text
from mm_rag_loaders.mail.quotes import text_blocks
from mm_rag_loaders.passages import TextPart

_WORD = re.compile(r"\w+")
# HTML is taken if its text has this many times the words of the plain one. Some programs write
# "this message is in HTML" or the first lines as plain text; links and footers add a few words.
_MORE = 1.25


@dataclass(frozen=True)
class Text:
    """A text of a body.

    Attributes:
        kind: `"plain"` or `"html"`.
        text: The text.
    """

    kind: str
    text: str


@dataclass(frozen=True)
class Block:
    """A stretch of a body.

    Attributes:
        parts: Its paragraphs, headings and tables, in order.
        quoted: Whether it is quoted from an earlier message.
        hidden: Letters of HTML that is not shown, which were left out.
    """

    parts: tuple[TextPart, ...]
    quoted: bool
    hidden: int = 0


def blocks_of(texts: Sequence[Text]) -> list[Block]:
    """Cut a body into new and quoted stretches, in order.

    Raises:
        MissingExtra: It is HTML and the parser is not installed.
    """
    return [block for text in texts for block in _blocks(text)]


def fullest(alternatives: Sequence[Sequence[Text]]) -> list[Text]:
    """Choose the alternative that says most.

    Plain text is taken rather than HTML that says the same, unless the HTML has tables.
    """
    best: list[Text] = []
    weight = 0.0
    for texts in alternatives:
        try:
            parts = [part for block in blocks_of(texts) for part in block.parts]
        except MissingExtra:  # said when the text is read, unless there is plain text
            best = best or list(texts)
            continue
        words = sum(len(_WORD.findall(part.text)) for part in parts)
        is_html = any(text.kind == "html" for text in texts)
        is_richer = any(part.kind == "table" for part in parts)
        its = words * (1.0 if not is_html else _MORE if is_richer else 1 / _MORE)
        if its > weight:
            best, weight = list(texts), its
    return best


def unflowed(text: str, *, keeps_space: bool) -> str:
    """Join the lines of a text in `format=flowed` (RFC 3676) to paragraphs."""
    lines: list[str] = []
    depth, is_open = 0, False
    for line in text.splitlines():
        stripped = line.lstrip(">")
        quotes = len(line) - len(stripped)
        stripped = stripped.removeprefix(" ")
        is_signature = stripped == "-- "
        if is_open and quotes == depth and not is_signature:
            lines[-1] += stripped
        else:
            lines.append(">" * quotes + (" " if quotes else "") + stripped)
        is_open, depth = stripped.endswith(" ") and not is_signature, quotes
        if is_open and not keeps_space:
            lines[-1] = lines[-1][:-1]
    return "\n".join(lines)


def _blocks(text: Text) -> Iterator[Block]:
    if text.kind == "html":
        found = html_text(text.text)
        yield Block(found.new, quoted=False, hidden=found.hidden)
        yield Block(found.quoted, quoted=True)
        return
    for quoted, words in text_blocks(printable(text.text)):
        yield Block((TextPart("text", words),), quoted)
