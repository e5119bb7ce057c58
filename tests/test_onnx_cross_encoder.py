"""The built-in cross-encoder: the scores of its graph, long texts, forks and damaged files."""

from __future__ import annotations

import logging
import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from tokenizers import Tokenizer

from mm_rag import Image, Reranker
from mm_rag.errors import CheckpointError, InputError, MissingExtra, UnsupportedModality
from mm_rag.packaged import COLBERT_SMALL, CROSS_ENCODER
from mm_rag.rerankers import OnnxCrossEncoder

NAME = "mm-rag/ms-marco-minilm-l12"
QUERY = "How many people live in Berlin?"
# The example of the published model, whose weights are float32: 9.2 and -4.1.
ANSWER = (
    "Berlin had a population of 3,520,031 registered inhabitants in an area of 891.82 square "
    "kilometers."
)
RELATED = "Berlin is well known for its museums."
OTHER = "Plants make sugar from light by photosynthesis."


@pytest.fixture(scope="module")
def reranker() -> Reranker:
    return Reranker(NAME)


def test_the_answer_comes_first(reranker: Reranker) -> None:
    ranked = reranker.rank(QUERY, [OTHER, RELATED, ANSWER])

    assert [place["index"] for place in ranked] == [2, 1, 0]
    assert [place["score"] for place in ranked[:2]] == pytest.approx([9.2, -4.1], abs=0.5)
    assert reranker.is_cross_encoder
    assert reranker.num_labels == 1
    assert "Identity" in repr(reranker)


def test_scores_are_those_of_the_graph(reranker: Reranker) -> None:
    model, vocabulary = CROSS_ENCODER.find()
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(vocabulary))
    tokenizer.no_padding()
    pairs = [(QUERY, ANSWER), (QUERY, OTHER), (OTHER, OTHER), (QUERY, "")]

    expected: list[float] = []
    for pair in pairs:
        tokens = tokenizer.encode(*pair)
        row = {
            "input_ids": np.array([tokens.ids]),
            "attention_mask": np.array([tokens.attention_mask]),
            "token_type_ids": np.array([tokens.type_ids]),
        }
        expected.append(float(np.asarray(session.run(None, row)[0])[0, 0]))

    assert reranker.predict(pairs).tolist() == expected


def test_a_pair_scores_the_same_in_any_company(reranker: Reranker) -> None:
    alone = reranker.predict((QUERY, ANSWER))
    pairs = [(QUERY, OTHER * 20), (QUERY, ANSWER), (QUERY, ANSWER), (QUERY, "")]

    company = reranker.predict(pairs, batch_size=2)

    assert company.dtype == np.float32
    assert company[1] == company[2] == alone
    assert reranker.predict([]).shape == (0,)


def test_a_long_document_loses_its_end(
    reranker: Reranker, caplog: pytest.LogCaptureFixture
) -> None:
    fresh = Reranker(NAME)
    filler = " the weather was mild" * 300

    with caplog.at_level(logging.WARNING):
        scores = fresh.predict([(QUERY, ANSWER + filler), (QUERY, ANSWER + filler * 3)])

    assert scores[0] == scores[1]
    assert scores[0] > 5
    assert [record.getMessage()[:25] for record in caplog.records] == ["Documents lose their end "]
    assert reranker.predict((QUERY, filler + ANSWER)) < -5


def test_a_query_is_never_cut(reranker: Reranker) -> None:
    with pytest.raises(InputError, match="The query takes 603 tokens") as caught:
        reranker.predict([(QUERY, ANSWER), ("x " * 600, ANSWER)])

    assert caught.value.position == 1


def test_control_tokens_in_a_text_are_text(reranker: Reranker) -> None:
    plain = reranker.predict((QUERY, RELATED))
    forged = reranker.predict((QUERY, f"{RELATED} [SEP] {QUERY} [SEP]"))

    assert forged != plain
    assert np.isfinite(forged)


def test_only_texts(reranker: Reranker) -> None:
    with pytest.raises(UnsupportedModality):
        reranker.predict([(QUERY, Image(b"never opened", text=ANSWER))])

    assert reranker.modalities == ("text",)


def test_the_length_of_pairs_can_be_set() -> None:
    short = Reranker(NAME, max_seq_length=24)
    assert short.max_seq_length == 24
    assert short.predict((QUERY, OTHER + ANSWER)) < short.predict((QUERY, ANSWER + OTHER))
    with pytest.raises(InputError, match="512"):
        short.max_seq_length = 513
    with pytest.raises(InputError, match="num_labels"):
        Reranker(NAME, num_labels=2)


def test_saved_loaded_and_sent_to_other_processes(reranker: Reranker, tmp_path: Path) -> None:
    expected = reranker.predict((QUERY, ANSWER))
    Reranker(NAME, max_seq_length=100).save(tmp_path)

    loaded = Reranker(tmp_path)

    assert loaded.max_seq_length == 100
    assert loaded.predict((QUERY, ANSWER)) == expected
    assert pickle.loads(pickle.dumps(reranker)).predict((QUERY, ANSWER)) == expected


def test_many_threads(reranker: Reranker) -> None:
    pairs = [[(QUERY, ANSWER)], [(QUERY, OTHER)]] * 4
    expected = [reranker.predict(pair).tolist() for pair in pairs]

    with ThreadPoolExecutor(4) as pool:
        scores = pool.map(reranker.predict, pairs)
        assert [each.tolist() for each in scores] == expected


FORKED = f"""
import os
from mm_rag import Reranker

reranker = Reranker({NAME!r})
before = reranker.predict(({QUERY!r}, {ANSWER!r}))
child = os.fork()
if not child:
    os._exit(0 if reranker.predict(({QUERY!r}, {ANSWER!r})) == before else 1)
assert os.waitpid(child, 0)[1] == 0
assert reranker.predict(({QUERY!r}, {ANSWER!r})) == before
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_scores_too() -> None:
    subprocess.run([sys.executable, "-c", FORKED], check=True, timeout=300)


def test_damaged_files(tmp_path: Path) -> None:
    model, tokenizer = (Path(shutil.copy(path, tmp_path)) for path in CROSS_ENCODER.find())
    whole = model.read_bytes()
    model.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"cannot be run by onnxruntime"):
        OnnxCrossEncoder(model, tokenizer)
    model.write_bytes(whole)
    tokenizer.write_text("{}")
    with pytest.raises(CheckpointError, match=r"is not a tokenizer"):
        OnnxCrossEncoder(model, tokenizer)


def test_a_graph_of_another_kind() -> None:
    graph, tokenizer = COLBERT_SMALL.find()
    with pytest.raises(CheckpointError, match="not a classifier of texts with one label"):
        OnnxCrossEncoder(graph, tokenizer)


def test_other_weights_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = CROSS_ENCODER.files
    changed = replace(CROSS_ENCODER, files=(replace(first, sha256="0" * 64), second))
    monkeypatch.setattr("mm_rag.reranker.CROSS_ENCODER", changed)
    with pytest.raises(CheckpointError, match="sha256"):
        Reranker(NAME)
    missing = replace(CROSS_ENCODER, files=(replace(first, package="not-there"), second))
    monkeypatch.setattr("mm_rag.reranker.CROSS_ENCODER", missing)
    with pytest.raises(MissingExtra, match="not-there"):
        Reranker(NAME)
