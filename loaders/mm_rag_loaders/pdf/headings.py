"""Which lines are headings and captions, judged by the fonts of the whole document."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from mm_rag_loaders.pdf.raw import Line

_USUAL_BODY = 12.0  # points, where a document has had too few letters to tell
_ENOUGH_LETTERS = 300
_LARGER = 1.15  # times the body: a heading
_LEAST_BOLD = 0.95  # times the body: what is smaller is the head of a table or of a box
_MOST_LETTERS = 120
_MOST_WORDS = 16
_FEWEST_LETTERS = 3
_MOST_SIZE = 1000.0  # points
_FAR = 2.5  # times the size: wider than the space after "Chapter 1"
_CAPTION = re.compile(
    r"(?:figure|fig\.?|table|tab\.?|tabelle|abbildung|abb\.?|tableau|exhibit|chart|scheme|plate"
    r"|listing|algorithm)\s*(?:[A-Z][.\-]?)?(?:\d+(?:[.\-\u2013]\d+)*|[IVX]+)[a-z]?\s*"
    r"(?P<sign>[.:|\u2013\u2014\-])?(?=\s|$)",
    re.IGNORECASE,
)

_BULLET = re.compile(r"[^\w\s\"'(\[\u2018-\u201f\u00ab\u00a7#$\u00bf\u00a1]\s")


class FontUse:
    """How many letters a document has had in each size so far."""

    def __init__(self) -> None:
        self._letters: Counter[float] = Counter()
        self._bold = 0
        self._heads: set[float] = set()
        self.body = _USUAL_BODY
        """Size of most of the text so far, in points."""

    def see(self, lines: Sequence[Line]) -> None:
        """Count the lines of a page; called once for each page, in order."""
        for line in lines:
            letters = len(line.text)
            self._letters[_rounded(line.size)] += letters
            self._bold += letters * line.bold
        if self._letters:
            size = max(self._letters, key=lambda size: (self._letters[size], -size))
            enough = self._letters.total() >= _ENOUGH_LETTERS
            self.body = size if enough else min(size, _USUAL_BODY)

    def heading_level(self, row: Sequence[Line]) -> int:
        """Of what stands side by side: 1 for the largest headings so far, 0 for no heading."""
        if not self.stands_out(row) or _has_columns(row):
            return 0
        if not _is_like_a_title(" ".join(line.text for line in row)):
            return 0
        size = _size(row)
        self._heads.add(size)
        return sum(other > size for other in self._heads) + 1

    def stands_out(self, row: Sequence[Line]) -> bool:
        """Whether a row is larger or bolder than the text is."""
        bold = all(line.bold for line in row) and not self._is_bold_throughout
        return _size(row) >= (_LEAST_BOLD if bold else _LARGER) * self.body

    @property
    def _is_bold_throughout(self) -> bool:
        return self._bold > 0.5 * self._letters.total()


def is_caption(row: Sequence[Line]) -> bool:
    """Whether a row begins as the caption of a figure or table does, in five languages or so."""
    text = " ".join(line.text for line in row)
    match = _CAPTION.match(text)
    if match is None:
        return False
    # "Table 2 shows that" is no caption, "Table 2" by itself or in bold is.
    return bool(match["sign"]) or match.end() == len(text) or row[0].bold


def _is_like_a_title(text: str) -> bool:
    if _BULLET.match(text):
        return False
    letters = sum(map(str.isalpha, text))
    if letters < _FEWEST_LETTERS or letters < 0.4 * len(text.replace(" ", "")):
        return False
    if len(text) > _MOST_LETTERS or len(text.split()) > _MOST_WORDS:
        return False
    return not text.endswith((",", ";", ".")) or text.count(" ") < 3


def _has_columns(row: Sequence[Line]) -> bool:
    """Whether words stand far apart, as the heads of columns do; a number may."""
    return any(
        sum(map(str.isalpha, left.text)) >= _FEWEST_LETTERS
        and max(left.box[0] - right.box[2], right.box[0] - left.box[2]) > _FAR * left.size
        for left, right in pairwise(row)
    )


def _size(row: Sequence[Line]) -> float:
    return min(_rounded(line.size) for line in row)


def _rounded(size: float) -> float:
    # A damaged page may have any number, infinity included.
    return round(min(_MOST_SIZE, max(0.0, size)) * 2) / 2
