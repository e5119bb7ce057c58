"""Budget: how much of a chat model's attention some blocks may take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mm_rag.errors import InputError
from mm_rag.prompt_content.tokens import tokens_of_picture, tokens_of_text


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Upper bounds of what a chat model is given at once.

    Attributes:
        tokens: Of words and pictures together.
        bytes: Of the pictures' files together; messages carry them a third longer, as base64.
        frames: How many frames stand for a clip of a video, at most.
        tokens_of_text: Counts the tokens of a text. By default that is an upper estimate, for
            English about 1.5 times what GPT-4 counts.
        tokens_of_picture: Counts those of a picture, given its width and height in pixels; a
            smaller copy of a picture takes no more than the picture. By default that is the most
            that Claude, GPT-4o and Qwen2-VL take.

    Raises:
        InputError: A bound is no whole number over 0.
    """

    tokens: int = 8_000
    bytes: int = 4_000_000
    frames: int = 4
    tokens_of_text: Callable[[str], int] = tokens_of_text
    tokens_of_picture: Callable[[int, int], int] = tokens_of_picture

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        for name in ("tokens", "bytes", "frames"):
            value: Any = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InputError(f"Budget.{name} is a whole number over 0; got {value!r:.100}.")
        for name in ("tokens_of_text", "tokens_of_picture"):
            if not callable(getattr(self, name)):
                raise InputError(f"Budget.{name} is a function that counts tokens.")


def as_budget(given: Budget | int) -> Budget:
    """A Budget, or so many tokens with the usual rest.

    Raises:
        InputError: It is neither.
    """
    return given if isinstance(given, Budget) else Budget(tokens=given)
