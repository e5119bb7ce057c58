"""The words of a video."""

from __future__ import annotations

from pathlib import Path

from mm_rag.reading.video import read_video
from tests.av_made import make_video, sign


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
