"""Words for comparing texts: without case, accents, punctuation and English endings."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Literal

# Letters of scripts that are written without spaces between words, for regular expressions.
HAN_AND_KANA = (
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
HANGUL = "\uac00-\ud7a3"  # has spaces, and endings that no stemmer here removes
THAI_TO_KHMER = (  # Thai, Lao, Burmese, Khmer
    "\u0e01-\u0e30\u0e32-\u0e33\u0e40-\u0e46\u0e81-\u0eb0\u0eb2-\u0eb3\u0ebd-\u0ec6\u0edc-\u0edf"
    "\u1000-\u102a\u103f\u1050-\u1055\u1780-\u17b3\u17d7\u17dc"
)
THAI_TO_KHMER_MARKS = (
    "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u102b-\u103e\u1056-\u1059"
    "\u17b4-\u17d3\u17dd"
)
_PIECE = re.compile(rf"[{HAN_AND_KANA}]|[^\s{HAN_AND_KANA}]+")
_IDEOGRAPH = re.compile(rf"[{HAN_AND_KANA}]")

# Python's \w does not contain the vowel signs of the Indic scripts and Thai.
_LETTER = rf"(?:[^\W_{HAN_AND_KANA}]|[\u0900-\u0963\u0966-\u0fff])"
_WORD = re.compile(rf"[{HAN_AND_KANA}]|\d+(?:[.,]\d+)+|{_LETTER}+(?:['\u2019]{_LETTER}+)*")
# Accents, Hebrew points and Arabic vowel marks, which are often omitted in queries.
_MARKS = re.compile("[\u0300-\u036f\u0591-\u05bd\u05bf-\u05c7\u064b-\u0652\u0670]")

_COMMON = """
a about an and are as at be been but by can could did do does for from had has have how i in is
it its many me much my not of on or our out should so that the their them there they this to was
we were what when where which while who whom whose why will with would you your
"""
_COMMON_WORDS = frozenset(_COMMON.split())


_MOST_MARKS = 30  # in a row; the limit of Unicode's stream-safe text format (UAX #15)


def normalized(form: Literal["NFC", "NFKC", "NFKD"], text: str) -> str:
    """Normalise a text as `unicodedata` does, but in linear time.

    Python sorts adjacent combining marks in quadratic time, so of more than 30 the rest is dropped.
    No language needs that many.
    """
    if text.isascii():
        return text
    return unicodedata.normalize(form, _too_many_marks().sub(r"\1", text))


@cache
def _too_many_marks() -> re.Pattern[str]:
    marks = "".join(filter(_is_mark, map(chr, range(0x300, 0x1F000))))
    return re.compile(rf"([{marks}]{{{_MOST_MARKS}}})[{marks}]+")


def _is_mark(character: str) -> bool:
    """Whether a character is a combining mark after decomposition."""
    return unicodedata.combining(unicodedata.normalize("NFKD", character)[0]) > 0


def pieces(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of the words of a line, with punctuation; every ideograph is a word."""
    return (match.span() for match in _PIECE.finditer(text))


def plain_words(text: str) -> list[str]:
    """The words of a text without case, accents and punctuation: `"Café, 3.5!"` gives cafe, 3.5."""
    bare = _MARKS.sub("", normalized("NFKD", text.casefold()))
    found = _WORD.findall(normalized("NFKC", bare))
    return [word.replace("'", "").replace("\u2019", "") for word in found]


def is_ideograph(text: str) -> bool:
    """Whether a text begins with an ideograph."""
    return _IDEOGRAPH.match(text) is not None


def is_common(word: str) -> bool:
    """Whether a plain word is an English stop word."""
    return word in _COMMON_WORDS


def stem(word: str) -> str:
    """A plain word without its English ending, by a crude rule: `ropes` and `rope` are the same."""
    if not word.isalpha():
        return word
    for ending in ("ing", "ed", "es", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word.removesuffix(ending)
            break
    if len(word) > 3 and word[-1] == "y" and word[-2] not in "aeiou":
        word = word[:-1] + "i"  # policy, policies
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word  # run, running
