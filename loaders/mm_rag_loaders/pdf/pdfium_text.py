"""The text layer of a page, as pdfium gives it: letters in the order in which they are drawn."""

from __future__ import annotations

import ctypes
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeAlias

from mm_rag.boxes import Box
from mm_rag_loaders.pdf.raw import Direction, Line, Word, around

Corner: TypeAlias = tuple[float, float]
"""Left and top of the visible part of a page, in PDF's coordinates: points, y up."""

_HYPHEN = "\x02"  # at the end of a line, which then has no line end
_WIDEST_SPACE = 0.8  # of the font size; what is wider separates columns
_LEAST_BESIDE = 0.4  # of the lower one's height
_BOLD_FLAG = 1 << 18
_BOLD_WEIGHT = 600
_BOLD_NAME = re.compile(r"bold|black|heavy|demi", re.IGNORECASE)
_FONT_NAME_BYTES = 128

_FIRST_RIGHT_TO_LEFT = "\u0590"
_LEFT_TO_RIGHT = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z.,:/-]*[0-9A-Za-z])?")


@dataclass(frozen=True, slots=True)
class _Run:
    """A word as it is drawn, with its font and whether it is the last of its line."""

    word: Word
    size: float
    bold: bool
    direction: Direction
    ends_line: bool


def text_lines(pdfium: Any, text: Any, corner: Corner) -> tuple[Line, ...]:
    """The lines of a page.

    Args:
        pdfium: `pypdfium2.raw`.
        text: A text page of it.
        corner: Of the visible part of the page.
    """
    lines: list[list[_Run]] = []
    is_new = True
    for run in _Letters(pdfium, text, corner).runs():
        if is_new or not _goes_on(lines[-1], run):
            lines.append([])
        lines[-1].append(run)
        is_new = run.ends_line
    return tuple(map(_line, lines))


class _Letters:
    """Access to the letters of a text page by their number."""

    def __init__(self, pdfium: Any, text: Any, corner: Corner) -> None:
        self._pdfium = pdfium
        self._text = text.raw
        self._corner = corner
        self._rect = pdfium.FS_RECTF()
        self._matrix = pdfium.FS_MATRIX()
        self._name = ctypes.create_string_buffer(_FONT_NAME_BYTES)
        self._flags = ctypes.c_int()

    def runs(self) -> Iterator[_Run]:
        """Words, in the order in which they are drawn."""
        start, letters = 0, ""
        get = self._pdfium.FPDFText_GetUnicode
        for at in range(max(0, self._pdfium.FPDFText_CountChars(self._text))):
            letter = chr(get(self._text, at))
            if letter > " ":
                start = start if letters else at
                letters += letter
            elif letters:
                is_hyphen = letter == _HYPHEN
                yield self._run(letters + "-" * is_hyphen, start, at, letter in "\r\n\x02")
                letters = ""
        if letters:
            yield self._run(letters, start, start + len(letters), True)

    def _run(self, letters: str, start: int, end: int, ends_line: bool) -> _Run:
        first, last = self._box(start), self._box(end - 1)
        if _is_right_to_left(letters) and first[0] < last[0]:
            letters = _backwards(letters)
        self._pdfium.FPDFText_GetMatrix(self._text, start, self._matrix)
        scale = math.hypot(self._matrix.c, self._matrix.d)
        angle = self._pdfium.FPDFText_GetCharAngle(self._text, start)
        return _Run(
            word=Word(letters, around([first, last])),
            size=self._pdfium.FPDFText_GetFontSize(self._text, start) * scale,
            bold=self._is_bold(start),
            direction=(round(math.cos(angle)), round(math.sin(angle))),
            ends_line=ends_line,
        )

    def _box(self, at: int) -> Box:
        # The box that the font gives to the letter: that of a dot is as high as that of an "l".
        self._pdfium.FPDFText_GetLooseCharBox(self._text, at, self._rect)
        rect, (left, top) = self._rect, self._corner
        return (rect.left - left, top - rect.top, rect.right - left, top - rect.bottom)

    def _is_bold(self, at: int) -> bool:
        if self._pdfium.FPDFText_GetFontWeight(self._text, at) >= _BOLD_WEIGHT:
            return True
        self._pdfium.FPDFText_GetFontInfo(self._text, at, self._name, _FONT_NAME_BYTES, self._flags)
        name = self._name.value.decode("utf-8", "replace")
        return bool(self._flags.value & _BOLD_FLAG or _BOLD_NAME.search(name))


def _goes_on(line: list[_Run], run: _Run) -> bool:
    """Whether a word stands beside the last one of a line, with no more than a space between."""
    last = line[-1]
    if last.direction != run.direction:
        return False
    along = 0 if abs(run.direction[0]) >= abs(run.direction[1]) else 1
    across = 1 - along
    a, b = last.word.box, run.word.box
    gap = max(a[along], b[along]) - min(a[along + 2], b[along + 2])
    shared = min(a[across + 2], b[across + 2]) - max(a[across], b[across])
    lower = min(a[across + 2] - a[across], b[across + 2] - b[across])
    return gap <= _WIDEST_SPACE * max(last.size, run.size) and shared > _LEAST_BESIDE * lower


def _line(runs: list[_Run]) -> Line:
    letters: Counter[tuple[float, bool]] = Counter()
    for run in runs:
        letters[round(run.size, 2), run.bold] += len(run.word.text)
    (size, bold), _ = letters.most_common(1)[0]
    words = _in_logical_order([run.word for run in runs])
    return Line(tuple(words), size, bold, runs[0].direction)


def _in_logical_order(words: list[Word]) -> list[Word]:
    """Words of a line as they are read; only what is written from right to left is moved."""
    count = sum(_is_right_to_left(word.text) for word in words)
    if not count:
        return words
    mostly = 2 * count >= sum(any(map(str.isalpha, word.text)) for word in words)
    ordered = sorted(words, key=lambda word: word.box[0], reverse=mostly)
    found: list[Word] = []
    for is_foreign, group in groupby(ordered, key=lambda word: _is_foreign(word.text, mostly)):
        side_by_side = list(group)
        found += side_by_side[::-1] if is_foreign else side_by_side
    return found


def _is_foreign(text: str, mostly_right_to_left: bool) -> bool:
    is_right_to_left = _is_right_to_left(text)
    if mostly_right_to_left:
        return not is_right_to_left and any(map(str.isalpha, text))
    return is_right_to_left


def _is_right_to_left(text: str) -> bool:
    if max(text) < _FIRST_RIGHT_TO_LEFT:
        return False
    return any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text)


def _backwards(letters: str) -> str:
    """Letters as they stand side by side, in the order in which they are read."""
    return _LEFT_TO_RIGHT.sub(lambda match: match[0][::-1], letters[::-1])
