"""Synthetic texts and page pictures, the same every time."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import accumulate

from PIL import Image, ImageDraw, ImageFont

_CLUSTERS = ["br", "cl", "dr", "fl", "gr", "pl", "pr", "sh", "sl", "st", "th", "tr"]
_ONSETS = [*"bcdfghjklmnprstvwz", *_CLUSTERS]
_VOWELS = [*"aeiou", "ai", "ea", "ee", "oa", "ou"]
_CODAS = ["", "", "", "l", "m", "n", "r", "s", "t", "ck", "nd", "ng", "st"]
_VOCABULARY = 3000


class Words:
    """A synthetic language whose word frequencies resemble those of English.

    Args:
        seed: A seed always gives the same texts.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        # The vocabulary does not depend on the seed.
        maker = random.Random(0)
        made = (_word(maker) for _ in range(20 * _VOCABULARY))
        self._words = list(dict.fromkeys(made))[:_VOCABULARY]
        self._weights = list(accumulate((rank + 3) ** -0.9 for rank in range(len(self._words))))

    def text(self, words: int) -> str:
        """A text of so many words, in sentences of 13."""
        drawn = self._random.choices(self._words, cum_weights=self._weights, k=words)
        sentences = [" ".join(drawn[i : i + 13]).capitalize() for i in range(0, words, 13)]
        return ". ".join(sentences) + "."

    def text_of(self, tokens: int, count: Callable[[str], int]) -> str:
        """A text of that many tokens, or a few less.

        Args:
            tokens: Number of tokens.
            count: Returns the number of tokens of a text.
        """
        words = self.text(2 * tokens).split()
        low, high = 1, len(words)
        while low < high:
            middle = (low + high + 1) // 2
            fits = count(" ".join(words[:middle])) <= tokens
            low, high = (middle, high) if fits else (low, middle - 1)
        return " ".join(words[:low])

    def length(self, around: int) -> int:
        """A random length within a third of `around`."""
        return self._random.randint(around * 2 // 3, around * 4 // 3)


def page(seed: int, width: int = 1275, height: int = 1650) -> Image.Image:
    """A picture of a page of text with a coloured figure."""
    words, drawn = Words(seed), Image.new("RGB", (width, height), "white")
    pen, font = ImageDraw.Draw(drawn), ImageFont.load_default(24)
    for y in range(60, height - 60, 34):
        pen.text((70, y), words.text(max(1, width // 140)), fill="black", font=font)
    left, top = width // 10 + seed % 20, height // 6
    colour = (20 * seed % 255, 120, 200)
    pen.rectangle((left, top, width // 2, top + height // 10 + 5 * (seed % 9)), fill=colour)
    return drawn


def _word(maker: random.Random) -> str:
    syllables = maker.choices((1, 2, 3), weights=(3, 4, 2))[0]
    parts = (_ONSETS, _VOWELS, _CODAS)
    return "".join(maker.choice(part) for _ in range(syllables) for part in parts)
