"""One look through a video: where it changes, how much there is to see, and what is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from mm_rag.errors import MissingExtra
from mm_rag.media.video import VideoFile
from mm_rag.reading.changes import glance, shrunk
from mm_rag.reading.onscreen import Lines, Screen

LOOK_EVERY = 0.5  # seconds
_READ_EVERY = 4  # looks from one frame that is read to the next: what stays for 2 s is read
_SIZE = (64, 36)
_FLAT = 6.0  # standard deviation, of 255, of a frame on which nothing is to be seen


@dataclass(frozen=True, kw_only=True)
class Look:
    """What is remembered of a frame.

    Attributes:
        time: In seconds.
        change: From the look before, 0.0 to 1.0.
        detail: How much there is to see on it, 0.0 for a black, white or blurred frame.
        lines: The text on it; empty where it was shown too shortly to be read.
    """

    time: float
    change: float
    detail: float
    lines: Lines = ()


def watch(
    video: VideoFile,
    times: Sequence[float],
    on_missing: Callable[[MissingExtra], None],
) -> Iterator[Look]:
    """Look at a video at ascending times, in seconds, holding one frame at a time.

    Args:
        video: The video; nobody else reads frames of it meanwhile, or decoding starts anew.
        times: Evenly spread.
        on_missing: Told once where the OCR engine is not installed; then nothing is read.
    """
    step = times[1] - times[0] if len(times) > 1 else LOOK_EVERY
    screen: Screen | None = Screen(_READ_EVERY * step)
    before: npt.NDArray[np.float32] | None = None
    for time, frame in zip(times, video.frames_at(times), strict=False):
        rough = shrunk(frame)
        small = np.asarray(rough.resize(_SIZE, Image.Resampling.BOX), np.float32)
        change = 0.0 if before is None else float(np.abs(small - before).mean()) / 255
        lines: Lines = ()
        try:
            lines = screen.lines(frame, glance(rough), time) if screen else ()
        except MissingExtra as error:
            on_missing(error)
            screen = None
        yield Look(time=time, change=change, detail=_detail(small), lines=lines)
        before = small


def _detail(small: npt.NDArray[np.float32]) -> float:
    grey = small.mean(axis=2)
    if float(grey.std()) < _FLAT:
        return 0.0
    return float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean())
