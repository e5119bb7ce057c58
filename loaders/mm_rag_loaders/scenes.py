"""Where a video can be cut: at scene changes, and if need be between words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from mm_rag.media.video import VideoFile

LOOKS_PER_SECOND = 2.0
_SHORTEST = 4.0  # seconds
_CUT = 0.12  # mean difference of two neighbours, of 1.0, that makes a new scene
_SIZE = (64, 36)
_FLAT = 6.0  # standard deviation, of 255, of a frame on which nothing is to be seen


@dataclass(frozen=True, kw_only=True)
class Look:
    """What is remembered of a frame.

    Attributes:
        time: In seconds.
        change: From the look before, 0.0 to 1.0.
        detail: How much there is to see on it, 0.0 for a black, white or blurred frame.
    """

    time: float
    change: float
    detail: float


def look_through(video: VideoFile, duration: float) -> list[Look]:
    """Look at a whole video twice a second, holding one frame at a time."""
    times = [float(t) for t in np.arange(0.0, duration, 1 / LOOKS_PER_SECOND)]
    looks: list[Look] = []
    before: npt.NDArray[np.float32] | None = None
    for time, frame in zip(times, video.frames_at(times), strict=False):
        small = np.asarray(frame.resize(_SIZE, Image.Resampling.BOX), np.float32)
        change = 0.0 if before is None else float(np.abs(small - before).mean()) / 255
        looks.append(Look(time=time, change=change, detail=_detail(small)))
        before = small
    return looks


def scene_clips(
    looks: Sequence[Look],
    duration: float,
    longest: float,
    quiet: Callable[[float, float], float],
) -> Iterator[tuple[float, float]]:
    """Cut [0, duration) into clips of 4 seconds up to `longest`; the only one may be shorter.

    Args:
        looks: The whole video's.
        duration: Its, in seconds.
        longest: Of one clip, in seconds.
        quiet: The best moment between two to cut where no scene changes.
    """
    shortest = min(_SHORTEST, longest / 3)
    cuts = [look.time for look in looks if look.change > _CUT]
    start = 0.0
    while duration - start > shortest:
        latest = min(start + longest, duration - shortest)
        end = next((cut for cut in cuts if start + shortest <= cut <= latest), None)
        if end is None and duration - start <= longest:
            break
        if end is None:
            end = quiet(max(start + shortest, latest - longest / 2), latest)
        yield start, end
        start = end
    yield start, duration


def key_time(looks: Sequence[Look], start: float, end: float) -> float:
    """The time of the frame that shows most of a clip, rather in the middle than at its ends."""
    middle, half = (start + end) / 2, max((end - start) / 2, 1e-3)
    inside = [look for look in looks if start <= look.time < end]
    if not inside:
        return middle
    return max(inside, key=lambda k: k.detail * (1 - 0.5 * abs(k.time - middle) / half)).time


def _detail(small: npt.NDArray[np.float32]) -> float:
    grey = small.mean(axis=2)
    if float(grey.std()) < _FLAT:
        return 0.0
    return float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean())
