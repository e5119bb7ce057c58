"""Upper estimates of the tokens that texts and pictures take, without any model's tokenizer."""

from __future__ import annotations

import math
import re

# In this order: a part of an English-like word (parts of a compoundWord count for themselves),
# a row of one sign (-----), white space that is no single space, and any other character.
_PIECE = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|([^\w\s])\1{3,}|\s{2,}|[^ ]")
_SPOKEN = 4  # letters of a usual word that are one token
_RARE = 2  # letters, once a word is long: compounds, chemistry


def tokens_of_text(text: str) -> int:
    """At least as many tokens as the usual chat models take for a text."""
    return sum(_tokens_of_piece(match[0]) for match in _PIECE.finditer(text)) + 1


def _tokens_of_piece(piece: str) -> int:
    if piece[0].isascii():
        if piece[0].isalpha():
            return _tokens_of_word(piece)
        return 1 + len(piece) // 4 if len(piece) > 1 else 1
    return sum(_tokens_of_character(character) for character in piece)


def _tokens_of_word(word: str) -> int:
    if word.isupper():
        return -(-len(word) // _RARE)
    if len(word) <= 2 * _SPOKEN:
        return -(-len(word) // _SPOKEN)
    return 2 - (2 * _SPOKEN - len(word)) // _RARE


def _tokens_of_character(c: str) -> int:
    n = ord(c)
    return 1 if n < 0x800 else 2
