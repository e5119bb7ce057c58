"""Encoder-decoders, whose encoder makes the vectors, and models with a method per modality.

sentence-transformers loads such an encoder from a checkpoint that holds it alone, which is what it
saves. From the whole model, as it is published, it takes none of the weights; there the reference
is the encoder of the whole model.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer, WhisperFeatureExtractor, WhisperProcessor

from mm_rag import Encoder

from .replicas.encoder_decoders import TEXT_MODELS, blip_2, flava, moonshine, text_model
from .replicas.whisper import whisper

TEXTS = ["A cat sat on the mat.", "Invoices are paid within thirty days; late payments cost."]
TOLERANCE = 1e-5


def close(mine: Any, reference: Any) -> None:
    np.testing.assert_allclose(np.asarray(mine), np.asarray(reference), rtol=0, atol=TOLERANCE)


def true_encoder(folder: Path, texts: list[str]) -> Any:
    """The mean of what the encoder of the whole model makes."""
    whole: Any = AutoModel.from_pretrained(folder).eval()
    tokens: Any = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    mask = tokens["attention_mask"]
    with torch.inference_mode():
        made = whole.get_encoder()(input_ids=tokens["input_ids"], attention_mask=mask)
    states = made.last_hidden_state * mask.unsqueeze(-1)
    return (states.sum(1) / mask.sum(1, keepdim=True)).numpy()


@pytest.mark.parametrize("kind", TEXT_MODELS)
def test_the_encoder_of_a_text_model(kind: str, tmp_path: Path) -> None:
    folder = text_model(tmp_path / "whole", kind)
    encoder = Encoder(folder, device="cpu")
    made = encoder.encode(TEXTS)
    close(made, true_encoder(folder, TEXTS))

    encoder.save(tmp_path / "ours")
    close(Encoder(tmp_path / "ours", device="cpu").encode(TEXTS), made)
    theirs = SentenceTransformer(str(tmp_path / "ours"), device="cpu")
    close(theirs.encode(TEXTS), made)
    theirs.save(str(tmp_path / "theirs"))
    close(Encoder(tmp_path / "theirs", device="cpu").encode(TEXTS), made)


def _whisper(folder: Path) -> Path:
    tokenizer: Any = AutoTokenizer.from_pretrained(whisper(folder))
    WhisperProcessor(WhisperFeatureExtractor(feature_size=16), tokenizer).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("make", [_whisper, moonshine])
def test_the_encoder_of_a_speech_recogniser(make: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = make(tmp_path / "whole")
    times = np.arange(16_000, dtype=np.float32) / 16_000
    sounds: list[Any] = [
        {"array": np.sin(rate * times[:length]), "sampling_rate": 16_000}
        for rate, length in ((2000, 16_000), (5000, 9000))
    ]
    encoder = Encoder(folder, device="cpu")
    assert encoder.modalities == ("audio",)
    made = encoder.encode(sounds)

    encoder.save(tmp_path / "ours")
    theirs = SentenceTransformer(str(tmp_path / "ours"), device="cpu")
    close(theirs.encode(sounds), made)
    theirs.save(str(tmp_path / "theirs"))
    close(Encoder(tmp_path / "theirs", device="cpu").encode(sounds), made)


@pytest.mark.parametrize("make", [flava, blip_2])
def test_a_method_for_each_modality(make: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = make(tmp_path / "model")
    picture = Image.new("RGB", (20, 16), "red")
    theirs, ours = SentenceTransformer(str(folder), device="cpu"), Encoder(folder, device="cpu")

    assert ours.modalities == ("text", "image")
    close(ours.encode(TEXTS), theirs.encode(TEXTS))
    close(ours.encode(picture), theirs.encode(picture))
