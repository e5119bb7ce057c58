"""The HTML of a message as paragraphs and tables, with what is quoted apart."""

from __future__ import annotations

import html.parser
import re
from collections.abc import Iterator

from mm_rag._printing import printable
from mm_rag_loaders.mail.quotes import text_blocks
from mm_rag_loaders.passages import TextPart

_BLOCKS = frozenset(
    [
        *("address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "h1", "h2"),
        *("h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "table", "td", "th", "tr", "ul"),
    ]
)
_UNSEEN = frozenset(["head", "script", "style", "title", "template"])


def html_blocks(source: str) -> Iterator[tuple[bool, list[TextPart]]]:
    """Cut an HTML body into what is quoted and what is not, in order."""
    reader = _Reader()
    reader.feed(source)
    reader.close()
    text = re.sub(r"\n\s*\n\s*", "\n\n", re.sub(r"[^\S\n]+", " ", "".join(reader.texts)))
    for quoted, words in text_blocks(printable(text)):
        yield quoted, [TextPart("text", words)]


class _Reader(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unseen += tag in _UNSEEN
        if tag in _BLOCKS:
            self.texts.append("\n\n" if tag == "p" else "\n")

    def handle_endtag(self, tag: str) -> None:
        self._unseen -= tag in _UNSEEN and self._unseen > 0
        if tag in _BLOCKS:
            self.texts.append("\n\n" if tag == "p" else "\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.texts.append(" ".join(data.split("\n")))
