"""Animations to Segments."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mm_rag.errors import UnreadableMedia
from mm_rag.media import MediaPolicy
from mm_rag.media.image import open_animation
from mm_rag.segment import Segment
from mm_rag_loaders import ImageLoader, LoadOptions, Source, SourceFile, image_loader
from tests.loaders.pictures import sign

pytestmark = pytest.mark.slow


def save(path: Path, frames: list[Image.Image], duration: int | list[int], **more: Any) -> Path:
    """`duration` is of each frame, in milliseconds."""
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=duration, **more)
    return path


def shades(count: int, size: tuple[int, int] = (64, 48)) -> list[Image.Image]:
    return [Image.new("RGB", size, (8 * n % 256, 60, (5 * n) % 256)) for n in range(count)]


def read(path: Path, options: LoadOptions) -> tuple[list[Segment], list[str]]:
    file = SourceFile.of(Source(path), options)
    return list(ImageLoader(options).segments(file)), [note.text for note in file.notes]


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "avif"])
def test_every_different_frame_is_a_segment(
    tmp_path: Path, options: LoadOptions, suffix: str
) -> None:
    frames = [sign("Hello"), sign("Hello"), sign("World")]
    path = save(tmp_path / f"a.{suffix}", frames, [1000, 1000, 2000])
    segments, notes = read(path, options)
    assert [(s.text, s.start, s.end) for s in segments] == [("Hello", 0, 2), ("World", 2, 4)]
    assert notes == []
    assert {(s.modality, s.mime_type, s.page) for s in segments} == {("image", "image/jpeg", None)}
    assert len({s.media for s in segments} | {s.id for s in segments}) == 4
    for segment in segments:
        with Image.open(segment.media or "") as kept:
            assert kept.size == (700, 200)
        assert segment.boxes is not None
        assert options.assets.root in Path(segment.boxes).parents


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_what_never_changes_is_a_still(tmp_path: Path, options: LoadOptions, suffix: str) -> None:
    almost = sign("Hello")
    almost.putpixel((3, 3), (250, 250, 250))
    path = save(tmp_path / f"a.{suffix}", [sign("Hello"), almost], 700)
    (segment,), notes = read(path, options)
    assert (segment.media, segment.text, segment.start) == (str(path), "Hello", None)
    assert notes == []


def test_a_flicker_keeps_both_of_its_pictures(tmp_path: Path, options: LoadOptions) -> None:
    path = save(tmp_path / "a.gif", [sign("Hello"), sign("World")], 0)
    segments, _ = read(path, options)
    assert [(s.text, s.start, s.end) for s in segments] == [("Hello", 0, 0.1), ("World", 0.1, 0.2)]


def test_no_more_than_two_frames_of_a_second(tmp_path: Path, options: LoadOptions) -> None:
    frames = [
        Image.new("RGB", (64, 48), colour) for colour in ("red", "lime", "blue", "white") * 10
    ]
    segments, notes = read(save(tmp_path / "a.gif", frames, 100), options)
    starts = [s.start or 0.0 for s in segments]
    assert len(segments) in (8, 9)
    assert all(later - earlier >= 0.5 for earlier, later in pairwise(starts[:8]))
    assert all(one.end == other.start for one, other in pairwise(segments))
    assert segments[-1].end == pytest.approx(4.0)
    assert notes == []


def test_of_many_frames_32_are_kept(tmp_path: Path, options: LoadOptions) -> None:
    colours = [Image.new("RGB", (64, 48), "red"), Image.new("RGB", (64, 48), "blue")]
    segments, notes = read(save(tmp_path / "a.gif", colours * 50, 1000), options)
    assert len(segments) == 32
    assert (segments[0].start, segments[-1].end) == (0.0, 100.0)
    assert all(one.end == other.start for one, other in pairwise(segments))
    assert notes == ["32 of 100 different frames were kept"]


def test_the_policy_says_how_many_are_looked_at(tmp_path: Path, options: LoadOptions) -> None:
    path = save(tmp_path / "a.gif", shades(20), 1000)
    few = LoadOptions(assets=options.assets, policy=MediaPolicy(max_frames=5))
    segments, notes = read(path, few)
    assert segments[-1].end == 5.0
    assert notes == ["the first 5 of 20 frames were looked at (MediaPolicy.max_frames)"]


def test_a_picture_that_comes_back_is_read_once(
    tmp_path: Path, options: LoadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    read_picture = image_loader.read_picture

    def counted(picture: Image.Image, file: SourceFile, place: str) -> Any:
        reads.append(place)
        return read_picture(picture, file, place)

    monkeypatch.setattr(image_loader, "read_picture", counted)
    blinking = [Image.new("RGB", (64, 48), "red"), Image.new("RGB", (64, 48), "blue")] * 3
    segments, _ = read(save(tmp_path / "a.png", blinking, 1000), options)
    assert len(segments) == 6
    assert len(reads) == 2


def test_a_cut_off_animation_is_read_as_far_as_it_goes(
    tmp_path: Path, options: LoadOptions
) -> None:
    rng = np.random.default_rng(0)
    noise = [Image.fromarray(rng.integers(0, 255, (48, 64, 3), np.uint8)) for _ in range(8)]
    path = save(tmp_path / "a.png", noise, 1000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    segments, notes = read(path, options)
    assert 2 <= len(segments) < 8
    assert "could not be read" in notes[0]
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UnreadableMedia, match="damaged"):
        read(path, options)


def test_time_is_bounded(tmp_path: Path, options: LoadOptions) -> None:
    path = save(tmp_path / "a.gif", shades(20), 1000)
    hasty = LoadOptions(assets=options.assets, policy=MediaPolicy(max_load_seconds=1e-9))
    _, notes = read(path, hasty)
    assert notes == ["only looked at until 1.0 s: it took too long (MediaPolicy.max_load_seconds)"]


def test_frames_know_when_they_are_shown(tmp_path: Path) -> None:
    path = save(tmp_path / "a.webp", shades(3), [40, 10, 500], lossless=True)
    shown = [(frame.start, frame.end) for frame in open_animation(path)]
    assert shown == [(0.0, 0.04), (0.04, 0.14), (0.14, 0.64)]
