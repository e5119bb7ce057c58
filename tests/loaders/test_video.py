"""Videos to Segments."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mm_rag.errors import MissingExtra, UnreadableMedia
from mm_rag.extraction import frame_sampling, recording
from mm_rag.media import MediaPolicy, decoding
from mm_rag.media.decoding import Backend, pyav
from mm_rag.media.video import open_video
from mm_rag.segment import Segment
from mm_rag_loaders import AssetStore, LoadOptions
from mm_rag_loaders.audio_loader import AudioLoader
from mm_rag_loaders.loader import SourceFile
from mm_rag_loaders.sources import Source
from mm_rag_loaders.video_loader import VideoLoader
from tests.av_made import colours, make_recording, make_video, make_wav, sign, tone
from tests.loaders.test_audio import Clock, time_itself
from tests.media.backends import PYAV, TORCHCODEC, both_backends, needs_ffmpeg
from tests.media.turned import turned

pytestmark = pytest.mark.slow


def check_spans(segments: list[Segment], duration: float) -> None:
    """The clips cover the whole video, without a gap."""
    assert segments[0].start == 0.0
    assert segments[-1].end == pytest.approx(duration, abs=0.1)
    assert all(before.end == after.start for before, after in pairwise(segments))


def picture(segment: Segment) -> np.ndarray:
    with Image.open(segment.preview or "") as preview:
        return np.asarray(preview, np.int16)


def decode_with(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen(_: Backend | None) -> Backend:
        return backend

    monkeypatch.setattr(decoding, "_chosen", chosen)


def test_a_video_is_cut_where_scenes_change(tmp_path: Path, options: LoadOptions) -> None:
    frames = [
        *[sign("First part", size=(320, 180))] * 12,
        *[sign("Second part", size=(320, 180), background="orange")] * 16,
    ]
    path = make_video(tmp_path / "two_scenes.mp4", frames, fps=2)
    segments = list(VideoLoader(options).load(path))
    assert [(s.start, s.end) for s in segments] == [(0.0, 6.0), (6.0, pytest.approx(14.0, abs=0.1))]
    assert [s.text for s in segments] == ["First part", "Second part"]
    first = segments[0]
    assert (first.modality, first.media, first.title) == ("video", str(path), "two scenes")
    assert first.metadata["width"] == 320
    assert first.metadata["has_audio"] is False
    assert first.preview is not None
    with Image.open(first.preview) as preview:
        assert preview.format == "JPEG"
        assert preview.size == (320, 180)


def test_the_key_frame_is_not_black(tmp_path: Path, options: LoadOptions) -> None:
    frames = [*colours("black", each=4, size=(320, 180)), *[sign("Hello", size=(320, 180))] * 2]
    path = make_video(
        tmp_path / "v.mp4", [*frames, *colours("black", each=4, size=(320, 180))], fps=2
    )
    segments = list(VideoLoader(options).load(path))
    previews = [Image.open(s.preview).convert("L") for s in segments if s.preview]
    assert any(np.asarray(p).mean() > 100 for p in previews)


def test_a_long_scene_is_cut_between_subtitles(tmp_path: Path, options: LoadOptions) -> None:
    path = make_video(
        tmp_path / "v.mkv",
        colours("gray", each=40),
        fps=1,
        subtitles=[(0.0, 18.0, "one"), (19.0, 28.0, "two"), (29.0, 39.0, "three")],
    )
    segments = list(VideoLoader(options).load(path))
    check_spans(segments, 40.0)
    assert segments[0].end == 28.0
    assert [s.text.splitlines()[0] for s in segments] == ["one", "three"]


def test_a_video_of_sound_only_is_a_recording(tmp_path: Path, options: LoadOptions) -> None:
    path = make_recording(tmp_path / "a.mp4", tone(2.0, rate=48_000, volume=0.0), "aac")
    (segment,) = VideoLoader(options).load(path)
    assert segment.modality == "audio"


def test_what_the_policy_leaves_out_is_noted(tmp_path: Path, options: LoadOptions) -> None:
    path = make_video(tmp_path / "v.mp4", colours("gray", each=20), fps=1)
    file = SourceFile.of(Source(path), options)
    limited = LoadOptions(assets=options.assets, policy=MediaPolicy(max_seconds=10.0))
    segments = list(VideoLoader(limited).segments(file))
    assert segments[-1].end == 10.0
    assert any("read until 10.0 s" in note.text for note in file.notes)


def test_rubble_is_refused(tmp_path: Path, options: LoadOptions) -> None:
    path = tmp_path / "v.mp4"
    path.write_bytes(np.random.default_rng(0).bytes(20_000))
    with pytest.raises(UnreadableMedia, match=r"v\.mp4"):
        list(VideoLoader(options).load(path))


def test_the_type_is_that_of_the_content(tmp_path: Path, options: LoadOptions) -> None:
    video = make_video(tmp_path / "v.mp4", colours("gray", each=4), fps=2)
    sound = make_wav(tmp_path / "a.wav", np.zeros(16_000, np.float32))
    (clip,) = VideoLoader(options).load(video.rename(tmp_path / "photo.jpg"))
    (part,) = AudioLoader(options).load(sound.rename(tmp_path / "a.mp3"))
    assert clip.mime_type == "video/mp4"
    assert part.mime_type == "audio/x-wav"


def test_without_its_readers_a_video_is_kept_and_noted(
    tmp_path: Path, options: LoadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise MissingExtra("This needs a package that is not installed.")

    monkeypatch.setattr(frame_sampling, "may_show_text", missing)
    monkeypatch.setattr(recording, "default_transcriber", missing)
    path = make_video(
        tmp_path / "v.mkv",
        colours("gray", each=40),
        fps=1,
        sound=tone(40.0, rate=48_000),
        subtitles=[(0.0, 5.0, "Welcome")],
    )
    file = SourceFile.of(Source(path), options)
    segments = list(VideoLoader(options).segments(file))
    assert segments[0].text == "Welcome"
    assert all(segment.text == "" for segment in segments[1:])
    assert sorted(file.missing) == ["the speech", "the text on the screen"]
    assert len(file.notes) == 2
    assert all("was not read: This needs" in note.text for note in file.notes)


@pytest.mark.parametrize(
    ("degrees", "size"), [(90, (180, 320)), (180, (320, 180)), (270, (180, 320))]
)
def test_a_turned_video_is_read_upright(
    tmp_path: Path, options: LoadOptions, degrees: int, size: tuple[int, int]
) -> None:
    upright = sign("Hello", size=size)
    coded = upright.rotate(degrees, expand=True)
    path = turned(make_video(tmp_path / "v.mp4", [coded] * 12, fps=2), degrees)
    (segment,) = VideoLoader(options).load(path)
    assert segment.text == "Hello"
    assert (segment.metadata["width"], segment.metadata["height"]) == size
    assert np.abs(picture(segment) - np.asarray(upright, np.int16)).mean() < 6


@both_backends
def test_scene_changes_are_found_to_the_frame(
    tmp_path: Path, options: LoadOptions, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode_with(backend, monkeypatch)
    frames = [*colours("navy", each=57), *colours("orange", each=51), *colours("green", each=47)]
    segments = list(VideoLoader(options).load(make_video(tmp_path / "v.mp4", frames)))
    check_spans(segments, 15.5)
    for segment, change in zip(segments[1:], (5.7, 10.8), strict=True):
        assert segment.start == pytest.approx(change, abs=1e-6)


@both_backends
def test_frames_of_uneven_length_keep_their_times(
    tmp_path: Path, options: LoadOptions, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode_with(backend, monkeypatch)
    times = [0.0, 0.1, 0.2, 3.0, 6.25, 6.3, 6.35, 6.4, 9.0, 12.0]
    frames = [*colours("navy", each=4), *colours("orange", each=6)]
    path = make_video(tmp_path / "v.mkv", frames, times=times, fps=30)
    first, second = VideoLoader(options).load(path)
    assert (first.start, first.end, second.start) == (0.0, 6.25, 6.25)
    assert second.end == pytest.approx(12.03, abs=0.05)
    assert picture(first).mean(axis=(0, 1)).argmax() == 2
    assert picture(second).mean(axis=(0, 1)).argmax() == 0


@needs_ffmpeg
def test_both_decoders_give_the_same_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes = [("Opening", "white"), ("Middle part", "orange"), ("The end", "skyblue")]
    frames = [sign(text, background=colour) for text, colour in scenes for _ in range(24)]
    path = make_video(
        tmp_path / "v.mp4", frames, fps=4, codec="libx264", sound=tone(18.0, rate=48_000)
    )
    found: dict[Backend, list[Segment]] = {}
    for backend in (PYAV, TORCHCODEC):
        decode_with(backend, monkeypatch)
        options = LoadOptions(assets=AssetStore(tmp_path / backend))
        found[backend] = list(VideoLoader(options).load(path))
    assert [s.text for s in found[PYAV]] == [text for text, _ in scenes]
    for one, other in zip(found[PYAV], found[TORCHCODEC], strict=True):
        assert (one.id, one.start, one.end, one.text) == (
            other.id,
            other.start,
            other.end,
            other.text,
        )
        assert one.metadata == other.metadata
        assert np.abs(picture(one) - picture(other)).max() <= 8


def test_a_word_at_a_cut_is_heard_whole_and_once(tmp_path: Path, options: LoadOptions) -> None:
    frames = [*colours("navy", each=11), *colours("orange", each=11), *colours("green", each=10)]
    samples = np.repeat(time_itself(16.0), 3)
    path = make_video(tmp_path / "v.mkv", frames, fps=2, sound=samples, sound_codec="pcm_s16le")
    heard = LoadOptions(assets=options.assets, transcriber=Clock())
    segments = list(VideoLoader(heard).load(path))
    assert [s.start for s in segments] == [0.0, 5.5, 11.0]
    assert " ".join(s.text for s in segments).split() == [f"w{n}" for n in range(16)]
    assert {s.metadata["transcriber"] for s in segments} == {"clock 1.0"}


def test_subtitles_say_that_they_are(tmp_path: Path, options: LoadOptions) -> None:
    path = make_video(
        tmp_path / "v.mkv", colours("gray", each=6), fps=1, subtitles=[(0.0, 5.0, "Welcome")]
    )
    (segment,) = VideoLoader(options).load(path)
    assert (segment.text, segment.metadata["subtitles"]) == ("Welcome", True)


def test_a_video_is_decoded_once(
    tmp_path: Path, options: LoadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scene changes, text and key frames used to be three passes over every frame."""
    decode_with(PYAV, monkeypatch)
    decoded: list[int] = []
    decode = pyav.Track.decode

    def counted(self: pyav.Track) -> Iterator[Any]:
        for frame in decode(self):
            decoded.append(1)
            yield frame

    monkeypatch.setattr(pyav.Track, "decode", counted)
    path = make_video(tmp_path / "v.mp4", colours("gray", each=600), fps=10)
    segments = list(VideoLoader(options).load(path))
    check_spans(segments, 60.0)
    # Around each key frame some frames are decoded once more.
    assert len(decoded) < 600 + 20 * len(segments)


@both_backends
def test_a_cut_is_found_to_the_frame(
    tmp_path: Path, options: LoadOptions, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode_with(backend, monkeypatch)
    # Frames come as they like, one in each scene is a flash, and the file does not begin at 0.
    steps = np.random.default_rng(5).choice([0.017, 0.033, 0.05, 0.2], 300)
    times = [5.0 + round(float(time), 3) for time in np.cumsum(steps)]
    frames = colours("navy", "orange", each=150, size=(96, 64))
    frames[148] = frames[152] = Image.new("RGB", (96, 64), "white")
    path = make_video(tmp_path / "v.mkv", frames, times=times)
    first, second = VideoLoader(options).load(path)
    assert first.end == second.start == pytest.approx(times[150] - times[0], abs=2e-3)
    assert second.start is not None
    with open_video(path, backend=backend) as video:
        shown = [
            np.asarray(video.frame_at(second.start + late)).mean(axis=(0, 1)) for late in (0, -0.01)
        ]
    assert shown[0][0] > 200 > 100 > shown[1][0]


def test_a_cut_among_thousands_of_frames_is_found_to_the_frame(
    tmp_path: Path, options: LoadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A thousand frames between two looks, as a header or a high-speed camera may have it.
    slow = [n / 10 for n in range(60)]
    fast = [6.0 + n / 1000 for n in range(1000)]
    frames = [
        *colours("navy", each=1033, size=(32, 32)),
        *colours("orange", each=107, size=(32, 32)),
    ]
    late = [7.0 + n / 10 for n in range(80)]
    path = make_video(tmp_path / "v.mkv", frames, times=[*slow, *fast, *late])
    first, second = VideoLoader(options).load(path)
    assert first.end == second.start == pytest.approx(6.973, abs=1e-6)
