"""What a model cannot use: one clear error that names the input, and an encoder that goes on."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pictures

from mm_rag import Audio, Encoder, Image, MediaPolicy, Text, Video
from mm_rag.content import Chat, Mixed, Turn
from mm_rag.errors import (
    CheckpointError,
    InputError,
    MediaTooLarge,
    MissingExtra,
    UnreadableMedia,
    UnsupportedModality,
)
from tests.av_made import colours, make_video, make_wav, tone
from tests.parity import replicas
from tests.parity.loading import Make, maker

TONE = tone(0.3)
FILM = colours("red", "green", "blue", each=4, size=(64, 48))


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Replicas by the names of their families."""
    return maker(tmp_path_factory)


@pytest.fixture(scope="module")
def seeing(make: Make) -> Encoder:
    """Text, pictures, videos and chat messages."""
    return make("Qwen3-VL Embedding")


@pytest.fixture(scope="module")
def hearing(make: Make) -> Encoder:
    """Text and recordings."""
    return make("CLAP")


def picture(width: int = 50, height: int = 40) -> Pictures.Image:
    random = np.random.default_rng(width * height)
    return Pictures.fromarray(random.integers(0, 255, (height, width, 3), dtype=np.uint8))


def refused(encoder: Encoder, bad: Any, error: type[InputError], words: str) -> None:
    """Alone and among others, without a trace in what comes after."""
    good: list[Any] = ["a cat", "a cat", "light"]
    before = encoder.encode(good)

    with pytest.raises(error, match=words) as alone:
        encoder.encode(bad)
    with pytest.raises(error, match=words) as together:
        encoder.encode([*good, bad])

    assert alone.value.position is None
    assert together.value.position == 3
    assert str(together.value).startswith("Input 3: ")
    np.testing.assert_array_equal(encoder.encode(good), before)


@pytest.mark.slow
def test_a_modality_that_the_model_lacks(seeing: Encoder, hearing: Encoder) -> None:
    words = "does not take audio; it takes text, image, video"
    refused(seeing, Audio(TONE), UnsupportedModality, words)
    refused(hearing, picture(), UnsupportedModality, "does not take image; it takes text, audio")
    refused(hearing, {"audio": TONE, "text": "?"}, UnsupportedModality, "audio with text")
    shown = [{"role": "user", "content": [{"type": "audio", "audio": TONE}]}]
    refused(seeing, [*shown], UnsupportedModality, "does not take audio")


def test_two_pictures_for_a_model_that_takes_one(make: Make) -> None:
    both = Mixed((Image(picture()), Image(picture())))
    refused(make("CLIP"), both, UnsupportedModality, "one image at a time, and an input has 2")


def test_a_missing_extra(hearing: Encoder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = make_wav(tmp_path / "tone.wav", TONE)
    expected = hearing.encode(path)

    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "av", None)
        with pytest.raises(MissingExtra, match=r"'av'.*pip install .*\[video\]'"):
            hearing.encode(["a cat", path])
    np.testing.assert_array_equal(hearing.encode(path), expected)


def test_pictures_that_cannot_be_read(seeing: Encoder, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    picture().save(buffer, "PNG")
    cut = tmp_path / "cut.png"
    cut.write_bytes(buffer.getvalue()[:200])

    refused(
        seeing,
        Image(b"no picture"),
        UnreadableMedia,
        "not a picture that the installed Pillow can read",
    )
    refused(seeing, str(cut), UnreadableMedia, "cut.png is a damaged picture")
    refused(seeing, Path("nowhere.png"), UnreadableMedia, "no file nowhere.png")
    refused(seeing, Image(tmp_path), UnreadableMedia, "no file")
    refused(seeing, {"text": "What is it?", "image": b"zz"}, UnreadableMedia, "no picture")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="There are no named pipes here.")
def test_a_pipe_that_nobody_writes_to(seeing: Encoder, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")

    refused(seeing, tmp_path / "pipe.png", UnreadableMedia, "no file .*pipe.png")


def test_a_picture_over_the_limit(seeing: Encoder) -> None:
    strict = Encoder(seeing.name, device="cpu", policy=MediaPolicy(max_pixels=100))

    refused(strict, picture(), MediaTooLarge, "max_pixels allows 100")


def test_more_frames_than_fit_into_memory(seeing: Encoder) -> None:
    strict = Encoder(seeing.name, device="cpu", policy=MediaPolicy(max_bytes=10_000))
    words = "4 frames of this video, 48 x 32 pixels, which take 18,432 bytes"

    refused(strict, {"video": np.zeros((6, 32, 48, 3), np.uint8)}, MediaTooLarge, words)


def test_a_picture_that_the_processor_refuses(seeing: Encoder) -> None:
    refused(seeing, picture(width=3000, height=3), InputError, "refuses the input.*aspect ratio")


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"start": 1.0, "end": 1.0}, "0 <= start < end"),
        ({"start": -1.0}, "0 <= start < end"),
        ({"start": float("nan")}, "0 <= start < end"),
        ({"end": float("inf")}, "0 <= start < end"),
        ({"start": "1"}, "0 <= start < end"),
        ({"start": 99.0}, "no (frames|sound)"),
    ],
)
def test_a_part_that_is_none(
    seeing: Encoder, hearing: Encoder, tmp_path: Path, part: dict[str, Any], words: str
) -> None:
    film = make_video(tmp_path / "film.mkv", FILM, fps=8)
    frames = np.zeros((6, 32, 32, 3), np.uint8)
    sound = make_wav(tmp_path / "tone.wav", TONE)

    refused(seeing, Video(film, **part), InputError, words)
    refused(seeing, Video(frames, metadata={"fps": 2}, **part), InputError, words)
    refused(hearing, Audio(sound, **part), InputError, words)
    refused(hearing, Audio(TONE, 16_000, **part), InputError, words)


def test_clips_of_no_length(seeing: Encoder, hearing: Encoder, tmp_path: Path) -> None:
    silent = make_wav(tmp_path / "empty.wav", TONE[:0])

    refused(seeing, np.zeros((0, 32, 32, 3), np.uint8), UnreadableMedia, "no pixels")
    refused(hearing, TONE[:0], UnreadableMedia, "no samples")
    refused(hearing, silent, UnreadableMedia, "empty.wav")


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_samples_that_are_no_numbers(hearing: Encoder, wrong: float) -> None:
    samples = TONE.copy()
    samples[7] = wrong

    refused(hearing, samples, UnreadableMedia, "not finite")
    refused(hearing, Audio(samples, 8000), UnreadableMedia, "not finite")


@pytest.mark.parametrize("rate", [0, -8000, 8000.5, "16000", 1, 2**40])
def test_impossible_sampling_rates(hearing: Encoder, rate: Any) -> None:
    refused(hearing, Audio(TONE, rate), InputError, "Hz")
    refused(hearing, {"array": TONE, "sampling_rate": rate}, InputError, "Hz")


def test_empty_texts_have_vectors(seeing: Encoder, hearing: Encoder) -> None:
    for encoder in (seeing, hearing):
        alone = encoder.encode("")
        assert np.isfinite(alone).all()
        np.testing.assert_allclose(encoder.encode(["a cat", ""])[1], alone, atol=1e-5)


@pytest.mark.parametrize("name", ["film.mp4", "film.webm", "tone.wav", "tone.mp3"])
def test_three_bytes(seeing: Encoder, hearing: Encoder, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"abc")
    encoder = hearing if name.startswith("tone") else seeing

    refused(encoder, path, UnreadableMedia, f"{name} cannot be decoded")
    refused(encoder, str(path), UnreadableMedia, f"{name} cannot be decoded")


def test_a_recording_given_as_a_video(seeing: Encoder, tmp_path: Path) -> None:
    sound = make_wav(tmp_path / "tone.wav", TONE)

    refused(seeing, Video(sound), UnreadableMedia, "no moving pictures")


@pytest.mark.parametrize(
    "metadata",
    [
        {"fps": 0},
        {"fps": float("nan")},
        {"fps": "2"},
        {"fps": 2, "total_num_frames": 0},
        {"fps": 2, "total_num_frames": 99},
        {"fps": 2, "duration": -1},
        {"fps": 2, "frames_indices": "abc"},
        {"fps": 2, "director": "nobody"},
    ],
)
def test_metadata_that_say_nothing(seeing: Encoder, metadata: dict[str, Any]) -> None:
    frames = np.zeros((6, 32, 32, 3), np.uint8)

    refused(seeing, Video(frames, metadata=metadata), InputError, "video_metadata")


def test_tensors_without_numbers(seeing: Encoder) -> None:
    refused(seeing, torch.empty(3, 8, 8, device="meta"), InputError, "cannot be read as an array")
    refused(seeing, torch.eye(4).to_sparse(), InputError, "cannot be read as an array")


def test_words_and_a_picture_that_are_too_long_together(seeing: Encoder) -> None:
    limit = r"It takes \d+ tokens of words and media together"
    refused(seeing, {"text": "word " * 5000, "image": picture()}, InputError, limit)


@pytest.mark.parametrize("content", [3, None, b"words"])
def test_text_that_is_no_str(content: Any) -> None:
    with pytest.raises(InputError, match="Text holds a str"):
        Text(content)


def test_content_of_other_things() -> None:
    wrong: Any = ("words",)
    with pytest.raises(InputError, match=r"Mixed content holds Text.*got a str"):
        Mixed(wrong)
    with pytest.raises(InputError, match=r"A Turn holds Text.*got a str"):
        Turn("user", wrong)
    with pytest.raises(InputError, match="A Chat holds Turns; got a str"):
        Chat(wrong)


def test_half_a_character(seeing: Encoder, hearing: Encoder) -> None:
    """Names of files and words of damaged PDFs hold these; sentence-transformers fails on them."""
    for encoder in (seeing, hearing):
        mended = encoder.encode(["a \ud800 cat", "\ud83d\ude00"])
        np.testing.assert_array_equal(mended, encoder.encode(["a \ufffd cat", "\U0001f600"]))


@pytest.mark.parametrize("mark", ["<|image_pad|>", "<|video_pad|>"])
def test_words_that_stand_for_a_medium(seeing: Encoder, mark: str) -> None:
    """sentence-transformers refuses a page that shows the marks of the model's own template."""
    words = f"The mark {mark} is a token."
    shown = picture()
    apart = [seeing.encode(words), seeing.encode({"text": words, "image": shown})]
    plain = {"text": "The mark is a token.", "image": shown}

    together = seeing.encode([words, {"text": words, "image": shown}, shown, plain])
    np.testing.assert_allclose(together[:2], apart, atol=1e-5)
    np.testing.assert_allclose(together[2], seeing.encode(shown), atol=1e-5)
    assert not np.allclose(apart[1], seeing.encode(plain), atol=1e-3)


def test_a_video_of_one_frame(seeing: Encoder) -> None:
    """The processor refuses it; shown twice, it is the video that it is."""
    frame = np.asarray(picture(64, 48))[None]

    np.testing.assert_array_equal(
        seeing.encode({"video": frame}), seeing.encode({"video": np.repeat(frame, 2, axis=0)})
    )


def test_a_pil_image_stays_where_it_is(make: Make) -> None:
    """As in sentence-transformers, the frame that its owner chose is the picture."""
    pages = [picture(50, height) for height in (40, 41, 42)]
    buffer = io.BytesIO()
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    clip = make("CLIP")

    with Pictures.open(buffer) as book:
        book.seek(2)
        np.testing.assert_array_equal(clip.encode(book), clip.encode(pages[2]))
        assert book.tell() == 2
    np.testing.assert_array_equal(clip.encode(buffer.getvalue()), clip.encode(pages[0]))


def test_the_first_bad_input_is_named_by_its_place(seeing: Encoder) -> None:
    repeated = ["a cat"] * 5 + ["light", "light", Image(b"zz"), "a cat", Image(b"yy")]

    with pytest.raises(UnreadableMedia, match=r"^Input 7: "):
        seeing.encode(repeated, batch_size=2)
    with pytest.raises(InputError, match=r"^Input 1: Cannot use a NoneType"):
        seeing.encode(["a cat", None])
    with pytest.raises(UnreadableMedia, match=r"^Input 1: "):
        seeing.encode_tokens(["a cat", Image(b"zz")])


def _without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _with_an_unknown_module(folder: Path) -> None:
    file = folder / "modules.json"
    file.write_text(file.read_text().replace("models.Normalize", "models.LSTM"))


def _with_another_dimension(folder: Path) -> None:
    config = '{"embedding_dimension": 48, "pooling_mode": "mean"}'
    (folder / "1_Pooling/config.json").write_text(config)


def _cut_off(folder: Path) -> None:
    (folder / "modules.json").write_text('[{"idx": 0,')


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_without_weights, "no weights"),
        (_with_an_unknown_module, r"models\.LSTM"),
        (_with_another_dimension, "dimension 48"),
        (_cut_off, r"modules\.json"),
    ],
)
def test_damaged_checkpoints(tmp_path: Path, damage: Callable[[Path], None], words: str) -> None:
    sound = Encoder(replicas.bert(tmp_path / "sound"), device="cpu")
    before = sound.encode("a cat")
    damaged = replicas.bert(tmp_path / "damaged")
    damage(damaged)

    with pytest.raises(CheckpointError, match=words):
        Encoder(damaged, device="cpu")
    np.testing.assert_array_equal(sound.encode("a cat"), before)
