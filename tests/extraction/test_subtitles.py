"""Subtitles: tracks inside a video and files beside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mm_rag.errors import UnreadableMedia
from mm_rag.extraction.subtitles import (
    Cue,
    cues_between,
    read_subtitle_file,
    read_subtitles,
    sidecars,
)
from mm_rag.media.ffmpeg import probe
from tests.av_made import colours, make_video

SRT = """1
00:00:01,000 --> 00:00:02,500
<i>Hello</i> {\\an8}there,
second line

2
00:00:03,000 --> 00:00:04,000
- You &amp; me
"""


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_track_inside_the_video(tmp_path: Path, suffix: str) -> None:
    path = make_video(
        tmp_path / f"v{suffix}",
        colours("red", each=30),
        subtitles=[(0.5, 1.2, "Hello <i>there</i>"), (1.5, 2.5, "General")],
    )
    assert read_subtitles(probe(path)) == [Cue(0.5, 1.2, "Hello there"), Cue(1.5, 2.5, "General")]


def test_a_file_beside_the_video_goes_first(tmp_path: Path) -> None:
    path = make_video(
        tmp_path / "talk.mkv", colours("red", each=30), subtitles=[(0.5, 1.2, "inside")]
    )
    (tmp_path / "talk.de.srt").write_text(SRT.replace("Hello", "Hallo"))
    (tmp_path / "talk.en.srt").write_text(SRT)
    (tmp_path / "talk2.srt").write_text(SRT.replace("Hello", "Other"))
    assert [p.name for p in sidecars(path)] == ["talk.en.srt", "talk.de.srt"]
    assert read_subtitles(probe(path)) == [
        Cue(1.0, 2.5, "Hello there, second line"),
        Cue(3.0, 4.0, "- You & me"),
    ]


def test_a_bad_file_beside_the_video_is_passed_over(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mkv", colours("red", each=30), subtitles=[(0.5, 1.2, "inside")])
    (tmp_path / "v.srt").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8)
    assert [cue.text for cue in read_subtitles(probe(path))] == ["inside"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings_of_subtitle_files(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.srt"
    path.write_bytes("1\n00:00:01,000 --> 00:00:02,000\nCafé à côté\n".encode(encoding))
    assert [cue.text for cue in read_subtitle_file(path)] == ["Café à côté"]


def test_other_formats(tmp_path: Path) -> None:
    vtt, ass = tmp_path / "a.vtt", tmp_path / "a.ass"
    vtt.write_text("WEBVTT\n\n00:01.000 --> 00:02.500 align:start\n<v Bob>Hello <b>there</b>\n")
    ass.write_text(
        "[Script Info]\nScriptType: v4.00+\n\n[Events]\nFormat: Layer, Start, End, Style, Name, "
        "MarginL, MarginR, MarginV, Effect, Text\n"
        "Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,{\\b1}Hello\\Nthere\n"
    )
    for path in (vtt, ass):
        assert read_subtitle_file(path) == [Cue(1.0, 2.5, "Hello there")]


def test_what_is_no_subtitle_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.srt"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8)
    with pytest.raises(UnreadableMedia, match=r"a\.srt"):
        read_subtitle_file(path)


def test_every_cue_belongs_to_one_of_two_spans() -> None:
    cues = [Cue(0.0, 1.0, "a"), Cue(9.0, 12.0, "b"), Cue(12.0, 13.0, "c")]
    assert [c.text for c in cues_between(cues, 0.0, 10.0)] == ["a"]
    assert [c.text for c in cues_between(cues, 10.0, 20.0)] == ["b", "c"]


@pytest.mark.parametrize("kind", ["dangling link", "folder", "no permission"])
def test_what_cannot_be_read_beside_the_video_is_passed_over(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video(tmp_path / "v.mkv", colours("red", each=30), subtitles=[(0.5, 1.2, "inside")])
    beside = tmp_path / "v.srt"
    if kind == "dangling link":
        beside.symlink_to(tmp_path / "nowhere.srt")
    elif kind == "folder":
        beside.mkdir()
    else:
        beside.write_text(SRT)
        _forbid(beside, monkeypatch)
    assert [cue.text for cue in read_subtitles(probe(path))] == ["inside"]


def _forbid(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `chmod 0`, which an administrator would not notice."""
    opened = os.open

    def refuse(name: str, *args: Any, **options: Any) -> int:
        if name == str(path):
            raise PermissionError(13, "Permission denied", name)
        return opened(name, *args, **options)

    monkeypatch.setattr(os, "open", refuse)


def test_only_subtitles_of_this_very_file_are_taken(tmp_path: Path) -> None:
    named = ["talk.srt", "talk.de.srt", "talk.pt-BR.vtt", "talk.en.forced.srt", "talk.sdh.srt"]
    others = ["talk.part2.srt", "talk.final.srt", "talk.no.srt", "talk-1.srt", "talk.en.old.srt"]
    for name in [*named, *others, "talk.mp4", "talk.no.mp4"]:
        (tmp_path / name).write_text(SRT)
    assert {path.name for path in sidecars(tmp_path / "talk.mp4")} == set(named)
    assert [path.name for path in sidecars(tmp_path / "talk.no.mp4")] == ["talk.no.srt"]


def test_only_markup_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.srt"
    lines = [
        "if x < 5 and y > 3 stop",
        "I <3 you, <font color='red'>dear</font>",
        "one\\htwo\\nthree",
    ]
    path.write_text(
        "".join(f"{n}\n00:00:0{n},000 --> 00:00:0{n},900\n{t}\n\n" for n, t in enumerate(lines, 1))
    )
    texts = [cue.text for cue in read_subtitle_file(path)]
    assert texts == ["if x < 5 and y > 3 stop", "I <3 you, dear", "one two three"]
