"""Inputs of which nothing is left to pool, and texts that are padded whatever their length."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from mm_rag import Encoder
from mm_rag.errors import InputError
from mm_rag.modules import Pooling
from mm_rag.preprocessing.features import Features
from tests.parity.replicas.common import write_json
from tests.parity.replicas.siglip import siglip2
from tests.parity.replicas.text import bert

MODES: list[Any] = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
LONG = "Represent the question about invoices and interest: " * 6


@pytest.mark.parametrize("mode", MODES)
def test_a_row_without_tokens(mode: Any) -> None:
    tokens, mask = torch.randn(2, 3, 4), torch.tensor([[0, 0, 0], [1, 1, 0]])
    made = Pooling(4, mode)(Features({"token_embeddings": tokens, "attention_mask": mask}))
    vectors = made["sentence_embedding"]

    assert vectors.isfinite().all()
    assert mode == "cls" or not vectors[0].any()
    if mode == "max":
        torch.testing.assert_close(vectors[1], tokens[1, :2].amax(dim=0))


@pytest.mark.parametrize("mode", ["max", "mean"])
@pytest.mark.parametrize("include", [True, False])
def test_a_prompt_that_leaves_no_room(mode: str, include: bool, tmp_path: Path) -> None:
    """All inputs would have one vector: zeros, minus infinity, or that of the prompt."""
    pooling = {"pooling_mode": mode, "include_prompt": include, "embedding_dimension": 32}
    encoder = Encoder(bert(tmp_path, pooling=pooling), device="cpu")

    for inputs in (["a cat", "light"], "a cat"):
        with pytest.raises(InputError, match=r"The prompt takes \d+ tokens, and the model 32"):
            encoder.encode(inputs, prompt=LONG)
    vectors = encoder.encode(["a cat", "light"], prompt="Represent: ")
    assert np.isfinite(vectors).all()
    assert not np.allclose(vectors[0], vectors[1], atol=1e-3)


@pytest.mark.parametrize("names", [["input_ids"], ["input_ids", "attention_mask"]])
def test_siglip_pads_whatever_its_tokenizer_says(names: list[str], tmp_path: Path) -> None:
    folder = siglip2(tmp_path)
    path = folder / "tokenizer_config.json"
    write_json(path, {**json.loads(path.read_text()), "model_input_names": names})
    encoder = Encoder(folder, device="cpu")
    texts = ["light", "a cat sat on the mat and the dog looked at the cat"]

    alone = np.stack([encoder.encode(text) for text in texts])
    np.testing.assert_allclose(encoder.encode(texts), alone, atol=1e-5)
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    tensors = tokenizer(texts, padding="max_length", max_length=64, return_tensors="pt")
    with torch.inference_mode():
        expected = model.get_text_features(**tensors)
    expected = getattr(expected, "pooler_output", expected)
    np.testing.assert_allclose(alone, expected.numpy(), atol=1e-5)
