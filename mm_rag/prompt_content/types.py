"""The input, the output and the budget of `blocks_of`."""

from __future__ import annotations

import base64
import math
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from mm_rag.errors import InputError
from mm_rag.record import hit_to_metadata, segment_to_metadata
from mm_rag.segment import Hit, Segment


@dataclass(frozen=True, kw_only=True)
class Item:
    """A retrieved record with the label by which a chat model can cite it.

    Attributes:
        label: Names the record's origin: `[1] report.pdf, page 3`.
        text: Text of the record.
        metadata: Metadata under the names of `Segment`'s fields. A record with other metadata is
            treated as text.
        picture: Path or bytes of a picture, for records whose metadata name none.
    """

    label: str
    text: str
    metadata: Mapping[str, Any]
    picture: Path | bytes | None = None

    @classmethod
    def of_segment(cls, segment: Segment, label: str) -> Item:
        """Make an Item of a Segment."""
        return cls(label=label, text=segment.text, metadata=segment_to_metadata(segment))

    @classmethod
    def of_hit(cls, hit: Hit, label: str) -> Item:
        """Make an Item of a Hit."""
        return cls(label=label, text=hit.segment.text, metadata=hit_to_metadata(hit))


@dataclass(frozen=True, kw_only=True)
class Words:
    """A block of text.

    Attributes:
        text: The text.
    """

    text: str


@dataclass(frozen=True, kw_only=True, repr=False)
class Picture:
    """A block with one picture, in a format that every provider accepts.

    Attributes:
        data: Contents of a PNG, JPEG, WebP or GIF file.
        mime_type: MIME type of `data`, such as `image/jpeg`.
        width: Width in pixels.
        height: Height in pixels.
    """

    data: bytes
    mime_type: str
    width: int
    height: int

    @property
    def base64(self) -> str:
        """`data` in base64, as chat messages carry it."""
        return base64.b64encode(self.data).decode("ascii")

    def __repr__(self) -> str:
        """Type and size, without the bytes."""
        return f"Picture({self.mime_type}, {self.width} x {self.height}, {len(self.data)} bytes)"


Block: TypeAlias = Words | Picture


# A word of Latin letters, or a part of a compoundWord; a run of one punctuation character (-----);
# whitespace beyond the single space before a word; any other character. In this order.
_TOKEN_PIECE = re.compile(r"[A-Z]?[a-zß-ʯ]+|[A-ZÀ-Þ]+|([^\w\s])\1{3,}|\s{2,}|[^ ]")

# Letters per token. Common words up to about seven letters are one token. Longer words are
# compounds, names and chemistry; words with accents are rarer in vocabularies, and words with
# letters beyond Latin-1 rarer still.
_COMMON, _RARE, _BEYOND_LATIN_1 = 4, 2, 1.4

# Tokens per character, from a code point on. Measured with OpenAI's cl100k_base, which is mostly
# English: newer vocabularies need half as many or fewer for most of these scripts.
_TOKENS_PER_CHARACTER = (
    (0x0000, 1.0),
    (0x0300, 2.0),  # combining accents
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
    (0x2028, 2.0),  # symbols, arrows, mathematics
    (0x2E80, 2.0),
    (0x3000, 1.5),  # kana
    (0x3100, 2.0),  # ideographs
    (0xA000, 3.0),
    (0xAC00, 1.75),  # Hangul
    (0xD7B0, 3.0),
    (0xFF00, 1.5),  # full-width letters
    (0x10000, 4.0),  # emoji; one token per byte
)
_CODE_POINTS = [first for first, _ in _TOKENS_PER_CHARACTER]

_PATCH = 28  # side in pixels


def tokens_of_text(text: str) -> int:
    """Upper estimate of the tokens of a text, for the usual chat models."""
    pieces = (match[0] for match in _TOKEN_PIECE.finditer(text))
    return math.ceil(sum(map(_tokens_of_piece, pieces))) + 1


def _tokens_of_piece(piece: str) -> float:
    if piece[0].isalpha() and piece[-1] < "\u02b0":
        return _tokens_of_word(piece)
    if len(piece) > 1:
        return 1 + len(piece) // 4
    return _TOKENS_PER_CHARACTER[bisect_right(_CODE_POINTS, ord(piece)) - 1][1]


def _tokens_of_word(word: str) -> int:
    if not word.isascii() or word.isupper():
        return math.ceil(len(word) / (_RARE if max(word) < "\u0100" else _BEYOND_LATIN_1))
    common = min(len(word), 2 * _COMMON)
    return math.ceil(common / _COMMON) + math.ceil((len(word) - common) / _RARE)


def tokens_of_picture(width: int, height: int) -> int:
    """Upper estimate of the tokens of a picture, for the usual chat models.

    It is the maximum of:

    - Claude: width x height / 750 (Anthropic's earlier vision guide), or one token per started
      patch of 28 x 28 pixels (the present one). Qwen2-VL and Qwen2.5-VL use the same patches, plus
      one token before and one after.
    - GPT-4o: scaled to fit 2,048 x 2,048, then to a shorter side of 768; 85 tokens plus 170 per
      started tile of 512 x 512 (OpenAI's vision guide, detail "high").

    Providers downscale large pictures at different sizes. Only GPT-4o's rule is applied here, so
    this overestimates the others. Models that bill a picture as very many cheap tokens (GPT-4o
    mini, GPT-4.1 nano), or as a fixed number of tiles (Gemini), need a counter of their own.

    Args:
        width: In pixels.
        height: In pixels.
    """
    patches = math.ceil(width / _PATCH) * math.ceil(height / _PATCH) + 2
    return max(math.ceil(width * height / 750), patches, _tokens_of_tiles(width, height))


def _tokens_of_tiles(width: int, height: int) -> int:
    scale = min(1.0, 2048 / max(width, height))
    scale = min(scale, 768 / min(width, height))
    # The tolerance absorbs rounding: 512 may come out as 512.0000000001.
    across, down = (math.ceil(side * scale / 512 - 1e-9) for side in (width, height))
    return 85 + 170 * across * down


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Upper bounds for what a chat model is given at once.

    Attributes:
        tokens: Tokens of text and pictures together.
        bytes: Size of all picture files together. Base64 in messages adds a third.
        frames: Maximum number of frames that represent a video clip.
        tokens_of_text: Counts the tokens of a text. The default is an upper estimate; for English
            it is about 1.5 times GPT-4's count.
        tokens_of_picture: Counts the tokens of a picture from its width and height in pixels. It
            must not increase when a picture is scaled down. The default is the maximum over
            Claude, GPT-4o and Qwen2-VL.

    Raises:
        InputError: A bound is not a positive integer, or a counter is not callable.
    """

    tokens: int = 8_000
    bytes: int = 4_000_000
    frames: int = 4
    tokens_of_text: Callable[[str], int] = tokens_of_text
    tokens_of_picture: Callable[[int, int], int] = tokens_of_picture

    def __post_init__(self) -> None:
        """Validate the fields."""
        for name in ("tokens", "bytes", "frames"):
            value: Any = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InputError(f"Budget.{name} must be a positive integer; got {value!r:.100}.")
        for name in ("tokens_of_text", "tokens_of_picture"):
            if not callable(getattr(self, name)):
                raise InputError(f"Budget.{name} must be a function that counts tokens.")


def as_budget(given: Budget | int) -> Budget:
    """Return a Budget as it is; turn a number of tokens into one with the default other bounds.

    Raises:
        InputError: It is neither a Budget nor a positive integer.
    """
    return given if isinstance(given, Budget) else Budget(tokens=given)
