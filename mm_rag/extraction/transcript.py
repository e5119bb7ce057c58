"""Transcript: the recognised words of a recording, and what recognises them."""

# ruff: noqa: RUF001 - punctuation of other scripts is meant

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

# Beginnings of the Unicode names of letters that are written without spaces between words.
_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
_MARKS = frozenset("。、，．！？：；「」『』（）《》〈〉・…")


@dataclass(frozen=True, kw_only=True)
class Word:
    """A recognised word.

    Attributes:
        text: The word.
        start: In seconds from the first sample.
        end: In seconds from the first sample.
        confidence: Confidence of the recogniser, from 0 to 1.
    """

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Transcript:
    """The recognised words of a recording.

    Attributes:
        words: The words in order.
        language: ISO 639 code of what is spoken, such as `"en"`; empty if the transcriber does not
            tell.
    """

    words: tuple[Word, ...] = ()
    language: str = ""

    @property
    def text(self) -> str:
        """The words, separated by spaces where their script has spaces."""
        return joined(word.text for word in self.words)

    def between(self, start: float, end: float) -> Transcript:
        """The words whose middle lies in [start, end), in seconds."""
        words = tuple(w for w in self.words if start <= (w.start + w.end) / 2 < end)
        return replace(self, words=words)


class Transcriber(Protocol):
    """Recognises speech. Any object with these two members can replace the built-in ones."""

    @property
    def name(self) -> str:
        """Name and version. Recordings are transcribed again if it changes."""
        ...

    def transcribe(self, samples: npt.NDArray[np.float32]) -> Transcript:
        """Transcribe mono samples of 16 kHz in [-1, 1], shape (n,)."""
        ...


def joined(texts: Iterable[str]) -> str:
    """Join words or phrases by spaces, but not Chinese, Japanese, Thai and the like."""
    text = ""
    for part in filter(None, texts):
        text += part if not text or are_unspaced(text, part) else f" {part}"
    return text


def are_unspaced(before: str, after: str) -> bool:
    """Whether two texts meet at letters of a script that has no spaces between words."""
    return bool(before and after) and _is_unspaced(before[-1]) and _is_unspaced(after[0])


def _is_unspaced(letter: str) -> bool:
    return letter in _MARKS or unicodedata.name(letter, "").startswith(_UNSPACED)
