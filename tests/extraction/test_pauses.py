"""Where recordings are cut."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from mm_rag.extraction.recording import STEP, clips, loudness, quietest
from tests.av_made import tone


def _talk(*seconds: float) -> np.ndarray:
    """Sound and pauses of half a second by turns."""
    quiet = np.zeros(8_000, np.float32)
    return np.concatenate([part for s in seconds for part in (tone(s), quiet)])


def test_clips_are_cut_in_pauses() -> None:
    samples = _talk(17.0, 12.0, 20.0, 14.0)
    duration = len(samples) / 16_000
    found = list(clips(loudness([samples]), duration))
    assert found[0][0] == 0.0
    assert found[-1][1] == duration
    assert all(a[1] == b[0] for a, b in pairwise(found))
    assert all(10.0 <= end - start <= 30.0 for start, end in found)
    for _, end in found[:-1]:
        heard = samples[round((end - 0.1) * 16_000) : round((end + 0.1) * 16_000)]
        assert np.abs(heard).max() == 0.0


def test_a_short_recording_is_one_clip() -> None:
    assert list(clips(loudness([tone(12.0)]), 12.0)) == [(0.0, 12.0)]


@pytest.mark.parametrize("duration", [30.1, 61.0, 95.5, 3600.0])
def test_without_pauses_nothing_is_lost_either(duration: float) -> None:
    levels = np.full(round(duration / STEP), -20.0, np.float32)
    found = list(clips(levels, duration))
    assert found[0][0] == 0.0
    assert found[-1][1] == duration
    assert all(a[1] == b[0] for a, b in pairwise(found))
    assert all(9.9 < end - start <= 30.0 for start, end in found)


def test_loudness_does_not_depend_on_the_blocks() -> None:
    samples = _talk(1.0, 2.0)
    whole = loudness([samples])
    pieces = loudness(np.array_split(samples, 7))
    np.testing.assert_array_equal(whole, pieces)
    assert len(whole) == pytest.approx(len(samples) / 16_000 / STEP, abs=1)


def test_a_pause_is_preferred_to_a_gap_in_a_word() -> None:
    gap = np.zeros(960, np.float32)  # 60 ms, and quieter than the pause
    pause = np.random.default_rng(0).normal(0, 1e-3, 8_000).astype(np.float32)
    talk = np.concatenate([tone(2.01), gap, tone(3.0), pause, tone(2.0)])
    assert 5.07 < quietest(loudness([talk]), 1.0, 7.0) < 5.57
