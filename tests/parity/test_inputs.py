"""All the forms an input may have, against sentence-transformers where it takes them too."""

from __future__ import annotations

import base64
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pictures
from sentence_transformers import SentenceTransformer

from mm_rag import Audio, Encoder, Image, MediaPolicy, Text, Video
from mm_rag.errors import UnsupportedModality
from tests.av_made import colours, make_video, make_wav
from tests.media.backends import needs_ffmpeg
from tests.media.web import served
from tests.parity import samples
from tests.parity.families import FAMILIES

TOLERANCE = 1e-5
RATE = 16_000
FILM = colours("red", "green", "blue", "white", "black", "orange", each=4, size=(64, 48))


def close(mine: Any, reference: Any) -> None:
    np.testing.assert_allclose(np.asarray(mine), np.asarray(reference), rtol=0, atol=TOLERANCE)


@pytest.fixture(scope="module")
def omni(tmp_path_factory: pytest.TempPathFactory) -> tuple[Encoder, SentenceTransformer]:
    """A model that takes everything."""
    family = next(family for family in FAMILIES if {"audio", "video"} <= set(family.modalities))
    folder = family.make(tmp_path_factory.mktemp("omni"))
    return (
        Encoder(folder, device="cpu", trust_remote_code=True),
        SentenceTransformer(str(folder), device="cpu", trust_remote_code=True),
    )


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> tuple[Encoder, SentenceTransformer]:
    """A model that chooses a video's frames by its frame rate."""
    family = next(family for family in FAMILIES if family.name == "Qwen3-VL Embedding")
    folder = family.make(tmp_path_factory.mktemp("seeing"))
    return Encoder(folder, device="cpu"), SentenceTransformer(str(folder), device="cpu")


def test_every_form_of_a_picture(
    seeing: tuple[Encoder, SentenceTransformer], tmp_path: Path
) -> None:
    ours, theirs = seeing
    picture = samples.pictures()[0]
    path = tmp_path / "picture.png"
    picture.save(path)
    array = np.asarray(picture)
    uri = "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    reference = theirs.encode([picture])[0]

    # sentence-transformers takes no bytes, no Path, and no array beside a picture in one batch.
    forms = [picture, str(path), path, path.read_bytes(), uri, array, tensor, {"image": picture}]
    close(ours.encode(forms), [reference] * len(forms))
    close(theirs.encode([str(path), uri]), [reference] * 2)


@pytest.mark.enable_socket
def test_an_address_of_a_picture(
    seeing: tuple[Encoder, SentenceTransformer], tmp_path: Path
) -> None:
    ours, theirs = seeing
    picture = samples.pictures()[0]
    picture.save(tmp_path / "picture.png")

    with served({"/picture.png": (tmp_path / "picture.png").read_bytes()}) as address:
        near = Encoder(ours.name, device="cpu", policy=MediaPolicy(private_hosts=True))
        close(near.encode(f"{address}/picture.png"), theirs.encode(picture))


@pytest.mark.parametrize("mode", ["RGBA", "L", "CMYK", "I;16", "P", "1", "LA"])
def test_pictures_of_every_mode_in_one_batch(
    seeing: tuple[Encoder, SentenceTransformer], mode: str
) -> None:
    ours, _ = seeing
    plain = samples.pictures()[0]
    grey = plain.convert("L")
    other = (
        Pictures.fromarray(np.asarray(grey).astype(np.uint16) * 257)
        if mode == "I;16"
        else plain.convert(mode)
    )
    assert other.mode == mode
    same_colours = grey if mode in ("L", "I;16", "LA") else other.convert("RGB")

    made = ours.encode([plain, other, same_colours])
    close(made[0], ours.encode(plain))
    close(made[1], ours.encode(same_colours))


def test_every_form_of_a_recording(
    omni: tuple[Encoder, SentenceTransformer], tmp_path: Path
) -> None:
    ours, theirs = omni
    tone = samples.recordings(RATE)[0]
    path = make_wav(tmp_path / "tone.wav", tone)
    heard = (np.clip(tone, -1, 1) * 32767).astype(np.int16)
    reference = theirs.encode({"array": heard / np.float32(32768), "sampling_rate": RATE})

    forms: list[Any] = [
        str(path),
        path,
        heard,
        heard / np.float32(32768),
        torch.from_numpy(heard / np.float32(32768)),
        {"array": heard, "sampling_rate": RATE},
        {"audio": str(path)},
        Audio(path),
        np.stack([heard, heard]),
        np.stack([heard, heard], axis=1),
    ]
    close(ours.encode(forms), [reference] * len(forms))
    close(theirs.encode(str(path)), reference)


@needs_ffmpeg
def test_decoders_of_torchcodec(omni: tuple[Encoder, SentenceTransformer], tmp_path: Path) -> None:
    ours, theirs = omni
    sound = make_wav(tmp_path / "tone.wav", samples.recordings(RATE)[0])
    film = make_video(tmp_path / "film.mkv", FILM, fps=8)
    decoders = importlib.import_module("torchcodec.decoders")
    heard, seen = decoders.AudioDecoder(str(sound)), decoders.VideoDecoder(str(film))

    close(ours.encode([heard, seen])[0], theirs.encode(decoders.AudioDecoder(str(sound))))
    close(ours.encode([heard, seen])[1], theirs.encode(decoders.VideoDecoder(str(film))))


def test_recordings_of_different_rates_in_one_batch(
    omni: tuple[Encoder, SentenceTransformer],
) -> None:
    """sentence-transformers refuses any rate but the model's; here it is changed."""
    ours, _ = omni
    slow, fast, own = (
        {"array": samples.recordings(rate)[0], "sampling_rate": rate}
        for rate in (8000, 48000, RATE)
    )
    vectors = ours.encode([slow, fast, own], normalize=True)

    assert (vectors @ vectors.T).min() > 0.99
    close(vectors[2], ours.encode(own, normalize=True))


@needs_ffmpeg
def test_every_form_of_a_video(seeing: tuple[Encoder, SentenceTransformer], tmp_path: Path) -> None:
    ours, theirs = seeing
    path = make_video(tmp_path / "film.mkv", FILM, fps=8)
    decoders = importlib.import_module("torchcodec.decoders")
    decoder = decoders.VideoDecoder(str(path), seek_mode="exact")
    frames = decoder.get_frames_in_range(0, 24).data
    told = {"fps": 8.0, "total_num_frames": 24, "duration": 3.0}
    reference = theirs.encode(str(path))

    forms: list[Any] = [
        str(path),
        Video(path),
        {"video": str(path)},
        {"array": frames, "video_metadata": told},
        {"array": frames.permute(0, 2, 3, 1).numpy(), "video_metadata": told},
        {"video": {"array": list(frames), "video_metadata": told}},
        decoder,
    ]
    close(ours.encode(forms), [reference] * len(forms))
    alone = frames.numpy()
    close(ours.encode(alone), theirs.encode(alone))


def test_a_part_of_a_video(seeing: tuple[Encoder, SentenceTransformer], tmp_path: Path) -> None:
    ours, _ = seeing
    path = make_video(tmp_path / "film.mkv", FILM, fps=8)
    whole, half = ours.encode([Video(path), Video(path, start=0.0, end=1.5)])

    assert not np.allclose(whole, half, atol=1e-3)


def test_everything_in_one_call(omni: tuple[Encoder, SentenceTransformer], tmp_path: Path) -> None:
    ours, theirs = omni
    sound = make_wav(tmp_path / "tone.wav", samples.recordings(RATE)[0])
    mixed: list[Any] = [
        "a cat",
        samples.pictures()[0],
        {"array": samples.recordings(RATE)[1], "sampling_rate": RATE},
        samples.videos()[0],
        {"image": samples.pictures()[1], "text": "What is the total?"},
        str(sound),
        {"video": samples.videos()[1], "audio": samples.recordings(RATE)[0], "text": "Both."},
        samples.messages()[1],
        "a cat",
    ]
    apart = [ours.encode(item) for item in mixed]

    close(ours.encode(mixed), apart)
    close(ours.encode(list(reversed(mixed))), list(reversed(apart)))
    close(apart, [theirs.encode(item) for item in mixed])


def test_names_of_media_are_words_to_a_model_without_that_medium(tmp_path: Path) -> None:
    folder = next(family for family in FAMILIES if family.name == "BGE").make(tmp_path / "model")
    samples.pictures()[0].save(tmp_path / "picture.png")
    names = [str(tmp_path / "picture.png"), "https://example.com/a/picture.jpg"]
    ours, theirs = Encoder(folder, device="cpu"), SentenceTransformer(str(folder), device="cpu")

    close(ours.encode(names), theirs.encode(names))
    close(ours.encode([Text(name) for name in names]), theirs.encode(names))
    with pytest.raises(UnsupportedModality, match="does not take image; it takes text"):
        ours.encode(Image(tmp_path / "picture.png"))
