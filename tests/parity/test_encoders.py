"""Poolings, prompts and plain checkpoints: the same vectors as sentence-transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from mm_rag import Encoder
from mm_rag.checkpoints.locate import find_default_model
from mm_rag.errors import CheckpointError, InputError

from . import replicas
from .replicas import clap, roberta
from .samples import TEXTS

TOLERANCE = 1e-5
POOLINGS = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]


def theirs(folder: Path, **options: Any) -> SentenceTransformer:
    return SentenceTransformer(str(folder), device="cpu", **options)


def ours(folder: Path, **options: Any) -> Encoder:
    return Encoder(folder, device="cpu", **options)


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
    close(Encoder("mm-rag/minilm", device="cpu").encode(TEXTS), reference.encode(TEXTS))


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


def test_a_prompt_for_passages_is_used_for_documents(tmp_path: Path) -> None:
    """sentence-transformers documents it, but its own empty `document` prompt comes before it."""
    folder = replicas.bert(tmp_path)
    prompts = {"query": "query: ", "passage": "passage: "}
    (folder / "config_sentence_transformers.json").write_text(json.dumps({"prompts": prompts}))
    model, reference = ours(folder), theirs(folder)

    close(model.encode_document(TEXTS), reference.encode(TEXTS, prompt_name="passage"))
    assert not np.allclose(model.encode_document(TEXTS), reference.encode_document(TEXTS))


@pytest.mark.parametrize("prompts", [["query: "], {"query": 3}, "query: "])
def test_prompts_that_are_none(tmp_path: Path, prompts: Any) -> None:
    folder = replicas.bert(tmp_path)

    with pytest.raises(InputError, match="rompt"):
        ours(folder, prompts=prompts)


def test_a_name_that_no_file_may_have() -> None:
    with pytest.raises(CheckpointError, match="neither a folder nor a model's name"):
        Encoder("x" * 5000)


def test_a_plain_transformers_checkpoint(tmp_path: Path) -> None:
    folder = replicas.plain_bert(tmp_path)

    close(ours(folder).encode(TEXTS), theirs(folder).encode(TEXTS))


def test_saved_there_loads_here(tmp_path: Path) -> None:
    reference = theirs(replicas.bert(tmp_path / "first"))
    reference.save(str(tmp_path / "second"))

    close(ours(tmp_path / "second").encode_query(TEXTS), reference.encode_query(TEXTS))


def test_a_long_recording_has_one_vector(tmp_path: Path) -> None:
    """CLAP's own processor cuts a random part out of what is longer than its limit, here 2 s."""
    model = ours(clap.clap_unfused(tmp_path))
    long = np.random.default_rng(0).standard_normal(5 * 48_000).astype(np.float32) / 10

    close(model.encode(long), model.encode(long))
    close(model.encode(long), model.encode(long[: 2 * 48_000]))


def test_positions_that_begin_after_the_padding(tmp_path: Path) -> None:
    """A RoBERTa whose tokenizer says no limit; sentence-transformers asks for 2 positions more."""
    folder = roberta.all_roberta(tmp_path)
    for name in ("modules.json", "sentence_bert_config.json"):
        (folder / name).unlink(missing_ok=True)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings.pop("model_max_length", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    model, reference = ours(folder), theirs(folder)

    close(model.encode(TEXTS[0]), reference.encode(TEXTS[0]))
    assert reference.max_seq_length == 66
    reference.max_seq_length = 64
    close(model.encode(TEXTS), reference.encode(TEXTS))
