"""The same checkpoint gives the same vectors as sentence-transformers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pictures
from sentence_transformers import SentenceTransformer

from mm_rag import Encoder, Text
from mm_rag.checkpoint import find_default_model

from . import replicas

TOLERANCE = 1e-5
TEXTS = [
    "A cat sat on the mat.",
    "Invoices are paid within thirty days; late payments cost interest. " * 30,
    "light",
    "",
    "The quarterly revenue ROSE by 12% while costs fell.",
    "light",
]
POOLINGS = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]


def theirs(folder: Path, **options: Any) -> SentenceTransformer:
    return SentenceTransformer(str(folder), device="cpu", **options)


def ours(folder: Path, **options: Any) -> Encoder:
    return Encoder(folder, device="cpu", **options)


def pictures() -> list[Pictures.Image]:
    random = np.random.default_rng(0)
    sizes = ((40, 50), (64, 32), (33, 70))
    return [Pictures.fromarray(random.integers(0, 255, (*s, 3), dtype=np.uint8)) for s in sizes]


def close(mine: Any, reference: Any) -> None:
    np.testing.assert_allclose(np.asarray(mine), np.asarray(reference), rtol=0, atol=TOLERANCE)


@pytest.fixture(scope="module")
def minilm() -> Path:
    return find_default_model()


@pytest.mark.slow
def test_minilm_texts_of_many_lengths(minilm: Path) -> None:
    texts = [" ".join(["words", "of", "many", "lengths"] * n) for n in (1, 3, 9, 20, 90)]
    reference = theirs(minilm)
    model = ours(minilm)

    close(model.encode([*texts, *TEXTS]), reference.encode([*texts, *TEXTS]))
    close(model.encode(TEXTS[0]), reference.encode(TEXTS[0]))
    close(model.encode(TEXTS[:2], prompt="query: "), reference.encode(TEXTS[:2], prompt="query: "))
    close(Encoder(device="cpu").encode(TEXTS), reference.encode(TEXTS))


def test_minilm_keeps_the_first_dimensions(minilm: Path) -> None:
    reference = theirs(minilm, truncate_dim=64)
    model = ours(minilm, truncate_dim=64)

    assert model.dimension == 64
    close(model.encode(TEXTS, normalize=True), reference.encode(TEXTS, normalize_embeddings=True))


@pytest.mark.parametrize("mode", POOLINGS)
@pytest.mark.parametrize("include_prompt", [True, False])
def test_every_pooling(tmp_path: Path, mode: str, include_prompt: bool) -> None:
    flag = {"cls": "cls_token", "max": "max_tokens", "mean": "mean_tokens"}.get(mode)
    flags = {f"pooling_mode_{flag}": True} if flag else {"pooling_mode": mode}
    pooling = {**flags, "include_prompt": include_prompt}
    folder = replicas.bert(tmp_path, pooling=pooling)

    close(ours(folder).encode_query(TEXTS), theirs(folder).encode_query(TEXTS))


def test_several_poolings_together(tmp_path: Path) -> None:
    flags = ("pooling_mode_lasttoken", "pooling_mode_cls_token", "pooling_mode_max_tokens")
    folder = replicas.bert(tmp_path, pooling=dict.fromkeys(flags, True))
    model = ours(folder)

    assert model.dimension == 3 * 32
    close(model.encode(TEXTS), theirs(folder).encode(TEXTS))


def test_prompts_of_the_checkpoint(tmp_path: Path) -> None:
    folder = replicas.bert(tmp_path)
    model, reference = ours(folder), theirs(folder)

    close(model.encode_query(TEXTS), reference.encode_query(TEXTS))
    close(model.encode_document(TEXTS), reference.encode_document(TEXTS))
    close(model.encode(TEXTS, prompt_name="query"), reference.encode(TEXTS, prompt_name="query"))
    assert not np.allclose(model.encode_query(TEXTS), model.encode_document(TEXTS))


def test_a_plain_transformers_checkpoint(tmp_path: Path) -> None:
    folder = replicas.plain_bert(tmp_path)

    close(ours(folder).encode(TEXTS), theirs(folder).encode(TEXTS))


def test_clip(tmp_path: Path) -> None:
    folder = replicas.clip(tmp_path)
    model, reference = ours(folder), theirs(folder)
    mixed = [pictures()[0], "a cat", pictures()[1], "a dog"]

    assert model.modalities == ("text", "image")
    assert not model.reads("image")
    close(model.encode(TEXTS), reference.encode(TEXTS))
    close(model.encode(pictures()), reference.encode(pictures()))
    # sentence-transformers refuses a batch of both; the order must hold all the same.
    close(model.encode(mixed)[0::2], reference.encode(mixed[0::2]))
    close(model.encode(mixed)[1::2], reference.encode(mixed[1::2]))


@pytest.mark.slow
def test_qwen3_vl_embedding(tmp_path: Path) -> None:
    folder = replicas.qwen3_vl(tmp_path)
    model, reference = ours(folder), theirs(folder)
    first, second, third = pictures()
    together = {"text": "What is the total?", "image": second}
    mixed: Any = [first, "a cat", together, {"image": second, "text": "What is the total?"}, third]

    assert model.supports(("text", "image"))
    close(model.encode(TEXTS), reference.encode(TEXTS))
    close(model.encode(pictures()), reference.encode(pictures()))
    close(model.encode(mixed), reference.encode(mixed))
    close(model.encode_query(mixed), reference.encode_query(mixed))
    close(model.encode_query([Text("a cat")]), reference.encode_query(["a cat"]))


@pytest.mark.parametrize("replica", [replicas.bert, replicas.clip, replicas.qwen3_vl])
def test_saved_here_loads_there(tmp_path: Path, replica: Callable[[Path], Path]) -> None:
    model = ours(replica(tmp_path / "first"))
    model.save(tmp_path / "second")

    close(theirs(tmp_path / "second").encode(TEXTS), model.encode(TEXTS))
    assert ours(tmp_path / "second").fingerprint == model.fingerprint


def test_saved_there_loads_here(tmp_path: Path) -> None:
    reference = theirs(replicas.bert(tmp_path / "first"))
    reference.save(str(tmp_path / "second"))

    close(ours(tmp_path / "second").encode_query(TEXTS), reference.encode_query(TEXTS))
