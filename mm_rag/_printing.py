"""What strangers named is shown on a terminal as letters, not as commands to it."""

from __future__ import annotations

import html
import re

# Control characters, which move a terminal's cursor or ring its bell; signs that turn the direction
# of writing around; halves of surrogate pairs, which cannot be written in UTF-8.
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def one_line(text: str) -> str:
    """With a sign in place of line ends, control characters and what is no character at all."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def visible(text: str) -> str:
    """With a sign in place of control characters and the like; tabs and line ends stay."""
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text)


def escaped(text: str) -> str:
    """As HTML, without control characters, which no page may hold."""
    return html.escape(visible(text))


def counted(number: int, what: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
