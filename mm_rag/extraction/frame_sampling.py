"""Sampled frames of a video: how much changed, how much detail they show, and the text on them."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from mm_rag.errors import MissingExtra
from mm_rag.extraction.layout import TextLine, rows
from mm_rag.extraction.ocr import may_show_text, read_image
from mm_rag.media.decoding.base import SAME_TIME
from mm_rag.media.video import VideoFile

Glance: TypeAlias = npt.NDArray[np.int16]
"""A small copy of a picture, shape (height, width, 3)."""

_SIDE = 160  # pixels
_CHANGED_PIXEL = 24  # of 255
_CHANGED_SHARE = 0.01  # of the picture: one short line of text that appears

LOOK_EVERY = 0.5  # seconds
_READ_EVERY = 4  # looks from one frame that is read to the next: what stays for 2 s is read
_SIZE = (64, 36)
_FLAT = 6.0  # standard deviation, of 255, of a frame on which nothing is to be seen
_MOST_BETWEEN = 32  # frames between two looks that are decoded for the exact time of a cut

_Small: TypeAlias = npt.NDArray[np.float32]
"""A tiny copy of a frame, shape (36, 64, 3), from 0 to 255."""

Lines: TypeAlias = tuple[str, ...]

_LONGEST_SIDE = 1280  # pixels that OCR looks at; subtitles and slides stay legible
_LEAST_CONFIDENCE = 0.75
_LEAST_HEIGHT = 0.015  # of the picture's height: smaller lines are texture
_SAME_LINE = 0.85  # likeness of two readings of one line
_MOST_NUMBERS = 2  # readings kept of a line in which only the digits change: counters, clocks


def glance(picture: Image.Image) -> Glance:
    """What is remembered of an RGB picture to compare others with it."""
    rough = shrunk(picture)
    scale = _SIDE / max(rough.size)
    size = (max(1, round(rough.width * scale)), max(1, round(rough.height * scale)))
    return np.asarray(rough.resize(size, Image.Resampling.BOX), np.int16)


def shrunk(picture: Image.Image) -> Image.Image:
    """A copy of at least twice the size of a glance, made fast; small pictures stay as they are."""
    factor = max(picture.size) // (2 * _SIDE)
    return picture.reduce(factor) if factor > 1 else picture


def differs(one: Glance, other: Glance) -> bool:
    """Whether two pictures show different things."""
    if one.shape != other.shape:
        return True
    changed = np.abs(one - other).max(axis=2) > _CHANGED_PIXEL
    return float(changed.mean()) > _CHANGED_SHARE


@dataclass(frozen=True, kw_only=True)
class Look:
    """What is remembered of a frame.

    Attributes:
        time: In seconds.
        before: When the look before was taken; of the first one the same as `time`.
        change: From the look before, 0.0 to 1.0.
        detail: How much there is to see on it, 0.0 for a black, white or blurred frame.
        lines: The text on it; empty where it was shown too shortly to be read.
    """

    time: float
    before: float
    change: float
    detail: float
    lines: Lines = ()


def watch(
    video: VideoFile,
    times: Sequence[float],
    on_missing: Callable[[MissingExtra], None] | None,
) -> Iterator[Look]:
    """Look at a video at ascending times, in seconds, holding one frame at a time.

    Args:
        video: The video; nobody else reads frames of it meanwhile, or decoding starts anew.
        times: Evenly spread.
        on_missing: Told once where the OCR engine is not installed; then nothing is read, and not
            even tried where this is None.
    """
    step = times[1] - times[0] if len(times) > 1 else LOOK_EVERY
    screen = Screen(_READ_EVERY * step) if on_missing else None
    last: tuple[float, _Small] | None = None
    for time, frame in zip(times, video.frames_at(times), strict=False):
        rough = shrunk(frame)
        small = _small(rough)
        before, change = (time, 0.0) if last is None else (last[0], _distance(last[1], small))
        lines: Lines = ()
        try:
            lines = screen.lines(frame, glance(rough), time) if screen else ()
        except MissingExtra as error:
            if on_missing:
                on_missing(error)
            screen = None
        yield Look(time=time, before=before, change=change, detail=_detail(small), lines=lines)
        last = (time, small)


def change_between(video: VideoFile, start: float, end: float) -> float:
    """When the first frame is shown that is more like what is seen at `end` than at `start`.

    All frames between the two are looked at; of more than 32 a few first, and then those around
    the change.

    Args:
        video: The video; nobody else reads frames of it meanwhile, or decoding starts anew.
        start: In seconds.
        end: In seconds.
    """
    table, zero = video.frame_table.times, video.probe.start
    old, new = (bisect_right(table, zero + time + SAME_TIME) - 1 for time in (start, end))
    ends = _seen(video, [start, end])
    while new - old > 1:
        numbers = range(old + 1, new, math.ceil((new - old) / _MOST_BETWEEN))
        between = _seen(video, [table[number] - zero for number in numbers])
        if len(ends) < 2 or not between:
            return end  # damaged: nothing is known about the frames between
        at = _split(between, *ends)
        old, new = ([old, *numbers[: len(between)], new][at + step] for step in (0, 1))
    # Rounded by less than what makes another frame of it.
    return round(table[new] - zero, 6) if old < new else end


def _seen(video: VideoFile, times: Sequence[float]) -> list[_Small]:
    return [_small(shrunk(frame)) for frame in video.frames_at(times)]


def _split(frames: Sequence[_Small], old: _Small, new: _Small) -> int:
    """How many of the frames are like the old one, the others like the new one: the best fit.

    One frame that is like neither, such as a flash, moves nothing.
    """
    as_old, as_new = ([_distance(frame, end) for frame in frames] for end in (old, new))
    costs = [sum(as_old[:at]) + sum(as_new[at:]) for at in range(len(frames) + 1)]
    return costs.index(min(costs))


def _small(rough: Image.Image) -> _Small:
    return np.asarray(rough.resize(_SIZE, Image.Resampling.BOX), np.float32)


def _distance(one: _Small, other: _Small) -> float:
    """Mean difference, from 0.0 to 1.0."""
    return float(np.abs(one - other).mean()) / 255


def _detail(small: _Small) -> float:
    grey = small.mean(axis=2)
    if float(grey.std()) < _FLAT:
        return 0.0
    return float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean())


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
