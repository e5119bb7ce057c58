"""The text layer of a page read with pdfium, which gives letters in the order of drawing."""

from __future__ import annotations

import ctypes
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from mm_rag.boxes import Box
from mm_rag_loaders.pdf.page import Direction, Line, PDFWord, around, in_logical_order
from mm_rag_loaders.pdf.pdfium_layers import LayersOfText

Corner: TypeAlias = tuple[float, float]
"""Left and top of the visible part of a page, in PDF coordinates: points, y up."""
_Point: TypeAlias = tuple[float, float]

_HYPHEN = "\x02"  # pdfium's hyphen at the end of a line, which then has no line end
_NO_SPACE = 0.15  # of the font size, like the next three
_MOST_OVERLAP = 1.0
_MOST_SHIFT = 0.6
_WIDEST_SPACE = 0.8  # wider gaps separate columns
_LEAST_OF_INK, _MOST_OF_INK = 0.65, 1.05  # plausible advance of a letter, as a share of its ink
_LEAST_OF_F = 0.45  # the same for "f", which is wide in italics
_LEAST_BESIDE = 0.4  # shared height of words in a line, of the lower one's height
_BOLD_FLAG = 1 << 18
_BOLD_WEIGHT = 600
_BOLD_NAME = re.compile(r"bold|black|heavy|demi", re.IGNORECASE)
_FONT_NAME_BYTES = 128

_FIRST_RIGHT_TO_LEFT = "\u0590"
_LEFT_TO_RIGHT = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z.,:/-]*[0-9A-Za-z])?")


@dataclass(slots=True)
class _Run:
    """A word in drawing order.

    Attributes:
        size: Font size, in points.
        bold: Whether the font is bold.
        way: Unit vector of the writing direction, y down.
        letters: Its text.
        boxes: Boxes of the letters, in points.
        start: Origin of the last letter.
        end: Origin that the next letter would have.
        is_sure: Whether `end` is exact, and not estimated from the ink of the last letter.
    """

    size: float
    bold: bool
    way: _Point
    letters: str = ""
    boxes: list[Box] = field(default_factory=list[Box])
    start: _Point | None = None
    end: _Point = (0.0, 0.0)
    is_sure: bool = False

    @property
    def direction(self) -> Direction:
        return round(self.way[0]), round(self.way[1])

    @property
    def word(self) -> PDFWord:
        first, last = self.boxes[0], self.boxes[-1]
        is_backwards = _is_right_to_left(self.letters) and first[0] < last[0]
        letters = _backwards(self.letters) if is_backwards else self.letters
        return PDFWord(letters, around(self.boxes))

    def reaches(self, start: _Point, most: float) -> bool:
        """Whether a letter starting there is on the line, at most `most` font sizes away."""
        dx, dy = start[0] - self.end[0], start[1] - self.end[1]
        (x, y), size = self.way, self.size
        gap, shift = dx * x + dy * y, abs(dx * y - dy * x)
        return -_MOST_OVERLAP * size <= gap <= most * size and shift <= _MOST_SHIFT * size

    def touches(self, box: Box) -> bool:
        """Whether a letter is directly before or after the word, in a horizontal line."""
        left, _, right, _ = around(self.boxes)
        return max(left - box[2], box[0] - right) <= _NO_SPACE * self.size


def text_lines(
    pdfium: Any, text: Any, corner: Corner, hidden_layers: Collection[str] = ()
) -> tuple[Line, ...]:
    """The lines of a page.

    Args:
        pdfium: `pypdfium2.raw`.
        text: A text page of it.
        corner: Corner of the visible part of the page.
        hidden_layers: Names of layers whose words are left out.
    """
    lines: list[list[_Run]] = []
    for run in _Letters(pdfium, text, corner, hidden_layers).runs():
        if not lines or not _goes_on(lines[-1], run):
            lines.append([])
        lines[-1].append(run)
    return tuple(map(_line, lines))


class _Letters:
    """Access to the letters of a text page by their number."""

    def __init__(
        self, pdfium: Any, text: Any, corner: Corner, hidden_layers: Collection[str]
    ) -> None:
        self._pdfium = pdfium
        self._layers = LayersOfText(pdfium, text, hidden_layers) if hidden_layers else None
        self._text = text.raw
        self._corner = corner
        self._rect = pdfium.FS_RECTF()
        self._matrix = pdfium.FS_MATRIX()
        self._name = ctypes.create_string_buffer(_FONT_NAME_BYTES)
        self._flags = ctypes.c_int()
        self._xy = ctypes.c_double(), ctypes.c_double()
        self._item = 0
        self._font: Any = None
        self._width = 0.0
        self._advances: dict[tuple[int, str], float] = {}

    def runs(self) -> Iterator[_Run]:
        """Words in drawing order."""
        run: _Run | None = None
        get, is_generated = self._pdfium.FPDFText_GetUnicode, self._pdfium.FPDFText_IsGenerated
        for at in range(max(0, self._pdfium.FPDFText_CountChars(self._text))):
            if self._layers and self._layers.hide(at):
                continue
            letter = chr(get(self._text, at))
            # A font may give a no-break space for every space.
            if letter > " " and not letter.isspace():
                start = self._start(at)
                if run and not self._goes_on(run, letter, at, start):
                    yield run
                    run = None
                run = run or self._run(at)
                self._add(run, letter, at, start)
            # pdfium inserts a space before a footnote's number, and none between narrow columns.
            elif run and not (run.is_sure and is_generated(self._text, at)):
                run.letters += "-" * (letter == _HYPHEN)
                yield run
                run = None
        if run:
            yield run

    def _goes_on(self, run: _Run, letter: str, at: int, start: _Point) -> bool:
        """Whether a letter belongs to a word."""
        if not _is_right_to_left(letter):
            return run.reaches(start, _NO_SPACE)
        # It may be on either side of text written from left to right.
        return not run.is_sure or run.touches(self._box(at))

    def _run(self, at: int) -> _Run:
        """An empty word with the font and direction of a letter."""
        angle = self._pdfium.FPDFText_GetCharAngle(self._text, at)
        return _Run(
            size=self._pdfium.FPDFText_GetFontSize(self._text, at) * self._scale(at)[1],
            bold=self._is_bold(at),
            way=(math.cos(angle), math.sin(angle)),
        )

    def _add(self, run: _Run, letter: str, at: int, start: _Point) -> None:
        self._see_font(at)
        box = self._box(at)
        (x, y), (left, top, right, bottom) = run.way, box
        ink = abs((right - left) * x) + abs((bottom - top) * y)
        advance = self._advance(letter)
        if start == run.start:  # the letters of a ligature have the same place
            advance = ink
        # If two glyphs of a font map to the same letter, the width may be that of the other one: a
        # font may map its "fi" to "i".
        least = _LEAST_OF_F if letter == "f" else _LEAST_OF_INK
        fits = least * ink <= advance <= _MOST_OF_INK * ink
        run.is_sure = fits and not _is_right_to_left(letter)
        length = advance if run.is_sure else ink
        run.letters += letter
        run.boxes.append(box)
        run.start = start
        run.end = (start[0] + length * x, start[1] + length * y)

    def _see_font(self, at: int) -> None:
        item = self._pdfium.FPDFText_GetTextObject(self._text, at)
        address = ctypes.addressof(item.contents) if item else 0
        if address != self._item:
            self._item = address
            self._font = self._pdfium.FPDFTextObj_GetFont(item) if item else None
            size = self._pdfium.FPDFText_GetFontSize(self._text, at)
            self._width = size * self._scale(at)[0]

    def _scale(self, at: int) -> tuple[float, float]:
        matrix = self._matrix
        self._pdfium.FPDFText_GetMatrix(self._text, at, matrix)
        return math.hypot(matrix.a, matrix.b), math.hypot(matrix.c, matrix.d)

    def _advance(self, letter: str) -> float:
        """Advance width of a letter, in points; 0 if it is not known.

        It differs from the width of the ink: that of an "f" extends over the space after it.
        """
        if not self._font:
            return 0.0
        key = (ctypes.addressof(self._font.contents), letter)
        if key not in self._advances:
            width = ctypes.c_float()
            self._pdfium.FPDFFont_GetGlyphWidth(self._font, ord(letter), 1.0, width)
            self._advances[key] = width.value
        return self._advances[key] * self._width

    def _start(self, at: int) -> _Point:
        x, y = self._xy
        self._pdfium.FPDFText_GetCharOrigin(self._text, at, x, y)
        return x.value - self._corner[0], self._corner[1] - y.value

    def _box(self, at: int) -> Box:
        # The box defined by the font: that of a dot is as high as that of an "l".
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
    """Whether a word continues a line after at most a space."""
    last = line[-1]
    if last.direction != run.direction:
        return False
    along = 0 if abs(run.way[0]) > abs(run.way[1]) else 1
    across = 1 - along
    a, b = last.boxes[-1], run.boxes[0]
    gap = max(a[along], b[along]) - min(a[along + 2], b[along + 2])
    shared = min(a[across + 2], b[across + 2]) - max(a[across], b[across])
    lower = min(a[across + 2] - a[across], b[across + 2] - b[across])
    return gap <= _WIDEST_SPACE * max(last.size, run.size) and shared > _LEAST_BESIDE * lower


def _line(runs: list[_Run]) -> Line:
    letters: Counter[tuple[float, bool]] = Counter()
    for run in runs:
        letters[round(run.size, 2), run.bold] += len(run.letters)
    (size, bold), _ = letters.most_common(1)[0]
    words = [run.word for run in runs]
    # pdfium puts the words of such a line in an order of its own.
    if any(_is_right_to_left(word.text) for word in words):
        words = in_logical_order(words)
    return Line(tuple(words), size, bold, runs[0].direction)


def _is_right_to_left(text: str) -> bool:
    if max(text) < _FIRST_RIGHT_TO_LEFT:
        return False
    return any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text)


def _backwards(letters: str) -> str:
    """Reverse letters from visual to logical order, except numbers and Latin words."""
    return _LEFT_TO_RIGHT.sub(lambda match: match[0][::-1], letters[::-1])
