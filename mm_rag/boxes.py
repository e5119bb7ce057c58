"""Where the words are on a page or picture, and which of them a query or a passage means."""

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
_PASSAGE_WORDS = 12  # from here on the words stand for a place in the text, not for themselves
_MOST_PASSAGE_WORDS = 2000
_FEWEST_IN_A_ROW = 4
_QUOTED = re.compile(r"\"([^\"]+)\"|\u201c([^\u201d]+)\u201d|\u00ab([^\u00bb]+)\u00bb")

_QUOTE = json.JSONEncoder(ensure_ascii=False).encode


class WordBox(NamedTuple):
    """A word on a picture.

    Attributes:
        text: The word.
        box: Left, top, right, bottom, from 0 to 1: shares of the picture's width and height.
    """

    text: str
    box: Box


def boxes_to_json(words: Iterable[WordBox]) -> bytes:
    """`[["word", left, top, right, bottom], ...]`, as `read_boxes` reads it."""
    # Put together by hand: rounding and writing the numbers one by one takes three times as long.
    rows = [
        "[%s,%.4f,%.4f,%.4f,%.4f]" % (_QUOTE(word.text), *word.box)  # noqa: UP031 - the fastest
        for word in words
    ]
    return f"[{','.join(rows)}]".encode()


def read_boxes(path: str | Path) -> list[WordBox]:
    """The words of a file that a loader wrote, in reading order.

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
    """The boxes of the words of a query, or of a passage.

    Case, accents, punctuation and English endings make no difference. Common words ("the") are
    looked for only where nothing else is found. What is in quotation marks is found where it stands
    in one piece, and so is a text of 12 words or more: of that, the pieces that stand there.

    Args:
        boxes: Of one picture, in reading order.
        words: A query as a user writes it, or a passage of the page's text.

    Returns:
        Some of `boxes`, in their order.
    """
    page = _Page(boxes)
    quotes = ["".join(found) for found in _QUOTED.findall(words)]
    found = {at for quote in quotes for at in page.exactly(plain_words(quote))}
    if found:
        words = _QUOTED.sub(" ", words)
    tokens = plain_words(words)[:_MOST_PASSAGE_WORDS]
    if len(tokens) >= _PASSAGE_WORDS and (place := page.passage(tokens)):
        return page.boxes_of(found | place)
    return page.boxes_of(found | page.any_of(tokens, and_common=not found))


class _Page:
    """The plain words of a picture, each with the box that it is in."""

    def __init__(self, boxes: Sequence[WordBox]) -> None:
        self._boxes = boxes
        pairs = [(word, at) for at, box in enumerate(boxes) for word in plain_words(box.text)]
        self._words = [word for word, _ in pairs]
        self._box_of = [at for _, at in pairs]
        # Without what is between words: a word may be broken at the end of a line.
        self._letters = "".join(self._words)
        self._starts = [0]
        for word in self._words:
            self._starts.append(self._starts[-1] + len(word))

    def boxes_of(self, words: Iterable[int]) -> list[WordBox]:
        return [self._boxes[at] for at in sorted({self._box_of[word] for word in words})]

    def any_of(self, tokens: Sequence[str], *, and_common: bool) -> set[int]:
        """Words that are asked for; of neighbouring ideographs, where both stand together."""
        found = self._alike([token for token in tokens if not is_common(token)])
        if found or not and_common:
            return found
        return {at for at, word in enumerate(self._words) if is_common(word) and word in tokens}

    def exactly(self, tokens: Sequence[str]) -> set[int]:
        """Every place where the words stand in a row."""
        return {word for start, end in self._places(tokens) for word in range(start, end)}

    def passage(self, tokens: Sequence[str]) -> set[int]:
        """Where a passage stands, or the pieces of it; empty where less than half of it does."""
        found: set[int] = set()
        known = at = after = 0
        while at < len(tokens):
            length, places = self._longest(tokens[at:])
            if places:
                start, after = next((place for place in places if place[0] >= after), places[0])
                found.update(range(start, after))
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

    def _places(self, tokens: Sequence[str]) -> Iterator[tuple[int, int]]:
        letters, at = "".join(tokens), 0
        while letters and (at := self._letters.find(letters, at)) >= 0:
            start = bisect_left(self._starts, at)
            end = bisect_left(self._starts, at + len(letters))
            if self._starts[start] == at and self._starts[end] == at + len(letters):
                yield start, end
            at += 1

    def _longest(self, tokens: Sequence[str]) -> tuple[int, list[tuple[int, int]]]:
        """How many of the first tokens stand in a row, and where; (1, []) for too few."""
        lengths = range(_FEWEST_IN_A_ROW, len(tokens) + 1)
        fit = bisect_left(lengths, True, key=lambda n: not any(self._places(tokens[:n])))
        if not fit:
            return 1, []
        return lengths[fit - 1], list(self._places(tokens[: lengths[fit - 1]]))


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
