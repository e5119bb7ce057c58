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

SAMPLE_EVERY = 0.5  # seconds
_OCR_EVERY = 4  # samples between two OCR runs: text that stays for 2 s is read
_MOST_BETWEEN = 32  # frames between two samples that are decoded to find the exact time of a cut

_SIZE = (64, 36)  # pixels of the tiny copy by which change and detail are measured
_FLAT = 6.0  # standard deviation, of 255, of a frame that shows nothing
_THUMBNAIL_SIDE = 160  # pixels of the small copy by which frames are compared for new text
_CHANGED_PIXEL = 24  # of 255
_CHANGED_SHARE = 0.01  # of the picture: one short line of text that appears

_OCR_SIDE = 1280  # pixels; subtitles and slides stay legible
_LEAST_CONFIDENCE = 0.75
_LEAST_HEIGHT = 0.015  # of the picture's height: smaller lines are texture
_SAME_LINE = 0.85  # similarity of two readings of one line
_MOST_NUMBERS = 2  # readings kept of a line in which only digits change: counters, clocks

Lines: TypeAlias = tuple[str, ...]
Thumbnail: TypeAlias = npt.NDArray[np.int16]
"""A small copy of a picture, shape (height, width, 3)."""

_Tiny: TypeAlias = npt.NDArray[np.float32]
"""A tiny copy of a frame, shape (36, 64, 3), from 0 to 255."""


@dataclass(frozen=True, kw_only=True)
class SampledFrame:
    """The measurements and text of one sampled frame.

    Attributes:
        time: In seconds.
        before: Time of the sample before; for the first one the same as `time`.
        change: Difference from the sample before, 0.0 to 1.0.
        detail: Amount of visible detail, 0.0 for a black, white or blurred frame.
        lines: The text on it; empty if it was shown too briefly to be read.
    """

    time: float
    before: float
    change: float
    detail: float
    lines: Lines = ()


def sample_frames(
    video: VideoFile,
    times: Sequence[float],
    on_missing: Callable[[MissingExtra], None] | None,
) -> Iterator[SampledFrame]:
    """Sample a video at ascending times, in seconds, holding one frame at a time.

    Args:
        video: The video. Reading other frames of it in between would restart decoding.
        times: Evenly spaced.
        on_missing: Called once if the OCR engine is not installed; then no text is read. None to
            read no text at all.
    """
    step = times[1] - times[0] if len(times) > 1 else SAMPLE_EVERY
    ocr = FrameOCR(_OCR_EVERY * step) if on_missing else None
    last: tuple[float, _Tiny] | None = None
    for time, frame in zip(times, video.frames_at(times), strict=False):
        rough = reduced(frame)
        tiny = _tiny(rough)
        before, change = (time, 0.0) if last is None else (last[0], _distance(last[1], tiny))
        lines: Lines = ()
        try:
            lines = ocr.lines(frame, thumbnail(rough), time) if ocr else ()
        except MissingExtra as error:
            if on_missing:
                on_missing(error)
            ocr = None
        yield SampledFrame(
            time=time, before=before, change=change, detail=_detail(tiny), lines=lines
        )
        last = (time, tiny)


def scene_change_between(video: VideoFile, start: float, end: float) -> float:
    """Time of the first frame that is more similar to the one at `end` than to that at `start`.

    All frames between the two are compared; if there are more than 32, first a few of them and then
    those around the change.

    Args:
        video: The video. Reading other frames of it in between would restart decoding.
        start: In seconds.
        end: In seconds.
    """
    table, zero = video.frame_table.times, video.probe.start
    old, new = (bisect_right(table, zero + time + SAME_TIME) - 1 for time in (start, end))
    ends = _tiny_frames(video, [start, end])
    while new - old > 1:
        numbers = range(old + 1, new, math.ceil((new - old) / _MOST_BETWEEN))
        between = _tiny_frames(video, [table[number] - zero for number in numbers])
        if len(ends) < 2 or not between:
            return end  # damaged: nothing is known about the frames between
        at = _split(between, *ends)
        old, new = ([old, *numbers[: len(between)], new][at + step] for step in (0, 1))
    # Rounded by less than the distance of two frames.
    return round(table[new] - zero, 6) if old < new else end


def _tiny_frames(video: VideoFile, times: Sequence[float]) -> list[_Tiny]:
    return [_tiny(reduced(frame)) for frame in video.frames_at(times)]


def _split(frames: Sequence[_Tiny], old: _Tiny, new: _Tiny) -> int:
    """Number of frames before the change: the best fit of similar to old, then similar to new.

    A single frame that resembles neither, such as a flash, does not matter.
    """
    as_old, as_new = ([_distance(frame, end) for frame in frames] for end in (old, new))
    costs = [sum(as_old[:at]) + sum(as_new[at:]) for at in range(len(frames) + 1)]
    return costs.index(min(costs))


def _tiny(rough: Image.Image) -> _Tiny:
    return np.asarray(rough.resize(_SIZE, Image.Resampling.BOX), np.float32)


def _distance(one: _Tiny, other: _Tiny) -> float:
    """Mean difference, from 0.0 to 1.0."""
    return float(np.abs(one - other).mean()) / 255


def _detail(tiny: _Tiny) -> float:
    grey = tiny.mean(axis=2)
    if float(grey.std()) < _FLAT:
        return 0.0
    return float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean())


def thumbnail(picture: Image.Image) -> Thumbnail:
    """A small copy of an RGB picture, to compare it with others by `differs`."""
    rough = reduced(picture)
    scale = _THUMBNAIL_SIDE / max(rough.size)
    size = (max(1, round(rough.width * scale)), max(1, round(rough.height * scale)))
    return np.asarray(rough.resize(size, Image.Resampling.BOX), np.int16)


def reduced(picture: Image.Image) -> Image.Image:
    """A copy made fast, of at least twice the size of a thumbnail; small pictures as they are."""
    factor = max(picture.size) // (2 * _THUMBNAIL_SIDE)
    return picture.reduce(factor) if factor > 1 else picture


def differs(one: Thumbnail, other: Thumbnail) -> bool:
    """Whether two pictures differ by at least as many pixels as a short line of text has."""
    if one.shape != other.shape:
        return True
    changed = np.abs(one - other).max(axis=2) > _CHANGED_PIXEL
    return float(changed.mean()) > _CHANGED_SHARE


class FrameOCR:
    """Reads the text on frames of a video, one after the other, where they show something new.

    Args:
        apart: Least number of seconds between two OCR runs.
    """

    def __init__(self, apart: float) -> None:
        self._apart = apart
        self._earliest = float("-inf")
        self._read: Thumbnail | None = None
        self._lines: Lines = ()

    def lines(self, frame: Image.Image, seen: Thumbnail, time: float) -> Lines:
        """The lines on a frame; none if it is new, but too soon after the last OCR run.

        Args:
            frame: The frame.
            seen: Its `thumbnail`.
            time: In seconds, later than that of the frame before.
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


def _bounded(frame: Image.Image) -> Image.Image:
    if max(frame.size) <= _OCR_SIDE:
        return frame
    bounded = frame.copy()
    bounded.thumbnail((_OCR_SIDE, _OCR_SIDE))
    return bounded


def _legible(lines: Iterable[TextLine], height: int) -> Lines:
    clear = [
        line
        for line in lines
        if line.confidence >= _LEAST_CONFIDENCE and line.height >= _LEAST_HEIGHT * height
    ]
    texts = (" ".join(line.text.strip() for line in row) for row in rows(clear))
    return tuple(text for text in texts if len(_letters(text)) >= 3)


def key_time(frames: Sequence[SampledFrame], start: float, end: float) -> float:
    """Time of the frame with the most detail, with a preference for the middle.

    Args:
        frames: Samples of a part of a video.
        start: Start of the part, in seconds.
        end: End of it.
    """
    middle, half = (start + end) / 2, max((end - start) / 2, 1e-3)
    if not frames:
        return middle
    return max(frames, key=lambda k: k.detail * (1 - 0.5 * abs(k.time - middle) / half)).time


def distinct_lines(readings: Iterable[Lines]) -> list[str]:
    """The lines of several frames without repetitions; of counters and clocks the first few."""
    found = _DistinctLines()
    for lines in dict.fromkeys(readings):
        found.add(lines)
    return found.lines


class _DistinctLines:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self._shapes: Counter[str] = Counter()

    def add(self, lines: Lines) -> None:
        # Rows of a table also differ only in digits, but stand on one frame.
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


def _letters(line: str) -> str:
    return "".join(c for c in line.casefold() if c.isalnum())


def _shape(line: str) -> str:
    """The letters of a line with every number replaced by 0."""
    return re.sub(r"\d+", "0", _letters(line))


def _same(line: str, old: str) -> bool:
    a, b = _letters(line), _letters(old)
    if re.findall(r"\d+", line) != re.findall(r"\d+", old):
        return False
    return a == b or SequenceMatcher(None, a, b).ratio() > _SAME_LINE
