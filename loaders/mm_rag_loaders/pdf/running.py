"""Running headers, footers and page numbers: lines that stand in the same place of most pages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from mm_rag.boxes import Box
from mm_rag_loaders.pdf.page import Line

_ZONE = 0.15  # of the page's height, at its top and bottom
_MOST_ROWS = 4  # of a zone
_NEAR = 4  # pages before and after, so that left and right pages have two of their own kind
_SAME_PLACE = 0.008  # of the page's height
_FEWEST = 2  # other pages that have the line
_MOST = 0.6  # of the pages near, or of those on the same side of a sheet
# Times the distance of the rows below: that of a header which may be the head of a table or not.
_APART, _LITTLE_APART = 1.3, 1.1
_COLUMN_GAP = 2.0  # between columns, as a share of the width: times the height's share
_FAR = 3.5  # times its height: the same where rows are far from each other, too
_LARGEST_OFFSET = 30  # of a number from the page's own, beside other words: a code is larger
_LARGEST_NUMBER = 5000
_EDGES = "|.,:;()[]<>-\u2013\u2014\u00b7\u2022/ "
_ROMAN = re.compile(r"(?=[ivxlc])(?:xc|xl|l?x{0,3})(?:ix|iv|v?i{0,3})")
_ROMAN_VALUES = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


class MarginRow(NamedTuple):
    """A row of words near the upper or lower edge of a page.

    Attributes:
        text: The words from the left.
        top: Upper edge, as a share of the page's height.
        bottom: Lower edge.
        is_apart: Whether there is space between it and the rows nearer to the page's middle.
    """

    text: str
    top: float
    bottom: float
    is_apart: bool = True

    @property
    def is_above(self) -> bool:
        """Whether it is in the upper half."""
        return self.top < 0.5


def margin_rows(words: Iterable[tuple[str, Box]]) -> list[MarginRow]:
    """The outermost rows of a page, from its edges inwards.

    Args:
        words: Words with boxes in shares of the page's size, y down.
    """
    rows: list[list[tuple[str, Box]]] = []
    for word in sorted(words, key=lambda word: word[1][1] + word[1][3]):
        middle = (word[1][1] + word[1][3]) / 2
        if rows and middle < rows[-1][0][1][3] - 0.25 * (rows[-1][0][1][3] - rows[-1][0][1][1]):
            rows[-1].append(word)
        else:
            rows.append([word])
    edges = [(min(box[1] for _, box in row), max(box[3] for _, box in row)) for row in rows]
    found: list[MarginRow] = []
    for at, (row, (top, bottom)) in enumerate(zip(rows, edges, strict=True)):
        if _ZONE < (top + bottom) / 2 < 1 - _ZONE:
            continue
        inwards = edges[at : at + 5] if top < 0.5 else edges[max(0, at - 4) : at + 1][::-1]
        words = sorted(row, key=lambda word: word[1][0])
        gaps = [right[1][0] - left[1][2] for left, right in pairwise(words)]
        has_columns = sum(gap > _COLUMN_GAP * (bottom - top) for gap in gaps) > 1
        text = " ".join(text for text, _ in words)
        apart = _APART if has_columns else _LITTLE_APART
        found.append(MarginRow(text, top, bottom, _is_apart(inwards, apart)))
    upper = [row for row in found if row.is_above][:_MOST_ROWS]
    lower = [row for row in reversed(found) if not row.is_above][:_MOST_ROWS]
    return upper + lower


def _is_apart(rows: Sequence[tuple[float, float]], apart: float) -> bool:
    """Whether the first of some rows is farther from the second than those are from each other."""
    middles = [(top + bottom) / 2 for top, bottom in rows]
    steps = [abs(below - above) for above, below in pairwise(middles)]
    if len(steps) < 2:
        return True
    height = rows[0][1] - rows[0][0]
    return steps[0] > apart * median(steps[1:]) or steps[0] > _FAR * height


class RunningLines:
    """Finds the lines of a document that are repeated on most pages near, and keeps the first.

    Args:
        page_count: Number of pages. One or two pages have no running lines.
    """

    def __init__(self, page_count: int) -> None:
        self._page_count = page_count
        self._pages: dict[int, list[MarginRow]] = {}
        self._first: dict[str, int] = {}  # page of each running line

    def missing(self, number: int) -> list[int]:
        """The pages whose margins have to be added before `repeated` is called."""
        if self._page_count <= _FEWEST:
            return []
        first, last = max(1, number - _NEAR), min(self._page_count, number + _NEAR)
        for page in [page for page in self._pages if not first <= page <= last]:
            del self._pages[page]
        return [page for page in range(first, last + 1) if page not in self._pages]

    def add(self, number: int, rows: Sequence[MarginRow]) -> None:
        """Add the margins of a page."""
        self._pages[number] = list(rows)

    def repeated(self, number: int) -> list[MarginRow]:
        """The running lines of a page that an earlier page had, too."""
        found: list[MarginRow] = []
        for row in self._running(number):
            if self._first.setdefault(_without_numbers(row.text), number) != number:
                found.append(row)
        return found

    def _running(self, number: int) -> list[MarginRow]:
        """Running lines from the page's edges up to the text."""
        found: list[MarginRow] = []
        rows = self._pages.get(number, [])
        for side in (True, False):
            block: list[MarginRow] = []
            for row in (row for row in rows if row.is_above == side):
                if not self._is_repeated(row, number):
                    break
                block.append(row)
            # What touches the text is the head of a table.
            while block and not block[-1].is_apart:
                block.pop()
            found += block
        return found

    def _is_repeated(self, row: MarginRow, number: int) -> bool:
        others = [page for page in self._pages if page != number]
        having = {
            page
            for page in others
            if any(_is_same(row, number, other, page) for other in self._pages[page])
        }
        alike = [page for page in others if (page - number) % 2 == 0]
        return len(having) >= _FEWEST and (
            len(having) >= _MOST * len(others)
            or len(having.intersection(alike)) >= max(_FEWEST, _MOST * len(alike))
        )


def is_on(line: Line, row: MarginRow, height: float) -> bool:
    """Whether a line of a page of some height is on a row."""
    middle = (line.box[1] + line.box[3]) / 2 / height
    return row.top <= middle <= row.bottom


def _is_same(one: MarginRow, page: int, other: MarginRow, other_page: int) -> bool:
    """Whether rows of two pages are the same, but for the number of the page."""
    if abs(one.top - other.top) > _SAME_PLACE and abs(one.bottom - other.bottom) > _SAME_PLACE:
        return False
    if one.text == other.text:
        return True
    words, other_words = one.text.split(), other.text.split()
    if len(words) != len(other_words):
        return False
    # The number may be on the other side.
    return _match(words, other_words, page, other_page) or (
        len(words) > 1
        and (
            _match(words, [other_words[-1], *other_words[:-1]], page, other_page)
            or _match(words, [*other_words[1:], other_words[0]], page, other_page)
        )
    )


def _match(words: Sequence[str], others: Sequence[str], page: int, other_page: int) -> bool:
    is_alone = len(words) == 1
    for word, other in zip(words, others, strict=True):
        if word == other:
            continue
        number, other_number = _number(word), _number(other)
        if number is None or other_number is None:
            return False
        if other_number - number != other_page - page or number > _LARGEST_NUMBER:
            return False
        if not is_alone and abs(number - page) > _LARGEST_OFFSET:
            return False
    return True


def _number(word: str) -> int | None:
    """The value of a page number, which may be Roman; None for other words."""
    word = word.strip(_EDGES).lower()
    if word.isascii() and word.isdigit() and len(word) <= 5:
        return int(word)
    if word and _ROMAN.fullmatch(word):
        values = [_ROMAN_VALUES[letter] for letter in word]
        return sum(
            -value if value < following else value
            for value, following in zip(values, [*values[1:], 0], strict=True)
        )
    return None


def _without_numbers(text: str) -> str:
    words = (word for word in text.split() if _number(word) is None)
    return " ".join(words).casefold()
