"""Whisper as a transcriber, beside transformers' own generation."""

from __future__ import annotations

import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from transformers import (
    AutoProcessor,
    BertConfig,
    BertModel,
    WhisperForConditionalGeneration,
)

from mm_rag.errors import CheckpointError, InputError
from mm_rag.extraction.recording import RecordingReader
from mm_rag.transcribers import WhisperTranscriber
from tests.av_made import make_wav, tone, wordless
from tests.parity.replicas.whisper import whisper

Samples = npt.NDArray[np.float32]


def talk(seconds: float, *, seed: int = 0, pause: float = 0.5) -> Samples:
    """Syllables: noise that swells and fades, with a pause every few seconds."""
    rng = np.random.default_rng(seed)
    count = round(seconds * 16_000)
    time = np.arange(count) / 16_000
    loud = np.clip(np.sin(2 * np.pi * 3 * time), 0, None) * (time % 4 < 4 - pause)
    return (rng.normal(0, 0.2, count) * loud).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whisper(tmp_path_factory.mktemp("models") / "whisper-tiny-replica")


def generated(folder: Path, samples: Samples, **settings: Any) -> str:
    """What transformers' own `generate` makes of up to 30 s."""
    model: Any = WhisperForConditionalGeneration.from_pretrained(folder).eval()
    processor: Any = AutoProcessor.from_pretrained(folder)
    features = processor.feature_extractor(samples, sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        tokens = model.generate(features.input_features, return_timestamps=True, **settings)
    return " ".join(processor.tokenizer.decode(tokens[0], skip_special_tokens=True).split())


def letters(text: str) -> str:
    """A random model sets time stamps between the halves of a word."""
    return "".join(text.split())


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [1.5, 12.0, 30.0])
@pytest.mark.parametrize("language", [None, "de"])
def test_it_says_what_transformers_says(folder: Path, seconds: float, language: str | None) -> None:
    samples = talk(seconds)
    settings = {} if language is None else {"language": language}
    heard = WhisperTranscriber(folder, device="cpu", language=language).transcribe(samples)
    assert letters(heard.text) == letters(generated(folder, samples, **settings))
    assert heard.text


def test_words_have_times_in_the_recording(folder: Path) -> None:
    words = WhisperTranscriber(folder, device="cpu").transcribe(talk(20.0)).words
    assert words
    assert all(0.0 <= word.start <= word.end <= 20.0 for word in words)
    assert all(one.start <= other.start for one, other in pairwise(words))


@pytest.mark.slow
def test_what_is_long_is_heard_in_windows(folder: Path) -> None:
    transcriber = WhisperTranscriber(folder, device="cpu")
    words = transcriber.transcribe(talk(70.0)).words
    assert max(word.end for word in words) > 60.0
    assert all(word.end <= 70.0 for word in words)
    assert all(one.start <= other.start for one, other in pairwise(words))


@pytest.mark.parametrize("samples", [*wordless().values(), tone(2.0)], ids=[*wordless(), "a tone"])
def test_no_words_where_nothing_is_said(folder: Path, samples: Samples) -> None:
    assert WhisperTranscriber(folder, device="cpu").transcribe(samples).words == ()


def test_the_name_tells_models_and_languages_apart(folder: Path, tmp_path: Path) -> None:
    name = WhisperTranscriber(folder).name
    assert name.startswith("whisper-tiny-replica ")
    assert WhisperTranscriber(shutil.copytree(folder, tmp_path / folder.name)).name == name
    other = whisper(tmp_path / "other" / folder.name, seed=16)
    names = {name, WhisperTranscriber(other).name, WhisperTranscriber(folder, language="de").name}
    assert len(names) == 3


def test_a_copy_for_another_process_has_no_weights(folder: Path) -> None:
    transcriber = WhisperTranscriber(folder, device="cpu", language="en")
    heard = transcriber.transcribe(talk(3.0))
    data = pickle.dumps(transcriber)
    assert len(data) < 2_000
    copy = pickle.loads(data)
    assert copy.name == transcriber.name
    assert copy.transcribe(talk(3.0)) == heard


@pytest.mark.slow
def test_threads_take_turns(folder: Path) -> None:
    transcriber = WhisperTranscriber(folder, device="cpu")
    samples = [talk(2.0, seed=seed) for seed in range(6)]
    one_by_one = [transcriber.transcribe(part) for part in samples]
    fresh = pickle.loads(pickle.dumps(transcriber))
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fresh.transcribe, samples)) == one_by_one


@pytest.mark.slow
def test_a_recording_is_read_with_it(folder: Path, tmp_path: Path) -> None:
    path = make_wav(tmp_path / "a.wav", talk(5.0))
    transcriber = WhisperTranscriber(folder, device="cpu")
    with RecordingReader(path, transcriber=transcriber) as reader:
        spoken = reader.speech()
        heard = transcriber.transcribe(reader.audio.samples())
    assert spoken.text == heard.text
    assert spoken == replace(spoken, transcriber=transcriber.name, subtitles=False)


def test_what_is_no_speech_model_is_refused(folder: Path, tmp_path: Path) -> None:
    config = BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=9
    )
    BertModel(config).save_pretrained(tmp_path / "bert")
    with pytest.raises(CheckpointError, match=r"type bert, which turns no speech into text"):
        WhisperTranscriber(tmp_path / "bert")
    with pytest.raises(CheckpointError, match="neither a folder nor a model"):
        WhisperTranscriber("no such/model/anywhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="is no model that transformers understands"):
        WhisperTranscriber(tmp_path / "empty")
    bare = shutil.copytree(folder, tmp_path / "bare")
    (bare / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="has no weights"):
        WhisperTranscriber(bare)


def test_damaged_weights_are_refused_when_they_are_needed(folder: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(folder, tmp_path / "broken")
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    transcriber = WhisperTranscriber(broken, device="cpu")
    with pytest.raises(CheckpointError, match="Cannot load the model"):
        transcriber.transcribe(talk(2.0))


@pytest.mark.slow
def test_a_language_is_for_models_that_have_several(folder: Path, tmp_path: Path) -> None:
    english = whisper(tmp_path / "english", multilingual=False)
    with pytest.raises(InputError, match="one language"):
        WhisperTranscriber(english, language="de")
    with pytest.raises(InputError, match="knows no language 'xx'"):
        WhisperTranscriber(folder, language="xx")
    samples = talk(2.0)
    heard = WhisperTranscriber(english, device="cpu").transcribe(samples)
    assert letters(heard.text) == letters(generated(english, samples))
