"""The same cross-encoder gives the same scores as sentence-transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence_transformers import CrossEncoder

from mm_rag import Reranker

from . import replicas

QUERY = "What turns light into sugar?"
DOCUMENTS = [
    "Photosynthesis turns light, water and air into sugar and oxygen.",
    "Invoices are paid within thirty days; late payments cost interest. " * 20,
    "",
    "The cat sat on the mat.",
]
PAIRS = [(QUERY, document) for document in DOCUMENTS]


def test_scores_and_order(tmp_path: Path) -> None:
    folder = replicas.cross_encoder(tmp_path)
    reference = CrossEncoder(str(folder), device="cpu")
    reranker = Reranker(folder, device="cpu")

    expected = reference.predict(PAIRS)
    assert reranker.is_cross_encoder
    np.testing.assert_allclose(reranker.predict(PAIRS), expected, rtol=0, atol=1e-5)
    ranked = reranker.rank(QUERY, DOCUMENTS, top_k=3)
    assert [place["index"] for place in ranked] == list(np.argsort(-expected)[:3])


@pytest.mark.parametrize(
    "config",
    [
        {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}},
        {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"},
    ],
)
def test_the_activation_of_the_checkpoint(tmp_path: Path, config: dict[str, Any]) -> None:
    folder = replicas.cross_encoder(tmp_path, **config)
    expected = CrossEncoder(str(folder), device="cpu").predict(PAIRS)

    found = Reranker(folder, device="cpu").predict(PAIRS)

    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_saved_here_loads_there(tmp_path: Path) -> None:
    reranker = Reranker(replicas.cross_encoder(tmp_path / "first"), device="cpu")
    reranker.save(tmp_path / "second")

    expected = reranker.predict(PAIRS)
    again = Reranker(tmp_path / "second", device="cpu").predict(PAIRS)
    there = CrossEncoder(str(tmp_path / "second"), device="cpu").predict(PAIRS)
    np.testing.assert_allclose(again, expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(there, expected, rtol=0, atol=1e-5)
