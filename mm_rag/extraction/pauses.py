"""Where a recording can be cut without cutting a word."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mm_rag.media.audio import SPEECH_RATE

STEP = 0.03  # seconds per value of `loudness`
LONGEST_CLIP = 30.0  # seconds
OVERLAP = 1.0  # seconds that neighbouring clips share: long enough for nearly every word
_STEP_SAMPLES = round(STEP * SPEECH_RATE)
_PAUSE = 0.3  # seconds over which quiet counts as a pause


def loudness(blocks: Iterable[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """How loud a recording is around a moment, in dB, once per `STEP` seconds, shape (n,).

    It is a mean over a third of a second: a gap between two sounds of one word is no pause.

    Args:
        blocks: Its samples of 16 kHz, in pieces of any length.
    """
    pending, found = np.zeros(0, np.float32), [np.zeros(0, np.float32)]
    for block in blocks:
        pending = np.concatenate([pending, block])
        whole = len(pending) // _STEP_SAMPLES * _STEP_SAMPLES
        found.append(_decibels(pending[:whole]))
        pending = pending[whole:]
    if len(pending):
        found.append(_decibels(np.pad(pending, (0, _STEP_SAMPLES - len(pending)))))
    return _smoothed(np.concatenate(found))


def clips(
    levels: npt.NDArray[np.float32], duration: float, longest: float = LONGEST_CLIP
) -> Iterator[tuple[float, float]]:
    """Cut [0, duration) at pauses into clips of a third of `longest` up to `longest` seconds.

    Nothing is lost: each clip begins where the one before ends.
    """
    bounds = [0.0]
    while (left := duration - bounds[-1]) > longest:
        latest = min(longest, left - longest / 3)  # no splinter is left for the end
        bounds.append(quietest(levels, bounds[-1] + longest / 3, bounds[-1] + latest))
    return pairwise([*bounds, duration])


def margin_of(longest: float) -> float:
    """How far a clip of up to `longest` seconds reaches into each of its neighbours, in seconds."""
    return min(OVERLAP / 2, longest / 20)


def quietest(levels: npt.NDArray[np.float32], start: float, end: float) -> float:
    """The quietest moment in [start, end], in seconds; of several the last, `end` without sound."""
    window = levels[math.ceil(start / STEP) : int(end / STEP)]
    if not len(window):
        return end
    last = len(window) - 1 - int(np.argmin(window[::-1]))
    return (math.ceil(start / STEP) + last + 0.5) * STEP


def _smoothed(levels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    width = round(_PAUSE / STEP)
    if len(levels) <= width:
        return levels
    padded = np.pad(levels, (width // 2, width - 1 - width // 2), mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, width).mean(axis=1)


def _decibels(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    power = np.square(samples.reshape(-1, _STEP_SAMPLES)).mean(axis=1)
    return (10 * np.log10(power + 1e-9)).astype(np.float32)
