"""Boxes of words on a page or picture, and matching of queries and passages to them."""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, cast

from mm_rag.errors import UnreadableMedia
from mm_rag.words import is_common, is_ideograph, plain_words, stem

Box: TypeAlias = tuple[float, float, float, float]

_MOST_BYTES = 4 * 1024**2  # a page of a telephone book has a tenth of it
_PASSAGE_WORDS = 12  # texts from this length on are searched as passages, not word by word
_MOST_PASSAGE_WORDS = 2000
_MOST_CHARACTERS = 100_000  # of a query or passage
_FEWEST_IN_A_ROW = 4
_MOST_PAGE_LETTERS = 200_000  # of a picture; a page of a telephone book has a tenth of it
# Searches for adjacent words, which bounds the cost of hostile pages and queries. A passage of 200
# words takes about 30.
_MOST_LOOKS = 5_000
_MOST_QUOTES = 100
# A quotation begins at the last possible opening mark: otherwise many unclosed ones would take
# quadratic time.
_QUOTED = re.compile(r"\"([^\"]+)\"|\u201c([^\u201c\u201d]+)\u201d|\u00ab([^\u00ab\u00bb]+)\u00bb")

_QUOTE = json.JSONEncoder(ensure_ascii=False).encode


class WordBox(NamedTuple):
    """A word on a picture.

    Attributes:
        text: The word.
        box: Left, top, right, bottom, as fractions of the picture's width and height.
    """

    text: str
    box: Box


def boxes_to_json(words: Iterable[WordBox]) -> bytes:
    """`[["word", left, top, right, bottom], ...]`, as `read_boxes` reads it."""
    # Formatted by hand: rounding and serialising each number takes three times as long.
    rows = [
        "[%s,%.4f,%.4f,%.4f,%.4f]" % (_QUOTE(word.text), *word.box)  # noqa: UP031 - the fastest
        for word in words
    ]
    return f"[{','.join(rows)}]".encode()


def read_boxes(path: str | Path) -> list[WordBox]:
    """Read the word boxes that a loader wrote, in reading order.

    Raises:
        UnreadableMedia: It is missing, damaged, or larger than 4 MB.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES:,} bytes")
        return [_word(row) for row in cast("list[Any]", json.loads(data))]
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UnreadableMedia(f"The word boxes {path} cannot be read: {error}.") from error


def find_words(boxes: Sequence[WordBox], words: str) -> list[WordBox]:
    """Find the words of a query or passage on a picture.

    Case, accents, punctuation and English endings do not matter. Common words ("the") are only
    searched for if nothing else is found. Quoted phrases match adjacent words only; a text of 12
    words or more matches as a passage, or the parts of it that are on the picture.

    Args:
        boxes: Word boxes of one picture, in reading order.
        words: A user's query, or a passage of the page's text.

    Returns:
        Some of `boxes`, in their order.
    """
    page, words = _Page(boxes), words[:_MOST_CHARACTERS]
    quotes = list(dict.fromkeys("".join(found) for found in _QUOTED.findall(words)))[:_MOST_QUOTES]
    found = {at for quote in quotes for at in page.exactly(plain_words(quote))}
    if found:
        words = _QUOTED.sub(" ", words)
    tokens = plain_words(words)[:_MOST_PASSAGE_WORDS]
    if len(tokens) >= _PASSAGE_WORDS and (place := page.passage(tokens)):
        return page.boxes_of(found | place)
    return page.boxes_of(found | page.any_of(tokens, and_common=not found))


class _Page:
    """The plain words of a picture, each with its box."""

    def __init__(self, boxes: Sequence[WordBox]) -> None:
        self._boxes = boxes
        self._words: list[str] = []
        self._box_of: list[int] = []
        # Start of each word in the letters, which have no separators: a word may be broken at the
        # end of a line.
        self._starts = [0]
        for word, at in _plain(boxes):
            self._words.append(word)
            self._box_of.append(at)
            self._starts.append(self._starts[-1] + len(word))
        self._letters = "".join(self._words)
        self._looks = _MOST_LOOKS

    def boxes_of(self, words: Iterable[int]) -> list[WordBox]:
        return [self._boxes[at] for at in sorted({self._box_of[word] for word in words})]

    def any_of(self, tokens: Sequence[str], *, and_common: bool) -> set[int]:
        """Words that match a token; adjacent ideographs must match together."""
        found = self._alike([token for token in tokens if not is_common(token)])
        if found or not and_common:
            return found
        asked = {token for token in tokens if is_common(token)}
        return {at for at, word in enumerate(self._words) if word in asked}

    def exactly(self, tokens: Sequence[str]) -> set[int]:
        """All occurrences of the tokens as adjacent words."""
        found: set[int] = set()
        place = self._place(tokens, 0)
        while place is not None:
            found.update(range(*place))
            place = self._place(tokens, place[0] + 1)
        return found

    def passage(self, tokens: Sequence[str]) -> set[int]:
        """Occurrence of a passage, or of parts of it; empty if less than half of it is found."""
        found: set[int] = set()
        known = at = after = 0
        while at < len(tokens):
            length = self._longest(tokens[at:])
            piece = tokens[at : at + length]
            place = (self._place(piece, after) or self._place(piece, 0)) if length > 1 else None
            if place is not None:
                found.update(range(*place))
                after = place[1]
                known += length
            at += length
        return found if known >= len(tokens) / 2 else set()

    def _alike(self, tokens: Sequence[str]) -> set[int]:
        pairs = {(a, b) for a, b in pairwise(tokens) if is_ideograph(a) and is_ideograph(b)}
        paired = {letter for pair in pairs for letter in pair}
        wanted = {stem(token) for token in tokens if token not in paired}
        found = {
            at
            for at, word in enumerate(self._words)
            if stem(word) in wanted and not is_common(word)
        }
        if pairs:
            neighbours = enumerate(pairwise(self._words))
            found |= {at + step for at, both in neighbours if both in pairs for step in (0, 1)}
        return found

    def _place(self, tokens: Sequence[str], first: int) -> tuple[int, int] | None:
        """The first span of words, from `first` on, with exactly the letters of the tokens."""
        letters = "".join(tokens)
        start = first
        while letters and start < len(self._words) and self._looks:
            self._looks -= 1
            at = self._letters.find(letters, self._starts[start])
            if at < 0:
                return None
            start = bisect_left(self._starts, at)
            end = bisect_left(self._starts, at + len(letters))
            if self._starts[start] == at and self._starts[end] == at + len(letters):
                return start, end
            start += self._starts[start] == at
        return None

    def _longest(self, tokens: Sequence[str]) -> int:
        """Number of leading tokens that occur as adjacent words; 1 if they are too few."""
        lengths = range(_FEWEST_IN_A_ROW, len(tokens) + 1)
        if not lengths or self._place(tokens[:_FEWEST_IN_A_ROW], 0) is None:
            return 1
        fit = bisect_left(lengths, True, key=lambda n: self._place(tokens[:n], 0) is None)
        return lengths[max(fit, 1) - 1]


def _plain(boxes: Sequence[WordBox]) -> Iterator[tuple[str, int]]:
    """The plain words of a picture with the index of their box, up to a limit."""
    letters = 0
    for at, box in enumerate(boxes):
        for word in plain_words(box.text):
            letters += len(word)
            if letters > _MOST_PAGE_LETTERS:
                return
            yield word, at


def _word(row: Any) -> WordBox:
    text, *edges = row
    x0, y0, x1, y1 = (float(edge) for edge in edges)
    if not isinstance(text, str) or not all(map(math.isfinite, (x0, y0, x1, y1))):
        raise ValueError(f"{str(row)[:80]} is no word with its box")
    left, right = sorted((_on_picture(x0), _on_picture(x1)))
    top, bottom = sorted((_on_picture(y0), _on_picture(y1)))
    return WordBox(text, (left, top, right, bottom))


def _on_picture(share: float) -> float:
    return min(1.0, max(0.0, share))
