"""The words of a video."""

from __future__ import annotations

from pathlib import Path

import pytest

from mm_rag.errors import UnreadableMedia
from mm_rag.extraction import recording
from mm_rag.extraction.video_reader import VideoReader, read_video
from mm_rag.media.audio import AudioFile
from mm_rag.media.video import VideoFile
from tests.av_made import make_video, sign, tone

pytestmark = pytest.mark.slow


def test_each_line_on_the_screen_is_read_once(tmp_path: Path) -> None:
    frames = [sign("Quarterly results")] * 10 + [sign("Open questions")] * 10
    path = make_video(tmp_path / "v.mp4", frames, fps=5)
    assert read_video(path).splitlines() == ["Quarterly results", "Open questions"]
    assert read_video(path, 2.1, 4.0) == "Open questions"


def test_subtitles_come_before_the_screen(tmp_path: Path) -> None:
    path = make_video(
        tmp_path / "v.mkv", [sign("Agenda")] * 15, fps=5, subtitles=[(0.5, 2.5, "Good morning")]
    )
    assert read_video(path) == "Good morning\nAgenda"


def test_a_running_counter_does_not_fill_the_text(tmp_path: Path) -> None:
    frames = [sign(f"Launch\nT minus {100 - 7 * n}") for n in range(8)]
    path = make_video(tmp_path / "v.mp4", frames, fps=1)
    lines = read_video(path).splitlines()
    assert "Launch" in lines
    assert 1 <= sum("minus" in line for line in lines) <= 2


def test_pictures_without_words_have_none(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", [sign("")] * 10, fps=5)
    assert read_video(path) == ""


def test_what_was_opened_is_closed_where_opening_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video(tmp_path / "v.mp4", [sign("")] * 5, fps=5, sound=tone(1.0, rate=48_000))
    closed: list[str] = []

    def fail(*_: object) -> None:
        raise UnreadableMedia("Its subtitles are damaged.")

    monkeypatch.setattr(recording, "all_subtitles", fail)

    def close(self: VideoFile | AudioFile) -> None:
        closed.append(type(self).__name__)

    for kind in (VideoFile, AudioFile):
        monkeypatch.setattr(kind, "close", close)
    with pytest.raises(UnreadableMedia, match="damaged"):
        VideoReader(path)
    assert closed == ["AudioFile", "VideoFile"]


def test_lines_of_one_frame_may_differ_in_their_numbers_only(tmp_path: Path) -> None:
    lines = [f"Q{n} revenue {n + 2}.{n} m" for n in range(1, 5)]
    path = make_video(tmp_path / "v.mp4", [sign("\n".join(lines))] * 10, fps=5)
    assert read_video(path).splitlines() == lines
