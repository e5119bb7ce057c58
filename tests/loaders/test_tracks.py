"""Further subtitles and sound tracks, and chapters, of files that FFmpeg's program made."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from mm_rag.extraction.speech import PocketSphinxTranscriber, Transcript, Word
from mm_rag_loaders import LoadedFile, LoadOptions, as_reference, load_file, redrawn
from mm_rag_loaders.outcome import Note
from tests.av_made import Samples

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("ffmpeg") is None and not os.environ.get("MM_RAG_REQUIRE_FFMPEG"),
        reason="ffmpeg is not installed",
    ),
]

_PICTURES = ("-f", "lavfi", "-i", "testsrc=size=160x96:rate=10:duration=6")
_CHAPTERS = """;FFMETADATA1
title=Harbour
[CHAPTER]
TIMEBASE=1/1000
START=0
END=3000
title=The Pier
[CHAPTER]
TIMEBASE=1/1000
START=3000
END=6000
title=The Lighthouse
"""


def ffmpeg(*arguments: object) -> None:
    command = ["ffmpeg", "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


def tone(hertz: int, seconds: int = 6) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", f"sine=frequency={hertz}:duration={seconds}")


def subtitles(path: Path, text: str) -> Path:
    path.write_text(f"1\n00:00:00,500 --> 00:00:02,000\n{text}\n")
    return path


class Hears:
    """A transcriber that names the pitch of the sound."""

    name = "pitch"

    def transcribe(self, samples: Samples) -> Transcript:
        crossings = int(((samples[:-1] < 0) & (samples[1:] >= 0)).sum())
        pitch = round(crossings / (len(samples) / 16_000) / 100) * 100
        return Transcript((Word(text=f"{pitch} Hz", start=0.5, end=1.0, confidence=1.0),))


def read(path: Path, options: LoadOptions) -> LoadedFile:
    return load_file(path, replace(options, workers=0))


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Two sound tracks, three subtitle tracks of which one repeats another, and two chapters."""
    english = subtitles(tmp_path / "1.txt.srt", "The ferry leaves at seven.")
    german = subtitles(tmp_path / "2.txt.srt", "Die Fähre fährt um sieben.")
    (tmp_path / "chapters.txt").write_text(_CHAPTERS)
    inputs = [
        *_PICTURES, *tone(500), *tone(800), "-i", german, "-i", english, "-i", english,
        "-i", tmp_path / "chapters.txt",
    ]  # fmt: skip
    maps = [option for number in range(6) for option in ("-map", number)]
    languages = [
        *("-metadata:s:s:0", "language=ger", "-metadata:s:s:1", "language=eng"),
        *("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=ger"),
        *("-metadata:s:a:1", "title=Kommentar"),
    ]
    ffmpeg(*inputs, *maps, "-map_chapters", 6, *languages, tmp_path / "film.mkv")
    return tmp_path / "film.mkv"


def test_every_subtitle_track_is_read_with_its_language(film: Path, options: LoadOptions) -> None:
    loaded = read(film, options)
    clip, german = loaded.segments
    assert clip.modality == "video"
    assert "The ferry leaves at seven." in clip.text.splitlines()
    assert (german.modality, german.text) == ("text", "Die Fähre fährt um sieben.")
    assert (german.start, german.end, german.media) == (clip.start, clip.end, None)
    assert (german.metadata["language"], german.metadata["subtitles"]) == ("ger", True)


def test_chapters_are_headings_and_searchable(film: Path, options: LoadOptions) -> None:
    clip = read(film, replace(options, clip_seconds=30.0)).segments[0]
    assert clip.text.splitlines()[:2] == ["The Pier", "The Lighthouse"]
    assert clip.metadata["heading"] == "The Pier"


def test_a_foreign_sound_track_is_noted_where_only_english_is_understood(
    film: Path, options: LoadOptions
) -> None:
    text = "the sound track in the language 'ger' was not read: PocketSphinx hears English"
    english = replace(options, transcriber=PocketSphinxTranscriber())
    assert read(film, english).notes == (Note("unsupported", text),)
    assert read(film, options).notes == ()


def test_every_sound_track_is_heard(film: Path, options: LoadOptions) -> None:
    loaded = read(film, replace(options, transcriber=Hears()))
    assert loaded.notes == ()
    spoken = loaded.segments[-1]
    assert (spoken.text, spoken.metadata["language"]) == ("800 Hz", "ger")
    assert (spoken.metadata["track"], spoken.metadata["transcriber"]) == ("Kommentar", "pitch")
    assert len({segment.id for segment in loaded.segments}) == len(loaded.segments)


def test_clips_and_their_further_tracks_are_drawn_again(film: Path, options: LoadOptions) -> None:
    segments = read(film, options).segments
    kept = [as_reference(segment, options.assets.root) for segment in segments]
    assert redrawn(kept, options) == list(segments)


def test_a_subtitle_file_beside_comes_before_the_tracks_inside(
    film: Path, options: LoadOptions
) -> None:
    subtitles(film.with_name("film.fr.srt"), "Le bac part à sept heures.")
    texts = [segment.text for segment in read(film, options).segments]
    assert "Le bac part à sept heures." in texts[0]
    assert texts[1:] == ["The ferry leaves at seven.", "Die Fähre fährt um sieben."]


@pytest.mark.parametrize("name", ["a.au", "a.caf", "a.aiff", "a.aifc", "a.m4a", "a.m4b", "a.opus"])
def test_recordings_of_other_systems_are_read(
    tmp_path: Path, options: LoadOptions, name: str
) -> None:
    form = ("-f", "ipod") if name.endswith("m4b") else ()
    ffmpeg(*tone(500, 2), *form, tmp_path / name)
    loaded = read(tmp_path / name, replace(options, transcriber=Hears()))
    assert (loaded.kind, loaded.notes) == ("audio", ())
    assert [segment.text for segment in loaded.segments] == ["500 Hz"]


@pytest.mark.parametrize("name", ["screen.mov", "screen.mp4", "screen.webm"])
def test_a_screen_recording_without_sound_is_read(
    tmp_path: Path, options: LoadOptions, name: str
) -> None:
    ffmpeg(*_PICTURES, tmp_path / name)
    loaded = read(tmp_path / name, options)
    assert (loaded.kind, loaded.notes) == ("video", ())
    assert [segment.metadata["has_audio"] for segment in loaded.segments] == [False]
