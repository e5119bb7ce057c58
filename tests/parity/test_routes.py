"""A Router behind another module: one model, and a way of its own for each task or modality."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules as theirs

from mm_rag import Encoder
from mm_rag.errors import CheckpointError, UnsupportedModality
from mm_rag.modules import Chain, Dense, LoadOptions, Pooling, Router, Transformer
from tests.parity.replicas import plain_bert

TEXTS = ["A cat sat on the mat.", "light", ""]


def close(mine: Any, expected: Any) -> None:
    np.testing.assert_allclose(np.asarray(mine), np.asarray(expected), rtol=0, atol=1e-5)


def by_task(folder: Path, *, document: int = 16, **options: Any) -> SentenceTransformer:
    """Saved by sentence-transformers: Transformer, Pooling, Router."""
    torch.manual_seed(3)
    routes: dict[str, list[Any]] = {
        "query": [theirs.Dense(32, 16)],
        "document": [theirs.Dense(32, document)],
    }
    options = {"default_route": "document", **options}
    chain: list[Any] = [
        theirs.Transformer(str(plain_bert(folder / "plain"))),
        theirs.Pooling(32),
        theirs.Router(routes, **options),
    ]
    model = SentenceTransformer(modules=chain, device="cpu")
    model.save(str(folder / "model"), create_model_card=False)
    return model


@pytest.mark.parametrize("document", [16, 20])
def test_by_task_after_pooling(document: int, tmp_path: Path) -> None:
    reference: Any = by_task(tmp_path, document=document)
    ours = Encoder(tmp_path / "model", device="cpu")
    ours.save(tmp_path / "again")
    again = Encoder(tmp_path / "again", device="cpu")
    taken: Any = SentenceTransformer(str(tmp_path / "again"), device="cpu")

    assert ours.dimension == document
    assert again.fingerprint == ours.fingerprint
    for method in ("encode", "encode_query", "encode_document"):
        expected = getattr(reference, method)(TEXTS)
        for model in (ours, again, taken):
            close(getattr(model, method)(TEXTS), expected)
    close(ours.encode(TEXTS, task="query"), reference.encode(TEXTS, task="query"))
    assert not np.allclose(ours.encode_query(TEXTS), ours.encode_document(TEXTS)[:, :16])


def test_mappings_behind_another_module(tmp_path: Path) -> None:
    mappings = {("query", "text"): "document", (None, "text"): "query"}
    reference: Any = by_task(tmp_path, route_mappings=mappings)
    ours = Encoder(tmp_path / "model", device="cpu")

    for method in ("encode", "encode_query", "encode_document"):
        close(getattr(ours, method)(TEXTS), getattr(reference, method)(TEXTS))


def test_tasks_that_no_route_knows(tmp_path: Path) -> None:
    by_task(tmp_path)
    with pytest.raises(UnsupportedModality, match=r"'qeury'.*query, document"):
        Encoder(tmp_path / "model", device="cpu").encode(TEXTS, task="qeury")


def test_a_router_within_a_route_and_one_without_modules(tmp_path: Path) -> None:
    torch.manual_seed(4)
    inner = Router({"query": [Dense(32, 16)], "document": []})
    folder = plain_bert(tmp_path / "plain")
    start = [Transformer.from_pretrained(folder, LoadOptions()), Pooling(32)]
    nested = Encoder(modules=[Router({"text": [*start, inner]})], device="cpu")
    plain = Encoder(modules=start, device="cpu")

    close(nested.encode_document(TEXTS), plain.encode(TEXTS))
    assert nested.encode_query(TEXTS).shape == (3, 16)


def test_a_route_is_found_once_per_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_task(tmp_path)
    encoder = Encoder(tmp_path / "model", device="cpu")
    found: list[Any] = []
    route = type(encoder.chain.input).route

    def counted(self: Any, content: Any, task: str | None) -> Any:
        found.append(content)
        return route(self, content, task)

    monkeypatch.setattr(type(encoder.chain.input), "route", counted)
    encoder.encode_query([*TEXTS, TEXTS[0]])
    assert [one.text for one in found] == TEXTS  # equal inputs are run once


def test_chains_that_cannot_be(tmp_path: Path) -> None:
    transformer = Transformer.from_pretrained(plain_bert(tmp_path), LoadOptions())
    later = Router({"query": [Dense(32, 16)], "document": [Dense(32, 16)]})

    with pytest.raises(CheckpointError, match="first module"):
        Chain([later, Dense(16, 8)])
    with pytest.raises(CheckpointError, match="'query' has no module that takes content"):
        Router({"text": [transformer], "query": [Dense(32, 16)]})
    with pytest.raises(CheckpointError, match="takes vectors of dimension 32"):
        Chain([transformer, Pooling(32), Dense(32, 8), later])
