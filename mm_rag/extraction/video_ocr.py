"""The text on the frames of a video, each line once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from difflib import SequenceMatcher
from typing import TypeAlias

from PIL import Image

from mm_rag.extraction.frame_diff import Glance, differs
from mm_rag.extraction.layout import TextLine, rows
from mm_rag.extraction.ocr import may_show_text, read_image

Lines: TypeAlias = tuple[str, ...]

_LONGEST_SIDE = 1280  # pixels that OCR looks at; subtitles and slides stay legible
_LEAST_CONFIDENCE = 0.75
_LEAST_HEIGHT = 0.015  # of the picture's height: smaller lines are texture
_SAME_LINE = 0.85  # likeness of two readings of one line
_MOST_NUMBERS = 2  # readings kept of a line in which only the digits change: counters, clocks


class Screen:
    """Reads the frames of a video, one after the other, where they show something new.

    Args:
        apart: Seconds from one reading to the next: what is shown for so long is read.
    """

    def __init__(self, apart: float) -> None:
        self._apart = apart
        self._earliest = float("-inf")
        self._read: Glance | None = None
        self._lines: Lines = ()

    def lines(self, frame: Image.Image, seen: Glance, time: float) -> Lines:
        """The lines on a frame; none where it is new, but follows the last reading too closely.

        Args:
            frame: As it is shown.
            seen: Its `glance`.
            time: In seconds; later than that of the frame before.
        """
        if self._read is not None and not differs(seen, self._read):
            return self._lines
        if time < self._earliest:
            return ()
        picture = _bounded(frame)
        found = read_image(picture).lines if may_show_text(picture) else ()
        self._lines = _legible(found, picture.height)
        self._read, self._earliest = seen, time + self._apart
        return self._lines


def distinct_lines(readings: Iterable[Lines]) -> list[str]:
    """The lines of several readings, each once; of counters and clocks only the first ones."""
    found = _Distinct()
    for lines in dict.fromkeys(readings):
        found.add(lines)
    return found.lines


class _Distinct:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self._shapes: Counter[str] = Counter()

    def add(self, lines: Lines) -> None:
        # A table is no counter: its rows stand on one frame.
        counting = {shape for shape in map(_shape, lines) if self._shapes[shape]}
        for line in lines:
            self._keep(line, limited=_shape(line) in counting)

    def _keep(self, line: str, *, limited: bool) -> None:
        shape = _shape(line)
        if limited and self._shapes[shape] >= _MOST_NUMBERS:
            return
        if any(_same(line, old) for old in self.lines):
            return
        self._shapes[shape] += 1
        self.lines.append(line)


def _legible(lines: Iterable[TextLine], height: int) -> Lines:
    clear = [
        line
        for line in lines
        if line.confidence >= _LEAST_CONFIDENCE and line.height >= _LEAST_HEIGHT * height
    ]
    texts = (" ".join(line.text.strip() for line in row) for row in rows(clear))
    return tuple(text for text in texts if len(_letters(text)) >= 3)


def _letters(line: str) -> str:
    return "".join(c for c in line.casefold() if c.isalnum())


def _shape(line: str) -> str:
    """What stays of a line in which only the digits change."""
    return re.sub(r"\d+", "0", _letters(line))


def _same(line: str, old: str) -> bool:
    a, b = _letters(line), _letters(old)
    if re.findall(r"\d+", line) != re.findall(r"\d+", old):
        return False
    return a == b or SequenceMatcher(None, a, b).ratio() > _SAME_LINE


def _bounded(frame: Image.Image) -> Image.Image:
    if max(frame.size) <= _LONGEST_SIDE:
        return frame
    bounded = frame.copy()
    bounded.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    return bounded
