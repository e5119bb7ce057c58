"""What strangers named is shown on a terminal as letters, not as commands to it."""

from __future__ import annotations


def one_line(text: str) -> str:
    """With a sign in place of line ends, control characters and what is no character at all."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
