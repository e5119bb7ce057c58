"""Pairs longer than an attention window are scored once, in padded batches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from sentence_transformers import CrossEncoder

from mm_rag import Reranker
from mm_rag.modules import batching
from mm_rag.rerankers.cross_encoder import PaddedBatches
from mm_rag.rerankers.prefix_sharing import planner
from tests.parity.replicas.common import SPREAD
from tests.parity.replicas.text_rerankers import qwen3_reranker_plain

WINDOW = 80
LOGITS = torch.nn.Identity()
QUERY = "What turns light into sugar?"
LONG = "Late payments cost interest, and the cat sat on the mat with the dog. "
# With the template and the query, those of three are longer than the window.
DOCUMENTS = [LONG * 3, LONG * 2, "light", LONG * 3, "", "a cat", LONG * 2 + "light", "sugar"]
PAIRS = [
    *((QUERY, document) for document in DOCUMENTS),
    ("light", "the dog"),
    ("light", LONG * 4),
    ("the cat", LONG * 3),
]

_MAKERS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "Mistral": (hf.MistralForCausalLM, hf.MistralConfig, {}),
    "Mistral, classifier": (
        hf.MistralForSequenceClassification,
        hf.MistralConfig,
        {"num_labels": 1},
    ),
    "Qwen2": (
        hf.Qwen2ForCausalLM,
        hf.Qwen2Config,
        {"use_sliding_window": True, "max_window_layers": 1},
    ),
    "Gemma 3": (
        hf.Gemma3ForCausalLM,
        hf.Gemma3TextConfig,
        {"layer_types": ["sliding_attention", "full_attention"]},
    ),
}


def windowed(name: str, folder: Path) -> Path:
    """A language model with a sliding window of WINDOW tokens."""
    qwen3_reranker_plain(folder)
    sizes = json.loads((folder / "config.json").read_text())
    tokenizer: Any = hf.AutoTokenizer.from_pretrained(folder)
    names = ("vocab_size", "hidden_size", "intermediate_size", "max_position_embeddings")
    more: dict[str, Any] = {
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "initializer_range": SPREAD,
        "pad_token_id": tokenizer.pad_token_id,
    }
    torch.manual_seed(41)
    kept = {name: sizes[name] for name in names}
    model, config, changes = _MAKERS[name]
    made = model(config(**kept, **more, **changes, sliding_window=WINDOW))
    made.save_pretrained(folder)
    return folder


def watched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Positions of pairs that are scored in padded batches, in order."""
    positions: list[int] = []
    score = PaddedBatches.score

    def watching(self: PaddedBatches, pairs: Any, options: Any) -> Iterator[Any]:
        positions.extend(pairs)
        return score(self, pairs, options)

    monkeypatch.setattr(PaddedBatches, "score", watching)
    return positions


@pytest.mark.parametrize(("rows", "tokens"), [(256, 2048), (2, 60), (1, 1)])
@pytest.mark.parametrize("name", _MAKERS)
def test_paths_longer_than_a_window(
    name: str, rows: int, tokens: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = watched(monkeypatch)
    monkeypatch.setattr(planner, "_PAIRS", rows)
    monkeypatch.setattr(batching, "_CPU_TOKENS", tokens)
    folder = windowed(name, tmp_path)
    reranker = Reranker(folder, device="cpu")
    theirs: Any = CrossEncoder(str(folder), device="cpu")

    expected = theirs.predict(PAIRS, activation_fn=LOGITS, batch_size=1)
    found = reranker.predict(PAIRS, activation_fn=LOGITS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert np.ptp(expected) > 1e-2
    assert 0 < len(alone) < len(PAIRS)
