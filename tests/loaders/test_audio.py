"""Recordings to Segments."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from mm_rag.errors import MissingExtra
from mm_rag.extraction import recording
from mm_rag.extraction.speech import (
    PocketSphinxTranscriber,
    Transcript,
    WhisperBaseTranscriber,
    Word,
)
from mm_rag.segment import Segment
from mm_rag_loaders import LoadOptions
from mm_rag_loaders.audio_loader import AudioLoader
from mm_rag_loaders.file_stamp import reader_stamp, sidecars_stamp
from mm_rag_loaders.loader import SourceFile
from mm_rag_loaders.sources import Source
from tests.av_made import make_recording, make_wav, tone


class Clock:
    """Hears the word `w7` from 7.15 to 7.95 s of a recording of `time_itself`, if it is whole."""

    name = "clock 1.0"

    def transcribe(self, samples: npt.NDArray[np.float32]) -> Transcript:
        first, last = float(samples[0]) * 100, float(samples[-1]) * 100
        heard = [n for n in range(100) if first <= n + 0.15 and n + 0.95 <= last]
        return Transcript(
            tuple(
                Word(text=f"w{n}", start=n + 0.15 - first, end=n + 0.95 - first, confidence=1.0)
                for n in heard
            )
        )


def time_itself(seconds: float) -> npt.NDArray[np.float32]:
    return (np.arange(round(seconds * 16_000)) / 1_600_000).astype(np.float32)


def check_spans(segments: list[Segment], duration: float) -> None:
    assert segments[0].start == 0.0
    assert segments[-1].end == pytest.approx(duration, abs=0.1)
    for before, after in pairwise(segments):
        assert (before.end or 0.0) - (after.start or 0.0) == pytest.approx(1.0, abs=0.01)
    assert all((s.end or 0.0) - (s.start or 0.0) <= 30.001 for s in segments)


def test_a_recording_becomes_clips_that_overlap(tmp_path: Path, options: LoadOptions) -> None:
    path = make_wav(tmp_path / "board_meeting.wav", np.zeros(16_000 * 65, np.float32))
    segments = list(AudioLoader(options).load(path))
    check_spans(segments, 65.0)
    assert len(segments) == 3
    first = segments[0]
    assert (first.modality, first.title, first.text) == ("audio", "board meeting", "")
    assert first.media == first.source == str(path)
    assert first.preview is None
    assert first.metadata == {"duration": pytest.approx(65.0, abs=0.1)}
    assert len({segment.id for segment in segments}) == 3
    assert [s.id for s in AudioLoader(options).load(path)] == [s.id for s in segments]


def test_a_short_recording_is_one_clip(tmp_path: Path, options: LoadOptions) -> None:
    path = make_wav(tmp_path / "a.wav", np.zeros(16_000 * 29, np.float32))
    (segment,) = AudioLoader(options).load(path)
    assert (segment.start, segment.end) == (0.0, pytest.approx(29.0, abs=0.03))


@pytest.mark.parametrize("clip_seconds", [10.0, 30.0, 100.0])
def test_every_word_is_heard_whole_and_seldom_twice(
    tmp_path: Path, options: LoadOptions, clip_seconds: float
) -> None:
    path = make_wav(tmp_path / "a.wav", time_itself(80.0))
    by_clock = LoadOptions(assets=options.assets, transcriber=Clock(), clip_seconds=clip_seconds)
    segments = list(AudioLoader(by_clock).load(path))
    words = " ".join(s.text for s in segments).split()
    assert list(dict.fromkeys(words)) == [f"w{n}" for n in range(80)]
    assert len(words) <= 80 + len(segments) / 4
    assert {s.metadata["transcriber"] for s in segments} == {"clock 1.0"}
    for segment in segments:
        heard = [int(word[1:]) for word in segment.text.split()]
        assert (segment.start or 0.0) <= heard[0] + 0.15
        assert heard[-1] + 0.95 <= (segment.end or 0.0) + 0.01


def test_tags_are_metadata(tmp_path: Path, options: LoadOptions) -> None:
    tags = {
        "title": "The lecture", "artist": "A. Speaker", "album_artist": "The choir", "track": "3/9",
        "comment": "Recorded live", "encoded_by": "nobody asks",
    }  # fmt: skip
    silence = tone(2.0, rate=48_000, volume=0.0)
    path = make_recording(tmp_path / "x.flac", silence, "flac", tags=tags)
    (segment,) = AudioLoader(options).load(path)
    assert segment.title == "The lecture"
    kept = {name: segment.metadata.get(name) for name in tags}
    assert kept == {**tags, "title": None, "encoded_by": None}


def test_lyrics_stand_with_the_first_clip(tmp_path: Path, options: LoadOptions) -> None:
    silence = tone(40.0, rate=48_000, volume=0.0)
    tags = {"lyrics": "[00:01.00] Row, row\n[00:05.20] your boat"}
    path = make_recording(tmp_path / "x.flac", silence, "flac", tags=tags)
    assert [s.text for s in AudioLoader(options).load(path)] == ["Row, row\nyour boat", ""]


def test_subtitles_become_the_text_of_their_clips(tmp_path: Path, options: LoadOptions) -> None:
    path = make_wav(tmp_path / "talk.wav", np.zeros(16_000 * 50, np.float32))
    cues = [(1, "one"), (24, "two"), (49, "three")]
    (tmp_path / "talk.srt").write_text(
        "".join(
            f"{n}\n00:00:{s:02},000 --> 00:00:{s:02},900\n{w}\n\n" for n, (s, w) in enumerate(cues)
        )
    )
    texts = [segment.text for segment in AudioLoader(options).load(path)]
    assert " ".join(texts).split() == ["one", "two", "three"]


def test_what_a_cut_off_file_lacks_is_noted(tmp_path: Path, options: LoadOptions) -> None:
    path = make_wav(tmp_path / "a.wav", np.zeros(16_000 * 8, np.float32))
    path.write_bytes(path.read_bytes()[: 32_000 * 3])
    flac = make_recording(
        tmp_path / "b.flac",
        np.random.default_rng(0).uniform(-0.01, 0.01, 48_000 * 8).astype(np.float32),
        "flac",
    )
    flac.write_bytes(flac.read_bytes()[: flac.stat().st_size // 2])
    file = SourceFile.of(Source(flac), options)
    segments = list(AudioLoader(options).segments(file))
    assert 3.0 < (segments[-1].end or 0) < 5.0
    assert any("lasts 8.0 s" in note.text for note in file.notes)
    assert any("sound track" in note.text for note in file.notes)
    assert len(list(AudioLoader(options).load(path))) == 1


def test_the_segment_says_where_its_words_are_from(tmp_path: Path, options: LoadOptions) -> None:
    path = make_wav(tmp_path / "talk.wav", time_itself(50.0))
    (tmp_path / "talk.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nWelcome\n")
    heard = LoadOptions(assets=options.assets, transcriber=Clock())
    first, second, *_ = AudioLoader(heard).load(path)
    assert first.metadata["subtitles"] is True
    assert "transcriber" not in first.metadata
    assert second.metadata["transcriber"] == "clock 1.0"
    assert "subtitles" not in second.metadata


def test_a_file_heard_by_another_is_read_again(tmp_path: Path) -> None:
    path = make_wav(tmp_path / "talk.wav", np.zeros(100, np.float32))
    (tmp_path / "talk.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nWelcome\n")
    assert reader_stamp(path, None) == sidecars_stamp(path) != ""
    named = PocketSphinxTranscriber()
    assert reader_stamp(path, named) == f"{sidecars_stamp(path)}|heard by {named.name}"
    assert reader_stamp(path, Clock()) == f"{sidecars_stamp(path)}|heard by clock 1.0"
    assert reader_stamp(tmp_path / "a.pdf", Clock()) == ""


def test_the_built_in_transcribers_have_names() -> None:
    assert PocketSphinxTranscriber().name.startswith("pocketsphinx 5.")
    assert WhisperBaseTranscriber().name == "whisper-base v1"


def test_without_its_reader_a_recording_is_kept_and_noted(
    tmp_path: Path, options: LoadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise MissingExtra("This needs a package that is not installed.")

    monkeypatch.setattr(recording, "default_transcriber", missing)
    file = SourceFile.of(Source(make_wav(tmp_path / "a.wav", tone(40.0))), options)
    assert [s.text for s in AudioLoader(options).segments(file)] == ["", ""]
    assert file.missing == ["the speech"]
    [note] = file.notes
    assert note.kind == "missing reader"
    assert note.text == "the speech was not read: This needs a package that is not installed."
