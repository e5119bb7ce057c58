"""Opening videos, on both backends."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mm_rag.errors import InputError, MediaTooLarge, UnreadableMedia
from mm_rag.media import MediaPolicy
from mm_rag.media.decoding import Backend
from mm_rag.media.ffmpeg import probe
from mm_rag.media.video import open_video
from tests.av_made import colours, make_recording, make_video, tone
from tests.media.backends import PYAV, TORCHCODEC, both_backends, needs_ffmpeg
from tests.media.turned import turned


def _colour(picture: Image.Image) -> str:
    red, green, blue = np.asarray(picture).reshape(-1, 3).mean(axis=0)
    return {red: "red", green: "green", blue: "blue"}[max(red, green, blue)]


@both_backends
def test_frames_are_those_of_the_time(tmp_path: Path, backend: Backend) -> None:
    path = make_video(tmp_path / "v.mp4", colours("red", "lime", "blue", each=10))
    with open_video(path, backend=backend) as video:
        assert video.size == (160, 96)
        assert video.fps == pytest.approx(10)
        assert video.duration == pytest.approx(3.0, abs=0.1)
        assert not video.has_audio
        found = [_colour(p) for p in video.frames_at([0.0, 0.95, 1.0, 1.55, 2.05, 99.0])]
        assert found == ["red", "red", "green", "green", "blue", "blue"]
        assert _colour(video.frame_at(0.5)) == "red"


@both_backends
def test_frames_of_uneven_length(tmp_path: Path, backend: Backend) -> None:
    path = make_video(
        tmp_path / "v.mkv", colours("red", "lime", "blue"), times=[0.0, 0.2, 2.0], fps=30
    )
    with open_video(path, backend=backend) as video:
        assert [_colour(p) for p in video.frames_at([0.1, 0.3, 1.9, 2.0])] == [
            "red", "green", "green", "blue",
        ]  # fmt: skip


@both_backends
def test_frames_that_are_reordered_keep_their_times(tmp_path: Path, backend: Backend) -> None:
    """torchcodec gave the frame after the right one where FFmpeg leaves durations out."""

    def with_b_frames(stream: Any) -> None:
        stream.codec_context.max_b_frames = 3
        stream.codec_context.gop_size = 12

    shades = [Image.new("RGB", (160, 96), (8 * n, 8 * n, 8 * n)) for n in range(30)]
    path = make_video(tmp_path / "v.mp4", shades, codec="libx264", set_up=with_b_frames)
    with open_video(path, backend=backend) as video:
        found = [np.asarray(p).mean() / 8 for p in video.frames_at([n / 10 for n in range(30)])]
    np.testing.assert_allclose(found, range(30), atol=0.4)


@both_backends
def test_time_counts_from_the_beginning_of_the_file(tmp_path: Path, backend: Backend) -> None:
    path = make_video(tmp_path / "v.mkv", colours("red", "lime", "blue"), times=[8.0, 9.0, 10.0])
    assert probe(path).start == pytest.approx(8.0)
    with open_video(path, backend=backend) as video:
        found = [_colour(p) for p in video.frames_at([0.0, 1.5, 2.0])]
    assert found == ["red", "green", "blue"]


@both_backends
def test_pixels_that_are_not_square(tmp_path: Path, backend: Backend) -> None:
    def wide(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(2, 1)

    path = make_video(tmp_path / "v.mkv", colours("red", each=5), set_up=wide)
    with open_video(path, backend=backend) as video:
        assert video.size == (320, 96)
        assert video.frame_at(0.2).size == (320, 96)


@both_backends
@pytest.mark.parametrize(("degrees", "size"), [(90, (96, 160)), (180, (160, 96)), (270, (96, 160))])
def test_a_turned_video_is_upright(
    tmp_path: Path, backend: Backend, degrees: int, size: tuple[int, int]
) -> None:
    frame = Image.new("RGB", (160, 96), "white")
    frame.paste("red", (0, 0, 80, 96))
    path = turned(make_video(tmp_path / "v.mp4", [frame] * 10), degrees)
    with open_video(path, backend=backend) as video:
        shown = video.frame_at(0.3)
    assert shown.size == video.size == size
    upright = np.asarray(frame.rotate(-degrees, expand=True), int)
    assert np.abs(np.asarray(shown, int) - upright).mean() < 12


@both_backends
def test_a_cut_off_video_is_read_as_far_as_it_goes(tmp_path: Path, backend: Backend) -> None:
    rng = np.random.default_rng(0)
    noise = [Image.fromarray(rng.integers(0, 255, (96, 160, 3), np.uint8)) for _ in range(40)]
    whole = make_video(tmp_path / "whole.mkv", noise)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with open_video(cut, backend=backend) as video:
        assert len(list(video.frames_at([0.0, 1.0, 1.5, 3.5]))) == 4


@needs_ffmpeg
@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "libx264"), (".mkv", "mpeg4")])
def test_both_backends_see_the_same(tmp_path: Path, suffix: str, codec: str) -> None:
    rng = np.random.default_rng(0)
    blots = [rng.integers(0, 255, (6, 10, 3), np.uint8) for _ in range(20)]
    frames = [Image.fromarray(blot).resize((160, 96)) for blot in blots]
    path = make_video(tmp_path / f"v{suffix}", frames, codec=codec)
    times = [0.0, 0.33, 0.5, 1.01, 1.9, 5.0]
    seen: dict[Backend, list[np.ndarray]] = {}
    for backend in (PYAV, TORCHCODEC):
        with open_video(path, backend=backend) as video:
            seen[backend] = [np.asarray(p, np.int16) for p in video.frames_at(times)]
    for one, other in zip(seen[PYAV], seen[TORCHCODEC], strict=True):
        difference = int(np.abs(one - other).max())
        assert difference <= 2, f"largest pixel difference {difference}"


def test_limits_of_the_policy(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", colours("red", each=20))
    with open_video(path, MediaPolicy(max_seconds=1.0), backend=PYAV) as video:
        assert video.duration == 1.0
    with pytest.raises(MediaTooLarge, match="max_pixels"):
        open_video(path, MediaPolicy(max_pixels=1000))


def test_what_is_no_video_says_so(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", colours("red", each=20), sound=tone(2.0, rate=48_000))
    headless = tmp_path / "headless.mp4"
    headless.write_bytes(path.read_bytes()[300:])
    with pytest.raises(UnreadableMedia, match=r"headless\.mp4 cannot be decoded"):
        open_video(headless)
    recording = make_recording(tmp_path / "a.mp4", tone(1.0, rate=48_000), "aac")
    with pytest.raises(UnreadableMedia, match="no moving pictures"):
        open_video(recording)


def test_times_must_ascend(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", colours("red", each=5))
    with open_video(path, backend=PYAV) as video, pytest.raises(InputError, match="ascending"):
        list(video.frames_at([1.0, 0.5]))
