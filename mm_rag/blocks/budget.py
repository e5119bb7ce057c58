"""Budget: how much of a chat model's attention some blocks may take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


def tokens_of_text(text: str) -> int:
    """To be written."""
    return len(text.encode()) // 3 + 1


def tokens_of_picture(width: int, height: int) -> int:
    """To be written."""
    return width * height // 700 + 1


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Upper bounds of what a chat model is given at once.

    Attributes:
        tokens: Of words and pictures together.
        bytes: Of the pictures' files together; messages carry them a third longer, as base64.
        frames: How many frames stand for a clip of a video.
        tokens_of_text: Counts the tokens of a text.
        tokens_of_picture: Counts those of a picture, given its width and height in pixels.
    """

    tokens: int = 8_000
    bytes: int = 4_000_000
    frames: int = 4
    tokens_of_text: Callable[[str], int] = tokens_of_text
    tokens_of_picture: Callable[[int, int], int] = tokens_of_picture
