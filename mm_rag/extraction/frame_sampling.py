"""One look through a video: where it changes, how much there is to see, and what is written."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from mm_rag.errors import MissingExtra
from mm_rag.extraction.frame_diff import glance, shrunk
from mm_rag.extraction.video_ocr import Lines, Screen
from mm_rag.media.decoding.base import SAME_TIME
from mm_rag.media.video import VideoFile

LOOK_EVERY = 0.5  # seconds
_READ_EVERY = 4  # looks from one frame that is read to the next: what stays for 2 s is read
_SIZE = (64, 36)
_FLAT = 6.0  # standard deviation, of 255, of a frame on which nothing is to be seen
_MOST_BETWEEN = 32  # frames between two looks that are decoded for the exact time of a cut

_Small: TypeAlias = npt.NDArray[np.float32]
"""A tiny copy of a frame, shape (36, 64, 3), from 0 to 255."""


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
