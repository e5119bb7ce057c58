"""Speech to words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mm_rag.errors import InputError
from mm_rag.extraction.recording import RecordingReader, read_audio, read_audio_samples
from mm_rag.extraction.speech import (
    PocketSphinxTranscriber,
    Transcript,
    Word,
    default_transcriber,
)
from mm_rag.media.audio import AudioFile, open_audio
from tests.av_made import make_wav, tone, wordless

pytestmark = pytest.mark.slow


class Parrot:
    """Says how many whole seconds it was given."""

    name = "a parrot"

    def transcribe(self, samples: np.ndarray) -> Transcript:
        return Transcript((Word(text=f"{len(samples) // 16_000}s", start=0, end=1, confidence=1),))


@pytest.mark.parametrize("samples", wordless().values(), ids=wordless())
def test_no_words_where_nothing_is_said(samples: np.ndarray) -> None:
    assert default_transcriber().transcribe(samples).words == ()


def test_what_was_heard_before_changes_nothing() -> None:
    """The recogniser's noise estimate used to outlive a recording."""
    rng = np.random.default_rng(1)
    murmur = (rng.normal(0, 0.1, 48_000) * np.abs(tone(3.0, hertz=3.0)) * 3).astype(np.float32)
    murmur = np.convolve(murmur, np.ones(12, np.float32) / 12, "same").astype(np.float32)
    transcriber = PocketSphinxTranscriber()
    first = transcriber.transcribe(murmur)
    transcriber.transcribe(tone(2.0, hertz=300.0, volume=0.9))
    assert transcriber.transcribe(murmur) == first


def test_long_recordings_are_heard_in_parts() -> None:
    heard = read_audio_samples(tone(70.0), 16_000, transcriber=Parrot())
    seconds = [int(part[:-1]) for part in heard.split()]
    assert len(seconds) >= 3
    assert max(seconds) <= 30
    assert 67 <= sum(seconds) <= 70


def test_subtitles_go_before_speech_where_they_are(tmp_path: Path) -> None:
    path = make_wav(tmp_path / "talk.wav", tone(6.0))
    (tmp_path / "talk.srt").write_text("1\n00:00:00,500 --> 00:00:01,500\nWelcome back.\n")
    with RecordingReader(path, transcriber=Parrot()) as reader:
        assert reader.read(0.0, 3.0) == "Welcome back."
        assert reader.read(3.0, 6.0) == "3s"
    assert read_audio(path, 0.0, 3.0) == "Welcome back."


def test_recordings_of_any_rate_are_heard(tmp_path: Path) -> None:
    path = make_wav(tmp_path / "a.wav", tone(2.0, rate=44_100), rate=44_100)
    with open_audio(path) as audio:
        assert len(audio.samples()) == 32_000
    assert read_audio_samples(tone(2.0, rate=44_100), 44_100, transcriber=Parrot()) == "2s"


def test_long_spans_of_a_file_are_decoded_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_wav(tmp_path / "a.wav", tone(100.0))
    asked: list[float] = []
    samples = AudioFile.samples

    def counted(self: AudioFile, start: float = 0.0, end: float | None = None) -> np.ndarray:
        asked.append((self.duration if end is None else end) - start)
        return samples(self, start, end)

    monkeypatch.setattr(AudioFile, "samples", counted)
    with RecordingReader(path, transcriber=Parrot()) as reader:
        seconds = [int(part[:-1]) for part in reader.read(5.0).split()]
    assert max(asked) <= 30.0
    assert 91 <= sum(seconds) <= 95


@pytest.mark.parametrize(
    "samples", [np.zeros((2, 100), np.float32), np.zeros(100, np.int16)], ids=["stereo", "integers"]
)
def test_samples_of_another_kind_are_refused(samples: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"samples\.shape"):
        read_audio_samples(samples, 16_000, transcriber=Parrot())
