"""Upper estimates of the tokens that texts and pictures take, without any model's tokenizer."""

from __future__ import annotations

import math
import re
from bisect import bisect_right

# In this order: a word of Latin letters, or a part of a compoundWord; a row of one sign (-----);
# white space that is more than the one space before a word; any other character.
_PIECE = re.compile(r"[A-Z]?[a-zß-ʯ]+|[A-ZÀ-Þ]+|([^\w\s])\1{3,}|\s{2,}|[^ ]")

# Letters of a word that make a token. Usual words are one token up to seven letters or so; longer
# ones are compounds, names and chemistry, and tokenizers know few words with accents, fewer still
# with those beyond Latin-1.
_USUAL, _RARE, _FOREIGN = 4, 2, 1.4

# Tokens of one character, from a code point on. Each was measured with OpenAI's cl100k_base, which
# knows little but English: newer vocabularies take half as many, or fewer, for most of these.
_CHARACTERS = (
    (0x0000, 1.0),
    (0x0300, 2.0),  # accents by themselves
    (0x0370, 1.25),  # Greek
    (0x0400, 1.0),  # Cyrillic
    (0x0530, 2.5),  # Armenian
    (0x0590, 1.25),  # Hebrew
    (0x0600, 1.2),  # Arabic
    (0x0700, 2.0),
    (0x0900, 1.5),  # Devanagari
    (0x0980, 2.25),  # Bengali to Sinhala
    (0x0E00, 1.5),  # Thai
    (0x0E80, 3.0),
    (0x1E00, 2.0),  # Vietnamese
    (0x2010, 1.0),  # dashes and quotation marks
    (0x2028, 2.0),  # signs, arrows, mathematics
    (0x2E80, 2.0),
    (0x3000, 1.5),  # kana
    (0x3100, 2.0),  # ideographs
    (0xA000, 3.0),
    (0xAC00, 1.75),  # Hangul
    (0xD7B0, 3.0),
    (0xFF00, 1.5),  # wide letters
    (0x10000, 4.0),  # emoji; one token a byte
)
_FIRST = [first for first, _ in _CHARACTERS]

_PATCH = 28  # pixels


def tokens_of_text(text: str) -> int:
    """At least as many tokens as the usual chat models take for a text."""
    return math.ceil(sum(_tokens_of_piece(match[0]) for match in _PIECE.finditer(text))) + 1


def _tokens_of_piece(piece: str) -> float:
    if piece[0].isalpha() and piece[-1] < "\u02b0":
        return _tokens_of_word(piece)
    if len(piece) > 1:
        return 1 + len(piece) // 4
    return _CHARACTERS[bisect_right(_FIRST, ord(piece)) - 1][1]


def _tokens_of_word(word: str) -> int:
    if not word.isascii() or word.isupper():
        return math.ceil(len(word) / (_RARE if max(word) < "\u0100" else _FOREIGN))
    usual = min(len(word), 2 * _USUAL)
    return math.ceil(usual / _USUAL) + math.ceil((len(word) - usual) / _RARE)


def tokens_of_picture(width: int, height: int) -> int:
    """The most that the usual chat models take for a picture.

    - Claude: width x height / 750, as Anthropic's guide to vision had it, and one for each
      28 x 28 pixels that are begun, as it has it now. Qwen2-VL and Qwen2.5-VL have the same
      patches, and a token before and one after them.
    - GPT-4o: made to fit 2,048 x 2,048, then so small that the shorter side has 768; 85 tokens and
      170 for each 512 x 512 that are begun (OpenAI's guide to vision, "high" detail).

    All of these shrink what is large, at sizes that differ; here only GPT-4o does, so this is an
    upper estimate for the others. Models that are cheap by the token and bill a picture as many
    (GPT-4o mini, GPT-4.1 nano), or cut it into the same number of tiles whatever its size (Gemini),
    want a counter of their own.

    Args:
        width: In pixels.
        height: In pixels.
    """
    patches = math.ceil(width / _PATCH) * math.ceil(height / _PATCH) + 2
    return max(math.ceil(width * height / 750), patches, _tokens_of_tiles(width, height))


def _tokens_of_tiles(width: int, height: int) -> int:
    scale = min(1.0, 2048 / max(width, height))
    scale = min(scale, 768 / min(width, height))
    # What is meant to be 512 may come out as 512.0000000001.
    across, down = (math.ceil(side * scale / 512 - 1e-9) for side in (width, height))
    return 85 + 170 * across * down
