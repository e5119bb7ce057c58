from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules as theirs
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor

from mm_rag import Encoder, Image
from mm_rag.errors import CheckpointError, UnsupportedModality
from mm_rag.modules import Chain, LoadOptions, Normalize, StaticEmbedding

WORDS = ["[UNK]", "a", "the", "cat", "dog", "sat", "on", "mat", "query", "passage", ":", ".", "x"]
TEXTS = ["a cat sat on the mat.", "", "The DOG", "unheard", "x " * 300, "a cat sat on the mat."]


def tokenizer() -> Tokenizer:
    made: Any = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.enable_padding(length=8)
    return made


def weights() -> Tensor:
    return torch.randn(len(WORDS), 6, generator=torch.Generator().manual_seed(0))


def close(mine: Any, reference: Any) -> None:
    np.testing.assert_allclose(mine, reference, rtol=0, atol=1e-5)


def reference(folder: Path) -> SentenceTransformer:
    return SentenceTransformer(str(folder), device="cpu")


def test_what_sentence_transformers_saved(tmp_path: Path) -> None:
    model = SentenceTransformer(
        modules=[theirs.StaticEmbedding(tokenizer(), weights()), theirs.Normalize()],
        prompts={"query": "query: ", "document": "passage: "},
        device="cpu",
    )
    model.save(str(tmp_path))
    encoder = Encoder(tmp_path, device="cpu")

    close(encoder.encode(TEXTS), model.encode(TEXTS))
    close(encoder.encode_query(TEXTS), model.encode_query(TEXTS))
    close(encoder.encode([""]), model.encode([""]))


def test_what_we_save(tmp_path: Path) -> None:
    encoder = Encoder(modules=[StaticEmbedding(tokenizer(), weights()), Normalize()], device="cpu")
    encoder.save(tmp_path)

    close(encoder.encode(TEXTS), reference(tmp_path).encode(TEXTS))
    close(encoder.encode(TEXTS), Encoder(tmp_path, device="cpu").encode(TEXTS))
    assert set(load_file(tmp_path / "model.safetensors")) == {"embedding.weight"}


def test_texts_without_tokens_are_zeros() -> None:
    encoder = Encoder(modules=[StaticEmbedding(tokenizer(), weights())], device="cpu")

    assert not encoder.encode(["", ""]).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_what_model2vec_saved(tmp_path: Path, dtype: torch.dtype) -> None:
    Chain([StaticEmbedding(tokenizer(), weights())]).save(tmp_path)
    tensors = {
        "embeddings": weights()[:5].to(dtype),
        "mapping": torch.arange(len(WORDS)) % 5,
        "weights": torch.linspace(0.1, 1, len(WORDS), dtype=torch.float64),
    }
    save_file(tensors, tmp_path / "model.safetensors")

    close(Encoder(tmp_path, device="cpu").encode(TEXTS), reference(tmp_path).encode(TEXTS))


def test_quantised_rows_are_averaged_as_numbers(tmp_path: Path) -> None:
    StaticEmbedding(tokenizer(), weights()).save(tmp_path)
    rows = (weights() * 40).to(torch.int8)
    save_file({"embeddings": rows}, tmp_path / "model.safetensors")

    encoder = Encoder(modules=[StaticEmbedding.load(tmp_path, LoadOptions())], device="cpu")

    close(encoder.encode("cat dog"), rows[[3, 4]].float().mean(dim=0))


def test_a_tokenizer_of_another_model() -> None:
    encoder = Encoder(modules=[StaticEmbedding(tokenizer(), weights()[:4])], device="cpu")

    with pytest.raises(CheckpointError, match="there are vectors for 4 only"):
        encoder.encode("a dog")


@pytest.mark.parametrize(
    "tensors",
    [
        {"rows": torch.zeros(3, 2)},
        {"embedding.weight": torch.zeros(3)},
        {"embeddings": torch.zeros(3, 2), "mapping": torch.tensor([0, 7])},
        {"embeddings": torch.zeros(3, 2), "weights": torch.zeros(4)},
    ],
)
def test_weights_that_are_no_token_vectors(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    StaticEmbedding(tokenizer(), weights()).save(tmp_path)
    save_file(tensors, tmp_path / "model.safetensors")

    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        StaticEmbedding.load(tmp_path, LoadOptions())


@pytest.mark.parametrize("content", ["", "{}", None])
def test_a_tokenizer_that_is_missing_or_damaged(tmp_path: Path, content: str | None) -> None:
    StaticEmbedding(tokenizer(), weights()).save(tmp_path)
    path = tmp_path / "tokenizer.json"
    path.unlink() if content is None else path.write_text(content)

    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        StaticEmbedding.load(tmp_path, LoadOptions())


def test_it_takes_text_only() -> None:
    encoder = Encoder(modules=[StaticEmbedding(tokenizer(), weights())], device="cpu")

    with pytest.raises(UnsupportedModality, match="takes text"):
        encoder.encode(Image(b"never opened"))
