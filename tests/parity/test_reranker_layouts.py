"""Rerankers with other heads or templates, and damaged checkpoints."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder

from mm_rag import Reranker
from mm_rag.attention import TreeAttentionUnsupported
from mm_rag.errors import CheckpointError, InputError
from tests.parity.replicas import cross_encoders, text_rerankers
from tests.parity.replicas.common import write_json
from tests.parity.replicas.visual_rerankers import jina_reranker_m0

QUERY = "What turns light into sugar?"
DOCUMENTS = [
    "Photosynthesis turns light, water and air into sugar and oxygen.",
    "",
    "The quarterly revenue ROSE by 12% while costs fell.",
]
PAIRS = [(QUERY, document) for document in DOCUMENTS]
LOGITS = torch.nn.Identity()


def close(mine: Any, reference: Any) -> None:
    np.testing.assert_allclose(np.asarray(mine), np.asarray(reference), rtol=0, atol=1e-5)


def change(path: Path, **settings: Any) -> None:
    """Update settings in a JSON file."""
    write_json(path, {**json.loads(path.read_text()), **settings})


def test_three_labels(tmp_path: Path) -> None:
    folder = cross_encoders.cross_encoder(tmp_path, labels=3)
    theirs, ours = CrossEncoder(str(folder), device="cpu"), Reranker(folder, device="cpu")
    scores = ours.predict(PAIRS)

    assert (scores.shape, scores.dtype, ours.num_labels) == ((3, 3), np.float32, 3)
    close(scores, theirs.predict(PAIRS))
    close(ours.predict(PAIRS[0]), theirs.predict(PAIRS[0]))
    softmax = torch.nn.Softmax(dim=-1)
    close(ours.predict(PAIRS, activation_fn=softmax), theirs.predict(PAIRS, apply_softmax=True))
    with pytest.raises(InputError, match="3 labels"):
        ours.rank(QUERY, DOCUMENTS)


def test_another_number_of_labels(tmp_path: Path) -> None:
    """A head of another size would have random weights, so it is refused."""
    folder = cross_encoders.cross_encoder(tmp_path, labels=3)

    assert Reranker(folder, device="cpu").num_labels == 3
    with pytest.raises(CheckpointError):
        Reranker(folder, device="cpu", num_labels=2)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("make", [cross_encoders.rankllama, text_rerankers.zerank])
def test_either_side_of_padding(make: Callable[[Path], Path], side: str, tmp_path: Path) -> None:
    folder = make(tmp_path)
    options: dict[str, Any] = {"processor_kwargs": {"padding_side": side}}
    reference = CrossEncoder(str(folder), device="cpu").predict(PAIRS, activation_fn=LOGITS)

    found = Reranker(folder, device="cpu", **options).predict(PAIRS, activation_fn=LOGITS)
    close(found, reference)


def test_a_language_model_without_a_template(tmp_path: Path) -> None:
    """Without a template, the tokenizer joins the two texts."""
    folder = text_rerankers.bge_reranker_gemma(tmp_path)
    (folder / "chat_template.jinja").unlink()
    (folder / "modules.json").unlink()
    (folder / "sentence_bert_config.json").unlink()
    (folder / "config_sentence_transformers.json").unlink()
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    assert {"yes", "no"} <= vocabulary.keys()
    theirs, ours = CrossEncoder(str(folder), device="cpu"), Reranker(folder, device="cpu")

    close(ours.predict(PAIRS), theirs.predict(PAIRS))
    close(ours.predict(PAIRS, prompt="Page: "), theirs.predict(PAIRS, prompt="Page: "))


@pytest.mark.parametrize(
    "make",
    [
        cross_encoders.bge_reranker_m3,
        cross_encoders.rankllama,
        text_rerankers.qwen3_reranker,
        text_rerankers.bge_reranker_gemma,
    ],
)
def test_unusual_texts(make: Callable[[Path], Path], tmp_path: Path) -> None:
    """Characters outside of the vocabulary, and surrounding spaces."""
    folder = make(tmp_path)
    theirs, ours = CrossEncoder(str(folder), device="cpu"), Reranker(folder, device="cpu")
    texts = [
        "\n\n  spaced  \n",
        "Füße 🎉 日本語",
        "a\x00b",
    ]
    pairs = [(QUERY, text) for text in texts] + [(text, DOCUMENTS[0]) for text in texts]

    expected = theirs.predict(pairs, activation_fn=LOGITS)
    close(ours.predict(pairs, activation_fn=LOGITS), expected)


@pytest.mark.parametrize("make", [cross_encoders.ms_marco_minilm, text_rerankers.zerank])
def test_a_query_is_not_cut(make: Callable[[Path], Path], tmp_path: Path) -> None:
    ours = Reranker(make(tmp_path), device="cpu")
    pairs = [(QUERY, DOCUMENTS[0]), ("Who pays the invoices? " * 100, DOCUMENTS[0])]

    with pytest.raises(InputError, match="query") as caught:
        ours.predict(pairs)
    assert caught.value.position == 1


def test_messages_of_the_caller(tmp_path: Path) -> None:
    """A pair may be chat messages in any order, with an instruction of their own."""
    folder = text_rerankers.qwen3_reranker(tmp_path)
    theirs: Any = CrossEncoder(str(folder), device="cpu")
    ours = Reranker(folder, device="cpu")
    told = {"role": "system", "content": "Find food"}
    asked, shown = [{"role": role, "content": "a cat"} for role in ("query", "document")]
    chats = [[asked, shown], [told, asked, {**shown, "content": "an apple"}], [shown, asked, told]]
    expected = theirs.predict(chats, activation_fn=LOGITS, prompt="")

    close(ours.predict(chats, activation_fn=LOGITS, prompt=""), expected)
    assert np.ptp(expected) > 1e-3
    close(expected[0], theirs.predict([("a cat", "a cat")], activation_fn=LOGITS, prompt=""))


def test_an_activation_of_the_caller_is_saved(tmp_path: Path) -> None:
    folder = cross_encoders.bge_reranker_m3(tmp_path / "first")
    ours = Reranker(folder, device="cpu", activation_fn=torch.nn.Tanh())
    theirs = CrossEncoder(str(folder), device="cpu", activation_fn=torch.nn.Tanh())
    ours.save(tmp_path / "second")

    expected = theirs.predict(PAIRS)
    close(ours.predict(PAIRS), expected)
    close(Reranker(tmp_path / "second", device="cpu").predict(PAIRS), expected)
    close(CrossEncoder(str(tmp_path / "second"), device="cpu").predict(PAIRS), expected)


@pytest.mark.parametrize(
    "make", [cross_encoders.ms_marco_minilm, text_rerankers.qwen3_reranker, text_rerankers.zerank]
)
def test_half_precision_is_raised_before_the_activation(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    """A sigmoid in bfloat16 would give many documents the same score."""
    ours = Reranker(make(tmp_path), device="cpu", dtype="bfloat16")
    given: list[torch.dtype] = []

    def activation(scores: torch.Tensor) -> torch.Tensor:
        given.append(scores.dtype)
        return torch.sigmoid(scores)

    scores = ours.predict(PAIRS, activation_fn=activation)

    assert set(given) == {torch.float32}
    logits = ours.predict(PAIRS, activation_fn=LOGITS)
    assert scores.dtype == logits.dtype == np.float32
    close(scores, 1 / (1 + np.exp(-logits.astype(np.float64))))


def test_rankings_are_json(tmp_path: Path) -> None:
    ours = Reranker(text_rerankers.zerank(tmp_path), device="cpu")
    ranked = ours.rank(QUERY, DOCUMENTS)

    assert json.loads(json.dumps(ranked)) == ranked
    assert sorted(place["index"] for place in ranked) == [0, 1, 2]
    assert [set(place) for place in ranked] == 3 * [{"index", "corpus_id", "score"}]


@pytest.mark.parametrize("make", [cross_encoders.ms_marco_minilm, text_rerankers.zerank])
def test_nothing_to_rank(make: Callable[[Path], Path], tmp_path: Path) -> None:
    ours = Reranker(make(tmp_path), device="cpu")

    assert ours.rank(QUERY, []) == []
    empty = ours.predict([])
    assert (empty.shape, empty.dtype) == ((0,), np.float32)


def without_yes_and_no(folder: Path) -> Path:
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    vocabulary = tokenizer["model"]["vocab"]
    for word in ("yes", "no"):
        vocabulary[f"not {word}"] = vocabulary.pop(word)
    write_json(path, tokenizer)
    return folder


def test_a_tokenizer_without_yes_and_no(tmp_path: Path) -> None:
    folder = text_rerankers.qwen3_reranker_plain(tmp_path)

    with pytest.raises(CheckpointError, match="yes"):
        Reranker(without_yes_and_no(folder), device="cpu")


def test_unknown_words_are_not_yes_and_no(tmp_path: Path) -> None:
    """An unknown token would stand for both answers, and all scores would be 0."""
    folder = text_rerankers.bge_reranker_gemma(tmp_path)
    (folder / "modules.json").unlink()

    with pytest.raises(CheckpointError, match="yes"):
        Reranker(without_yes_and_no(folder), device="cpu")


@pytest.mark.parametrize(
    "ids",
    [{"true_token_id": 100_000}, {"false_token_id": -1}, {"true_token_id": True}],
)
def test_a_token_outside_the_vocabulary(ids: dict[str, int], tmp_path: Path) -> None:
    folder = text_rerankers.qwen3_reranker(tmp_path)
    change(folder / "1_LogitScore/config.json", **ids)

    with pytest.raises(CheckpointError, match=str(next(iter(ids.values())))):
        Reranker(folder, device="cpu")


# A model for chats knows no roles but those of chats; another knows half of a pair.
_ONLY_CHATS = (
    "{% for message in messages %}{% if message.role in ['system', 'user', 'assistant'] %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endif %}{% endfor %}"
)
_ONLY_QUERIES = text_rerankers.QWEN3_TEMPLATE.replace("'eq', 'document'", "'eq', 'query'")
_REFUSES = "{{ raise_exception('no such role') }}"


@pytest.mark.parametrize(
    ("template", "message"),
    [(_ONLY_CHATS, "query"), (_ONLY_QUERIES, "document"), (_REFUSES, "no such role")],
    ids=["neither", "no document", "raises"],
)
@pytest.mark.parametrize(
    "make", [text_rerankers.qwen3_reranker, text_rerankers.qwen3_reranker_plain]
)
def test_a_template_that_drops_a_side(
    make: Callable[[Path], Path], template: str, message: str, tmp_path: Path
) -> None:
    folder = make(tmp_path)
    (folder / "chat_template.jinja").write_text(template)

    with pytest.raises(CheckpointError, match=message):
        Reranker(folder, device="cpu")


def test_a_template_can_be_given(tmp_path: Path) -> None:
    folder = text_rerankers.qwen3_reranker_plain(tmp_path)
    options: dict[str, Any] = {
        "processor_kwargs": {"chat_template": text_rerankers.ZERANK_TEMPLATE}
    }
    theirs = CrossEncoder(str(folder), device="cpu", **options)
    usual = CrossEncoder(str(folder), device="cpu").predict(PAIRS, activation_fn=LOGITS)

    expected = theirs.predict(PAIRS, activation_fn=LOGITS)
    assert np.abs(expected - usual).max() > 1e-3
    close(Reranker(folder, device="cpu", **options).predict(PAIRS, activation_fn=LOGITS), expected)


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"top_k": -1}])
def test_impossible_options(options: dict[str, int], tmp_path: Path) -> None:
    reranker = Reranker(text_rerankers.qwen3_reranker(tmp_path), device="cpu")

    with pytest.raises(InputError, match="-1" if "top_k" in options else "batch_size=0"):
        reranker.rank("a query", ["a document"], **options)  # pyright: ignore[reportArgumentType]


def test_a_pair_of_no_tokens(tmp_path: Path) -> None:
    folder = text_rerankers.qwen3_reranker(tmp_path)
    for file in ("chat_template.jinja", "modules.json", "sentence_bert_config.json"):
        (folder / file).unlink()
    reranker = Reranker(folder, device="cpu")

    with pytest.raises(InputError, match=r"Input 1: .*both empty"):
        reranker.predict([("a", ""), ("", "")], prompt="")


@pytest.mark.parametrize(
    "make", [text_rerankers.qwen3_reranker, cross_encoders.rankllama, jina_reranker_m0]
)
def test_the_last_layer_computes_what_is_read(make: Callable[[Path], Path], tmp_path: Path) -> None:
    reranker = Reranker(make(tmp_path), device="cpu")
    transformer: Any = reranker.model.chain.input  # pyright: ignore[reportAttributeAccessIssue]
    layers = transformer.model.get_decoder().layers
    expected = reranker.predict(PAIRS, activation_fn=LOGITS)
    tokens: dict[int, int] = {0: 0, len(layers) - 1: 0}

    def count(place: int) -> Callable[..., None]:
        def counted(_: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
            tokens[place] += inputs[0].shape[1]

        return counted

    for place in tokens:
        layers[place].mlp.act_fn.register_forward_pre_hook(count(place))
    again = reranker.predict(PAIRS, activation_fn=LOGITS)

    np.testing.assert_array_equal(again, expected)
    assert tokens[len(layers) - 1] == len(PAIRS) < tokens[0]


def test_what_a_tree_refuses_goes_the_plain_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A layer may refuse during a forward, although the trial of the model succeeded."""
    reranker = Reranker(text_rerankers.qwen3_reranker(tmp_path), device="cpu")
    expected = reranker.predict(PAIRS, activation_fn=LOGITS)
    asked: list[int] = []

    def refuse(*_: Any, **__: Any) -> None:
        asked.append(1)
        raise TreeAttentionUnsupported("not today")

    monkeypatch.setattr(importlib.import_module("mm_rag.attention.interface"), "attend", refuse)

    close(reranker.predict(PAIRS, activation_fn=LOGITS), expected)
    assert asked
