"""Batches of media are sized by what each of them becomes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pictures

from mm_rag import Audio, Encoder, Image, Mixed, Text, Url, Video
from mm_rag.modules import Transformer, batching
from tests.av_made import colours, make_video
from tests.parity.replicas import clip, qwen3_vl
from tests.parity.replicas.omni import omni_embed

SIZES = [(32, 32), (64, 320), (333, 97), (640, 480), (900, 1200)]


def picture(width: int, height: int) -> Pictures.Image:
    return Pictures.new("RGB", (width, height), (width % 255, height % 255, 90))


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return Encoder(qwen3_vl(tmp_path_factory.mktemp("qwen"), max_length=4096), device="cpu")


def transformer(model: Encoder) -> Transformer:
    return next(part for part in model.chain.modules() if isinstance(part, Transformer))


def count(model: Encoder, content: Any) -> int:
    return transformer(model).lengths([content])[0]


def patches(model: Encoder, content: Any) -> int:
    features = transformer(model).preprocess([content])
    names = ("pixel_values", "pixel_values_videos")
    return sum(len(features[name]) for name in names if name in features)


@pytest.mark.parametrize("size", SIZES)
def test_pictures_count_as_their_patches(
    seeing: Encoder, size: tuple[int, int], tmp_path: Path
) -> None:
    shown = picture(*size)
    shown.save(tmp_path / "a.png")
    buffer = io.BytesIO()
    shown.save(buffer, "PNG")
    sources: list[Any] = [tmp_path / "a.png", buffer.getvalue(), shown, np.asarray(shown)]
    expected = patches(seeing, Image(shown))

    assert expected > 0
    for source in sources:
        assert count(seeing, Image(source)) == pytest.approx(expected, abs=2)
    with_words = Mixed((Image(shown), Text("a cat"), Image(shown)))
    assert count(seeing, with_words) > 2 * expected


@pytest.mark.parametrize("frames", [2, 7, 24])
def test_videos_count_as_their_frames(seeing: Encoder, frames: int) -> None:
    pixels = np.zeros((frames, 64, 96, 3), np.uint8)
    video = Video(pixels, metadata={"fps": 4.0, "total_num_frames": frames})

    assert count(seeing, video) == pytest.approx(patches(seeing, video), abs=2)


def test_a_film_counts_by_its_header(seeing: Encoder, tmp_path: Path) -> None:
    film = make_video(tmp_path / "film.mp4", colours("red", "green", "blue", each=8))

    assert count(seeing, Video(film)) == pytest.approx(patches(seeing, Video(film)), rel=0.5)
    assert count(seeing, Video(film, end=0.5)) <= count(seeing, Video(film))


def test_recordings_count_as_their_seconds(tmp_path: Path) -> None:
    folder = omni_embed(tmp_path)
    hearing = Encoder(folder, device="cpu", trust_remote_code=True)
    counts = [count(hearing, Audio(np.zeros(16_000 * n, np.float32), 16_000)) for n in (1, 4, 60)]

    assert counts == pytest.approx([100, 400, 6000], abs=2)
    part = Audio(np.zeros(160_000, np.float32), 16_000, 2.0, 3.0)
    assert count(hearing, part) == pytest.approx(100, abs=2)


def test_what_cannot_be_known_is_estimated(seeing: Encoder, tmp_path: Path) -> None:
    """Nothing is fetched, and what is damaged is told of when it is opened."""
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"no picture")
    unknown: list[Any] = [
        Image(Url("https://host.test/a.png")),
        Image(damaged),
        Image(tmp_path / "missing.png"),
        Audio(Url("https://host.test/a.wav")),
        Video(Url("https://host.test/a.mp4")),
        Video(tmp_path / "missing.mp4"),
    ]
    for content in unknown:
        assert count(seeing, content) >= 1024


def test_pictures_that_are_brought_to_one_size_count_alike(tmp_path: Path) -> None:
    encoder = Encoder(clip(tmp_path), device="cpu")
    assert len({count(encoder, Image(picture(*size))) for size in SIZES}) == 1


@pytest.mark.slow
def test_batches_hold_no_more_than_the_budget(
    seeing: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = [Image(picture(*size)) for size in SIZES * 2]
    contents += [Image(picture(40 + n, 40)) for n in range(8)]
    alone = [patches(seeing, content) for content in contents]
    budget = 3 * max(alone)
    monkeypatch.setattr(batching, "_CPU_TOKENS", budget)
    expected = np.stack([seeing.encode(content) for content in contents])
    seen: list[int] = []

    def watch(_: Any, inputs: tuple[Any, ...]) -> None:
        seen.append(len(inputs[0]["pixel_values"]))

    hook = transformer(seeing).register_forward_pre_hook(watch)
    try:
        made = seeing.encode(contents)
    finally:
        hook.remove()
    assert all(number <= budget for number in seen)
    assert 1 < len(seen) < len(contents)
    np.testing.assert_allclose(made, expected, atol=1e-5)
