"""Recordings and videos to Segments."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mm_rag.errors import InputError, MissingExtra, UnreadableMedia
from mm_rag.media import MediaPolicy
from mm_rag.reading import onscreen, recording
from mm_rag.segment import Segment
from mm_rag_loaders.assets import AssetStore
from mm_rag_loaders.audio import AudioLoader
from mm_rag_loaders.loader import SourceFile
from mm_rag_loaders.options import LoadOptions
from mm_rag_loaders.sources import Source
from mm_rag_loaders.video import VideoLoader
from tests.av_made import colours, make_recording, make_video, make_wav, sign, tone


@pytest.fixture
def options(tmp_path: Path) -> LoadOptions:
    return LoadOptions(assets=AssetStore(tmp_path / "assets"))


def _check_spans(segments: list[Segment], duration: float) -> None:
    assert segments[0].start == 0.0
    assert segments[-1].end == pytest.approx(duration, abs=0.1)
    for before, after in pairwise(segments):
        assert before.end == after.start


def test_a_recording_becomes_clips(tmp_path: Path, options: LoadOptions) -> None:
    quiet = np.zeros(16_000, np.float32)
    path = make_wav(tmp_path / "board_meeting.wav", np.concatenate([quiet] * 65))
    segments = list(AudioLoader(options).load(path))
    _check_spans(segments, 65.0)
    assert len(segments) == 3
    first = segments[0]
    assert (first.modality, first.title, first.text) == ("audio", "board meeting", "")
    assert first.media == first.source == str(path)
    assert first.preview is None
    assert first.metadata["duration"] == pytest.approx(65.0, abs=0.1)
    assert len({segment.id for segment in segments}) == 3


def test_tags_name_a_recording(tmp_path: Path, options: LoadOptions) -> None:
    path = make_recording(
        tmp_path / "x.flac",
        tone(2.0, rate=48_000, volume=0.0),
        "flac",
        tags={"title": "The lecture", "artist": "A. Speaker", "comment": "no"},
    )
    (segment,) = AudioLoader(options).load(path)
    assert segment.title == "The lecture"
    assert segment.metadata["artist"] == "A. Speaker"
    assert "comment" not in segment.metadata
    assert segment.mime_type is not None


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
    _check_spans(segments, 40.0)
    assert segments[0].end == 28.0
    assert [s.text.splitlines()[0] for s in segments] == ["one", "three"]


def test_a_video_of_sound_only_is_a_recording(tmp_path: Path, options: LoadOptions) -> None:
    path = make_recording(tmp_path / "a.mp4", tone(2.0, rate=48_000, volume=0.0), "aac")
    (segment,) = VideoLoader(options).load(path)
    assert segment.modality == "audio"


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
    assert any("lasts 8.0 s" in note for note in file.notes)
    assert any("sound track" in note for note in file.notes)
    assert len(list(AudioLoader(options).load(path))) == 1


def test_what_the_policy_leaves_out_is_noted(tmp_path: Path, options: LoadOptions) -> None:
    path = make_video(tmp_path / "v.mp4", colours("gray", each=20), fps=1)
    file = SourceFile.of(Source(path), options)
    limited = LoadOptions(assets=options.assets, policy=MediaPolicy(max_seconds=10.0))
    segments = list(VideoLoader(limited).segments(file))
    assert segments[-1].end == 10.0
    assert any("read until 10.0 s" in note for note in file.notes)


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


@pytest.mark.parametrize("name", ["clip_seconds", "passage_words", "page_pixels"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_options_must_be_positive(name: str, value: float) -> None:
    settings: dict[str, Any] = {name: value}
    with pytest.raises(InputError, match=rf"LoadOptions\.{name} must be more than 0"):
        LoadOptions(**settings)


def test_without_its_readers_a_video_is_kept_and_noted(
    tmp_path: Path, options: LoadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise MissingExtra("This needs a package that is not installed.")

    monkeypatch.setattr(onscreen, "read_image", missing)
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
    assert all("was not read: This needs" in note for note in file.notes)
