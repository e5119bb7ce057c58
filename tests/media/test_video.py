"""Videos: frames by time, and by number from any source."""

from __future__ import annotations

import importlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mm_rag.content import Video
from mm_rag.errors import InputError, MediaTooLarge, UnreadableMedia
from mm_rag.media import MediaPolicy, decoding
from mm_rag.media.decoding import Backend
from mm_rag.media.ffmpeg import probe
from mm_rag.media.video import open_video, open_video_frames
from tests.av_made import colours, make_recording, make_video, tone
from tests.media.backends import PYAV, TORCHCODEC, both_backends, needs_ffmpeg
from tests.media.turned import turned

_FRAMES = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 6, 3), np.uint8)


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


@pytest.fixture
def decoded_with(monkeypatch: pytest.MonkeyPatch, backend: Backend) -> None:
    """Files are decoded with `backend`."""
    monkeypatch.setattr(decoding, "decoding_backend", lambda: backend)


def _shades(count: int, size: tuple[int, int] = (160, 96)) -> list[Image.Image]:
    """Frames that are told apart by their grey."""
    return [Image.new("RGB", size, (8 * n, 8 * n, 8 * n)) for n in range(count)]


def _seen(pixels: Any) -> list[int]:
    return [round(frame.mean() / 8) for frame in pixels]


def _reference(path: Path) -> Any:
    """torchcodec as transformers calls it."""
    decoders = importlib.import_module("torchcodec.decoders")
    return decoders.VideoDecoder(str(path), seek_mode="exact", num_ffmpeg_threads=0)


@pytest.mark.slow
@needs_ffmpeg
@both_backends
@pytest.mark.usefixtures("decoded_with")
@pytest.mark.parametrize(
    ("name", "codec", "size"),
    [
        ("a.mp4", "libx264", (160, 96)),
        ("b.mkv", "mpeg4", (162, 98)),
        ("c.webm", "libvpx", (64, 48)),
    ],
)
def test_frames_are_those_of_torchcodec(
    tmp_path: Path, name: str, codec: str, size: tuple[int, int]
) -> None:
    rng = np.random.default_rng(0)
    blots = [Image.fromarray(rng.integers(0, 255, (6, 10, 3), np.uint8)) for _ in range(30)]
    path = make_video(tmp_path / name, [b.resize(size) for b in blots], codec=codec, fps=25)
    reference = _reference(path)
    wanted = [0, 1, 7, 8, 20, 29]
    with open_video_frames(Video(path)) as clip:
        assert clip.total_num_frames == reference.metadata.num_frames == 30
        assert clip.size == size
        found = clip.frames(wanted)
    np.testing.assert_array_equal(
        found, reference.get_frames_at(wanted).data.permute(0, 2, 3, 1).numpy()
    )


@needs_ffmpeg
@both_backends
@pytest.mark.usefixtures("decoded_with")
def test_pixels_that_are_not_square_stay_as_coded(tmp_path: Path) -> None:
    """Models were trained on frames that nobody stretched; OCR reads stretched ones."""

    def wide(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(2, 1)

    path = make_video(tmp_path / "v.mkv", _shades(5), set_up=wide)
    with open_video_frames(Video(path)) as clip:
        assert clip.size == (160, 96)
        np.testing.assert_array_equal(
            clip.frames([3]), _reference(path).get_frames_at([3]).data.permute(0, 2, 3, 1).numpy()
        )


@both_backends
@pytest.mark.usefixtures("decoded_with")
def test_what_is_known_of_a_file(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mkv", _shades(30), fps=10)
    with open_video_frames(Video(path)) as clip:
        assert clip.fps == pytest.approx(10)
        assert clip.duration == pytest.approx(3.0)
        assert clip.metadata is None


@both_backends
@pytest.mark.usefixtures("decoded_with")
def test_frames_in_any_order_and_twice(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mkv", _shades(20))
    with open_video_frames(Video(path)) as clip:
        assert _seen(clip.frames([19, 3, 3, 0])) == [19, 3, 3, 0]
        assert clip.frames([]).shape == (0, 96, 160, 3)
        with pytest.raises(InputError, match="20 frames; there is no frame 20"):
            clip.frames([20])


@both_backends
@pytest.mark.usefixtures("decoded_with")
def test_a_part_has_numbers_of_its_own(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mkv", _shades(30), fps=10)
    with open_video_frames(Video(path, start=1.05, end=2.0)) as clip:
        # The frame of 1.0 s is still shown when the part begins; that of 2.0 s is not part of it.
        assert clip.total_num_frames == 10
        assert _seen(clip.frames([0, 9])) == [10, 19]
        assert clip.duration == pytest.approx(0.95)
        assert clip.fps == pytest.approx(10)


@both_backends
@pytest.mark.usefixtures("decoded_with")
def test_frames_of_uneven_length_count_once_each(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.2, 1.5, 1.6, 4.0]
    path = make_video(tmp_path / "v.mkv", _shades(6), times=times, fps=30)
    with open_video_frames(Video(path)) as clip:
        assert _seen(clip.frames(range(6))) == [0, 1, 2, 3, 4, 5]
    with open_video_frames(Video(path, start=1.0, end=1.6)) as clip:
        assert _seen(clip.frames([0, 1])) == [2, 3]
        assert clip.total_num_frames == 2


@both_backends
@pytest.mark.usefixtures("decoded_with")
def test_a_file_that_does_not_begin_at_zero(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mkv", _shades(3), times=[8.0, 9.0, 10.0], fps=1)
    with open_video_frames(Video(path, start=1.0)) as clip:
        assert _seen(clip.frames([0, 1])) == [1, 2]


def test_a_still_of_one_frame(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mkv", _shades(1))
    with open_video_frames(Video(path)) as clip:
        assert clip.total_num_frames == 1
        assert clip.frames([0]).shape == (1, 96, 160, 3)


def test_seconds_and_pixels_are_bounded(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mkv", _shades(30), fps=10)
    with open_video_frames(Video(path), MediaPolicy(max_seconds=1.0)) as clip:
        assert clip.total_num_frames == 10
    small = MediaPolicy(max_pixels=10)
    for video in (Video(path), Video(_FRAMES)):
        with pytest.raises(MediaTooLarge, match="max_pixels"):
            open_video_frames(video, small)


def test_frames_in_memory() -> None:
    metadata = {"fps": 5.0, "total_num_frames": 100, "frames_indices": list(range(0, 100, 10))}
    with open_video_frames(Video(_FRAMES, metadata=metadata)) as clip:
        assert (clip.total_num_frames, clip.fps, clip.duration) == (10, 5.0, 2.0)
        assert clip.size == (6, 4)
        assert clip.metadata is metadata
        np.testing.assert_array_equal(clip.frames([9, 2]), _FRAMES[[9, 2]])
    with open_video_frames(Video(_FRAMES, start=0.4, end=1.0, metadata=metadata)) as clip:
        np.testing.assert_array_equal(clip.frames(range(3)), _FRAMES[2:5])
        assert (clip.total_num_frames, clip.duration) == (3, pytest.approx(0.6))
    with open_video_frames(Video(_FRAMES)) as clip:
        assert (clip.fps, clip.duration, clip.metadata) == (None, None, None)
    with pytest.raises(InputError, match="frame rate"):
        open_video_frames(Video(_FRAMES, start=1.0))


@needs_ffmpeg
@pytest.mark.parametrize("order", ["NCHW", "NHWC"])
def test_a_decoder_gives_what_its_file_gives(tmp_path: Path, order: str) -> None:
    path = make_video(tmp_path / "v.mkv", _shades(20), fps=10)
    decoders = importlib.import_module("torchcodec.decoders")
    decoder = decoders.VideoDecoder(str(path), dimension_order=order)
    with open_video_frames(Video(decoder)) as clip, open_video_frames(Video(path)) as file:
        assert clip.total_num_frames == file.total_num_frames
        assert clip.fps == pytest.approx(file.fps)
        np.testing.assert_array_equal(clip.frames([3, 19, 0]), file.frames([3, 19, 0]))
    with open_video_frames(Video(decoder, start=1.0)) as clip:
        assert _seen(clip.frames([0])) == [10]


def test_a_cut_off_video_gives_as_many_frames_as_asked(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = [Image.fromarray(rng.integers(0, 255, (96, 160, 3), np.uint8)) for _ in range(40)]
    whole = make_video(tmp_path / "whole.mkv", noise)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with open_video_frames(Video(cut)) as clip:
        assert 10 < clip.total_num_frames < 30
        assert len(clip.frames(range(clip.total_num_frames))) == clip.total_num_frames


@pytest.mark.parametrize(
    "video",
    [Video(Path("missing.mp4")), Video(np.zeros((0, 4, 6, 3), np.uint8))],
)
def test_what_has_no_frames_says_so(video: Video) -> None:
    with pytest.raises(UnreadableMedia, match=r"no file|no pixels"):
        open_video_frames(video)


def test_files_without_frames(tmp_path: Path) -> None:
    tiny = tmp_path / "tiny.mp4"
    tiny.write_bytes(b"\0\0\0")
    with pytest.raises(UnreadableMedia, match=r"tiny\.mp4 cannot be decoded"):
        open_video_frames(Video(tiny))
    heard = make_recording(tmp_path / "a.mp4", tone(1.0, rate=48_000), "aac")
    with pytest.raises(UnreadableMedia, match="no moving pictures"):
        open_video_frames(Video(heard))
    path = make_video(tmp_path / "v.mkv", colours("red", each=10))
    with pytest.raises(UnreadableMedia, match=r"v\.mkv has no frames between 5 s and 6 s"):
        open_video_frames(Video(path, start=5.0, end=6.0))


@pytest.mark.parametrize("video", [Video(_FRAMES, start=-1.0), Video(_FRAMES, start=2.0, end=1.0)])
def test_spans_that_are_none(video: Video) -> None:
    with pytest.raises(InputError, match="start < end"):
        open_video_frames(video)
