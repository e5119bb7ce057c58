"""Readers take media from any source, or say what they take."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from mm_rag.content import Audio, Video
from mm_rag.errors import UnreadableMedia, UnsupportedModality
from mm_rag.extraction import recording
from mm_rag.modules.readers import ReadAudio, ReadVideo
from tests.av_made import tone


def test_a_part_of_samples_is_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[tuple[int, int]] = []

    def read(samples: npt.NDArray[np.float32], rate: int) -> str:
        heard.append((len(samples), rate))
        return "words"

    monkeypatch.setattr(recording, "read_audio_samples", read)
    content = Audio(tone(2.0, rate=8_000), 8_000, start=0.5, end=1.5)
    assert ReadAudio().read(content).text == "words"
    [(count, rate)] = heard
    assert count / rate == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.full(9, np.nan, np.float32)])
def test_no_sound_is_an_error(samples: npt.NDArray[np.float32]) -> None:
    with pytest.raises(UnreadableMedia, match=r"no samples|not finite"):
        ReadAudio().read(Audio(samples, 16_000))


def test_frames_in_memory_cannot_be_read() -> None:
    with pytest.raises(UnsupportedModality, match="frames in memory"):
        ReadVideo().read(Video(np.zeros((2, 4, 6, 3), np.uint8)))
