"""Remove or replace control characters in untrusted text, for terminals, HTML and databases."""

from __future__ import annotations

import html
import re

# Control characters (terminal commands), bidirectional overrides, and lone surrogates, which
# cannot be encoded in UTF-8.
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def one_line(text: str, replacement: str = "\N{REPLACEMENT CHARACTER}") -> str:
    """Replace line ends and unprintable characters, by default with U+FFFD."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else replacement for letter in text)


def visible(text: str) -> str:
    """Replace control characters by U+FFFD; tabs and line ends stay."""
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text)


def escaped(text: str) -> str:
    """Escape for HTML, after replacing control characters."""
    return html.escape(visible(text))


def counted(number: int, what: str) -> str:
    """Return a number and a noun: `1 file`, `2 files`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def printable(text: str) -> str:
    """Remove control characters, private-use characters and lone surrogates.

    Databases reject some of these. Soft hyphens become hyphens; spaces and line ends stay.
    """
    letters = text.replace("\xad", "-")
    if "".join(letters.split()).isprintable():  # most texts; 20 times as fast
        return letters
    return "".join(letter for letter in letters if letter.isprintable() or letter.isspace())
