"""Transcripts and subtitles alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from mm_rag.segment import Segment
from mm_rag_loaders import LoadOptions, load, load_file
from tests.av_made import make_wav, tone


def read(folder: Path, name: str, text: str, max_words: int = 150) -> tuple[Segment, ...]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    loaded = load_file(path, LoadOptions(passage_words=max_words))
    assert (loaded.kind, loaded.state) == ("transcript", "loaded")
    return loaded.segments


def test_teams_transcripts_have_speakers_and_times(tmp_path: Path) -> None:
    text = """WEBVTT

NOTE Confidence: 0.9

4d7f-0
00:00:00.500 --> 00:00:03.000
<v Ada Lovelace>The budget of the ferry</v>
<v Ada Lovelace>is 40 million.</v>

4d7f-1
00:00:04.000 --> 00:01:05.250
<v Ben>That is &amp; remains <i>too</i> much.</v>
"""
    (segment,) = read(tmp_path, "a.vtt", text)
    assert segment.text == (
        "Ada Lovelace: The budget of the ferry is 40 million.\nBen: That is & remains too much."
    )
    assert (segment.modality, segment.start, segment.end) == ("text", 0.5, 65.25)
    assert segment.metadata["speaker"] == "Ada Lovelace, Ben"
    assert segment.where == "0:00-1:05"


def test_a_long_transcript_has_passages_with_their_own_times(tmp_path: Path) -> None:
    cues = [
        f"{n}\n00:{n:02}:00,000 --> 00:{n:02}:30,000\nSentence number {n} of the speech.\n"
        for n in range(1, 31)
    ]
    segments = read(tmp_path, "a.srt", "\n".join(cues), max_words=30)
    assert len(segments) == 6
    assert (segments[1].start, segments[1].end) == (360.0, 630.0)
    words = " ".join(segment.text for segment in segments)
    assert words == " ".join(f"Sentence number {n} of the speech." for n in range(1, 31))


def test_names_before_a_colon_are_speakers(tmp_path: Path) -> None:
    text = (
        "1\n00:00:01,000 --> 00:00:02,000\nAda: It starts at 9:30.\n\n"
        "2\n00:00:03,000 --> 00:00:04,000\n- Ben (chair): Agreed.\n\n"
        "3\n00:00:05,000 --> 00:00:06,000\nThat is all: nothing else.\n"
    )
    (segment,) = read(tmp_path, "a.srt", text)
    assert segment.text.startswith("Ada: It starts at 9:30.\nBen (chair): Agreed.\n")
    assert "nothing else." in segment.text


def test_a_colon_alone_makes_no_speaker(tmp_path: Path) -> None:
    cues = ["The rule is: wait.", "Wait for the ferry.", "It comes at noon.", "Then go."]
    text = "".join(
        f"{n}\n00:00:0{n},000 --> 00:00:0{n},900\n{cue}\n\n" for n, cue in enumerate(cues)
    )
    (segment,) = read(tmp_path, "a.srt", text)
    assert segment.text == " ".join(cues)
    assert "speaker" not in segment.metadata


def test_other_formats_and_old_encodings(tmp_path: Path) -> None:
    (segment,) = read(tmp_path, "a.sbv", "0:00:01.000,0:00:02.500\nThe harbour\nis closed.\n")
    assert (segment.text, segment.start, segment.end) == ("The harbour is closed.", 1.0, 2.5)
    ass = "[Events]\nDialogue: 0,0:00:01.00,0:00:02.50,Default,Ada,0,0,0,,{\\b1}Closed,\\Ntoday.\n"
    (segment,) = read(tmp_path, "a.ass", ass)
    assert (segment.text, segment.start, segment.end) == ("Ada: Closed, today.", 1.0, 2.5)
    path = tmp_path / "old.srt"
    path.write_bytes("1\r\n00:00:01,000 --> 00:00:02,000\r\nCafé à côté\r\n".encode("cp1252"))
    loaded = load_file(path)
    assert loaded.segments[0].text == "Café à côté"
    assert [note.kind for note in loaded.notes] == ["encoding"]


def test_captions_that_scroll_are_read_once(tmp_path: Path) -> None:
    text = (
        "WEBVTT\n\n00:01.000 --> 00:03.000\nthe<00:01.500><c> first</c> line\n\n"
        "00:03.000 --> 00:03.010\nthe first line\n\n"
        "00:03.010 --> 00:05.000\nthe first line\nthe second line\n\n"
        "00:05.000 --> 00:06.000\nYes.\n\n00:06.000 --> 00:07.000\nYes.\n"
    )
    (segment,) = read(tmp_path, "a.vtt", text)
    assert segment.text == "the first line the second line Yes. Yes."


def test_comments_are_noted(tmp_path: Path) -> None:
    text = "WEBVTT\n\nNOTE checked by Ingrid\n\n00:01.000 --> 00:02.000\nHello.\n"
    path = tmp_path / "a.vtt"
    path.write_text(text)
    assert [(note.kind, note.text) for note in load_file(path).notes] == [
        ("hidden", "1 comment (NOTE) was left out: players do not show them")
    ]


def test_damaged_transcripts_lose_nothing(tmp_path: Path) -> None:
    (backwards,) = read(tmp_path, "a.srt", "1\n00:00:09,000 --> 00:00:02,000\nBackwards.\n")
    assert (backwards.start, backwards.end) == (9.0, 9.0)
    (no_gaps,) = read(
        tmp_path, "b.srt", "1\n00:00:01,0 --> 00:00:02,0\nOne.\n2\n00:00:03,0 --> 00:00:04,0\nTwo."
    )
    assert no_gaps.text == "One. Two."
    (untimed,) = read(tmp_path, "c.srt", "Only words of the harbour master.\n")
    assert untimed.text == "Only words of the harbour master."
    assert load_file(tmp_path / "c.srt").notes[0].kind == "damaged"
    (tmp_path / "d.srt").write_text("\n\n")
    assert load_file(tmp_path / "d.srt").reason == "d.srt has no words in it."


@pytest.mark.slow
def test_hostile_transcripts_take_linear_time(tmp_path: Path) -> None:
    cue = "1\n00:00:01,000 --> 00:00:02,000\n"
    for text in (
        "<v " * 100_000,
        "a" * 300_000,
        "A " * 100_000 + ":",
        "-" * 300_000,
        "{" * 200_000,
    ):
        assert read(tmp_path, "a.srt", f"{cue}{text} end.\n")


def test_subtitles_beside_their_recording_are_not_read_twice(tmp_path: Path) -> None:
    make_wav(tmp_path / "talk.wav", tone(1.0))
    text = "1\n00:00:00,100 --> 00:00:00,900\nHello from the quay.\n"
    (tmp_path / "talk.srt").write_text(text)
    (tmp_path / "other.srt").write_text(text)
    kinds = {Path(segment.source).name: segment.modality for segment in load(tmp_path)}
    assert kinds == {"talk.wav": "audio", "other.srt": "text"}


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_a_file_made_by_ffmpeg(tmp_path: Path) -> None:
    source = tmp_path / "a.srt"
    source.write_text("1\n00:00:01,000 --> 00:00:02,000\nThe <b>harbour</b> is closed.\n")
    for suffix in (".vtt", ".ass"):
        made = tmp_path / f"made{suffix}"
        subprocess.run(["ffmpeg", "-v", "error", "-i", source, made], check=True)
        (segment,) = load_file(made).segments
        assert (segment.text, segment.start, segment.end) == ("The harbour is closed.", 1.0, 2.0)
