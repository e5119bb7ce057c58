"""What users of sentence-transformers expect: its names, its attributes, and what they do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import HfApi
from sentence_transformers import CrossEncoder, SentenceTransformer

from mm_rag import Encoder, Reranker
from mm_rag.errors import (
    CheckpointError,
    InputError,
    MissingExtra,
    NotFinite,
    UnknownAttribute,
    UnsupportedModality,
)
from mm_rag.modules import Transformer
from tests.parity.replicas import causal, cross_encoder, qwen3_vl, routers, static
from tests.parity.replicas.common import write_json
from tests.parity.replicas.text import bert

TEXTS = ["A cat sat on the mat.", "Invoices are paid within thirty days.", "light"]
QUERY = "Who pays invoices?"
LOGITS = torch.nn.Identity()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bert(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def reranking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cross_encoder(tmp_path_factory.mktemp("reranker"))


@pytest.fixture
def encoder(folder: Path) -> Encoder:
    return Encoder(folder, device="cpu")


@pytest.fixture
def reranker(reranking: Path) -> Reranker:
    return Reranker(reranking, device="cpu")


def close(mine: Any, theirs: Any) -> None:
    np.testing.assert_allclose(np.asarray(mine), np.asarray(theirs), rtol=0, atol=1e-5)


def test_max_seq_length_of_an_encoder(folder: Path, encoder: Encoder) -> None:
    theirs = SentenceTransformer(str(folder), device="cpu")
    text, before = TEXTS[1] * 5, encoder.fingerprint
    whole = encoder.encode(text)
    assert encoder.max_seq_length == theirs.max_seq_length
    encoder.max_seq_length = theirs.max_seq_length = 8

    assert encoder.max_seq_length == 8
    assert not np.allclose(encoder.encode(text), whole, atol=1e-3)
    close(encoder.encode(text), theirs.encode(text))
    assert encoder.fingerprint != before
    assert "8 tokens" in repr(encoder)


def test_max_seq_length_of_a_reranker(reranking: Path, reranker: Reranker) -> None:
    theirs = CrossEncoder(str(reranking), device="cpu")
    pair = (QUERY, TEXTS[1] * 5)
    whole = reranker.predict(pair)
    reranker.max_seq_length = np.int64(20)  # pyright: ignore[reportAttributeAccessIssue]
    theirs.max_seq_length = 20

    assert reranker.max_seq_length == 20
    assert not np.allclose(reranker.predict(pair), whole, atol=1e-5)
    close(reranker.predict(pair), theirs.predict(pair))


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "8", None, 10_000])
def test_lengths_that_no_model_has(encoder: Encoder, reranker: Reranker, limit: Any) -> None:
    for model in (encoder, reranker):
        with pytest.raises(InputError, match=r"max_seq_length|positions"):
            model.max_seq_length = limit


def test_models_that_cut_nothing(tmp_path: Path) -> None:
    encoder = Encoder(static.static_embedding(tmp_path), device="cpu")
    for model in (encoder, Reranker(encoder=encoder)):
        assert model.max_seq_length is None
        with pytest.raises(InputError, match="max_seq_length"):
            model.max_seq_length = 8


def test_routes_are_cut_together(tmp_path: Path) -> None:
    encoder = Encoder(routers.text_beside_pictures(tmp_path), device="cpu")
    long = TEXTS[1] * 5
    whole = encoder.encode(long)
    encoder.max_seq_length = 6

    assert encoder.max_seq_length == 6
    assert not np.allclose(encoder.encode(long), whole, atol=1e-4)


def test_a_length_of_the_checkpoint_gives_way(tmp_path: Path) -> None:
    folder = bert(tmp_path)
    path = folder / "sentence_bert_config.json"
    write_json(path, {"processing_kwargs": {"text": {"max_length": 20}}, "query_length": 12})
    encoder = Encoder(folder, device="cpu")
    assert encoder.max_seq_length == 20
    encoder.max_seq_length = 6

    text = TEXTS[1] * 3
    other = Encoder(bert(tmp_path / "b", max_length=6), device="cpu")
    close(encoder.encode(text), other.encode(text))
    close(encoder.encode_query(text, prompt=""), other.encode_query(text, prompt=""))


@pytest.mark.parametrize("name", ["max_length", "max_seq_len", "trucate_dim", "prompt", "x"])
def test_unknown_attributes(encoder: Encoder, reranker: Reranker, name: str) -> None:
    for model in (encoder, reranker):
        with pytest.raises(UnknownAttribute, match=name) as caught:
            setattr(model, name, 8)
        assert isinstance(caught.value, AttributeError)
    with pytest.raises(AttributeError, match="did you mean max_seq_length"):
        encoder.max_seq_lenght = 8  # pyright: ignore[reportAttributeAccessIssue]


def test_subclasses_have_attributes_of_their_own(folder: Path) -> None:
    class Mine(Encoder):
        """Somebody's own."""

    mine = Mine(folder, device="cpu")
    mine.calls = 3  # pyright: ignore[reportAttributeAccessIssue]
    assert vars(mine)["calls"] == 3


def test_attributes_that_do_something(encoder: Encoder, reranker: Reranker) -> None:
    whole = encoder.encode(TEXTS)
    encoder.truncate_dim = 5
    close(encoder.encode(TEXTS), whole[:, :5])
    assert encoder.dimension == 5
    encoder.similarity_fn_name = "euclidean"
    assert encoder.similarity_name == encoder.similarity_fn_name == "euclidean"
    assert encoder.similarity(whole, whole)[0, 1] < 0
    encoder.prompts = {"query": "cat: "}
    encoder.default_prompt_name = "query"
    encoder.truncate_dim = None
    close(encoder.encode(TEXTS), encoder.encode(["cat: " + text for text in TEXTS], prompt=""))
    reranker.activation_fn = LOGITS
    close(reranker.predict((QUERY, "a")), reranker.predict((QUERY, "a"), activation_fn=LOGITS))
    wrong: list[tuple[Any, str, Any]] = [
        (encoder, "truncate_dim", 0),
        (encoder, "similarity_name", "cosinus"),
        (reranker, "activation_fn", None),
        (reranker, "activation_fn", torch.nn.Sigmoid),
    ]
    for model, name, value in wrong:
        with pytest.raises(InputError):
            setattr(model, name, value)
    for model, name in [(encoder, "policy"), (encoder, "device"), (reranker, "num_labels")]:
        with pytest.raises(AttributeError):
            setattr(model, name, None)


def test_devices_and_tokenizers(encoder: Encoder, reranker: Reranker) -> None:
    for model in (encoder, reranker):
        assert model.device == torch.device("cpu")
        assert model.to("cpu") is model
        with pytest.raises(InputError, match="nowhere"):
            model.to("nowhere")
        tokenizer = model.tokenizer
        assert tokenizer("a cat")["input_ids"]
        model.tokenizer = tokenizer
        assert model.tokenizer is tokenizer
        with pytest.raises(InputError, match="tokenizer"):
            model.tokenizer = "bert"


def test_a_tokenizer_in_another_ones_place(folder: Path, encoder: Encoder) -> None:
    shorter = Encoder(folder, device="cpu", processor_kwargs={"model_max_length": 5})
    encoder.tokenizer = shorter.tokenizer

    close(encoder.encode(TEXTS[1]), shorter.encode(TEXTS[1]))
    assert encoder.fingerprint == shorter.fingerprint


def test_similarity_pairwise(folder: Path, encoder: Encoder) -> None:
    theirs = SentenceTransformer(str(folder), device="cpu")
    vectors = encoder.encode(TEXTS)

    close(
        encoder.similarity_pairwise(vectors, vectors[::-1]),
        theirs.similarity_pairwise(vectors, vectors[::-1].copy()),
    )


@pytest.mark.parametrize("method", ["encode", "encode_query", "encode_document"])
def test_names_of_encoding(folder: Path, encoder: Encoder, method: str) -> None:
    theirs, mine = SentenceTransformer(str(folder), device="cpu"), getattr(encoder, method)
    options: dict[str, Any] = {
        "show_progress_bar": False,
        "normalize_embeddings": True,
        "output_value": "sentence_embedding",
        "device": "cpu",
        "chunk_size": None,
        "pool": None,
    }
    expected = getattr(theirs, method)(TEXTS, **options)

    close(mine(TEXTS, **options), expected)
    assert isinstance(mine(TEXTS, convert_to_tensor=True), torch.Tensor)
    assert isinstance(mine(TEXTS, convert_to_numpy=False), torch.Tensor)
    assert isinstance(mine(TEXTS, convert_to_tensor=True, convert_to_numpy=True), torch.Tensor)
    assert isinstance(mine(TEXTS, convert_to_numpy=True, show_progress_bar=None), np.ndarray)


def test_names_of_ranking(reranking: Path, reranker: Reranker) -> None:
    theirs = CrossEncoder(str(reranking), device="cpu")
    pairs = [(QUERY, text) for text in TEXTS]

    close(
        reranker.predict(pairs, activation_fct=LOGITS, show_progress_bar=False),  # pyright: ignore[reportCallIssue]
        theirs.predict(pairs, activation_fn=LOGITS),
    )
    expected: Any = theirs.rank(QUERY, TEXTS, top_k=2, return_documents=True)
    found = reranker.rank(QUERY, TEXTS, 2, return_documents=True)
    assert [place["corpus_id"] for place in found] == [place["corpus_id"] for place in expected]
    assert [place.get("text") for place in found] == [place["text"] for place in expected]
    close([place["score"] for place in found], [place["score"] for place in expected])
    assert all(place["index"] == place["corpus_id"] for place in found)
    assert isinstance(reranker.predict(pairs, output="tensor"), torch.Tensor)


def test_softmax_over_labels(tmp_path: Path) -> None:
    folder = cross_encoder(tmp_path, labels=3)
    theirs, mine = CrossEncoder(str(folder), device="cpu"), Reranker(folder, device="cpu")
    pairs = [(QUERY, text) for text in TEXTS]

    found = mine.predict(pairs, apply_softmax=True)
    close(found, theirs.predict(pairs, apply_softmax=True))
    close(found.sum(axis=1), np.ones(3))
    close(mine.predict(pairs[0], apply_softmax=True), found[0])


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ({"output_value": "token_embeddings"}, "encode_tokens"),
        ({"chunk_size": 8}, "chunk_size"),
        ({"pool": {"input": None}}, "pool"),
        ({"show_progress_bar": True, "progress": True}, "progress"),
        ({"normalize_embeddings": True, "normalize": False}, "normalize"),
    ],
)
def test_names_without_a_counterpart(encoder: Encoder, option: Any, hint: str) -> None:
    with pytest.raises(InputError, match=hint):
        encoder.encode(TEXTS, **option)


def test_names_of_loading(folder: Path, reranking: Path, tmp_path: Path) -> None:
    make: Any = Encoder
    assert make(folder, device="cpu", similarity_fn_name="dot").similarity_name == "dot"
    assert make(model_name_or_path=str(folder), backend="torch").dimension == 32
    with pytest.raises(InputError, match="backend"):
        make(folder, backend="onnx")
    with pytest.raises(InputError, match="similarity_fn_name and similarity"):
        make(folder, similarity="dot", similarity_fn_name="cosine")
    with pytest.raises(InputError, match="tokenizer_kwargs and processor_kwargs"):
        make(folder, tokenizer_kwargs={}, processor_kwargs={})
    with pytest.raises(TypeError, match="model_arguments"):
        make(folder, model_arguments={})
    short = Encoder.from_pretrained(
        folder, device="cpu", tokenizer_kwargs={"model_max_length": 8}, prompts={"query": "q: "}
    )
    assert (short.max_seq_length, short.prompts["query"]) == (8, "q: ")
    make = Reranker
    assert make(reranking, device="cpu", max_length=16).max_seq_length == 16
    assert make(reranking, device="cpu", num_labels=1).num_labels == 1
    assert make(reranking, default_activation_function=LOGITS).activation_fn is LOGITS


def test_a_pool_is_a_device(encoder: Encoder, reranker: Reranker) -> None:
    pairs = [(QUERY, text) for text in TEXTS * 3]
    with encoder.pool(["cpu"]) as pool:
        close(encoder.encode(TEXTS, pool=pool), encoder.encode(TEXTS))
    expected = reranker.predict(pairs)
    with reranker.pool(["cpu", "cpu"]) as pool:
        close(reranker.predict(pairs, pool=pool), expected)  # pyright: ignore[reportCallIssue]
        close(pool.predict(pairs[0]), expected[0])
        ranked = [[place["index"] for place in one.rank(QUERY, TEXTS)] for one in (pool, reranker)]
        assert ranked[0] == ranked[1]
        with pytest.raises(InputError, match="query") as caught:
            pool.predict([*pairs, (QUERY * 50, "a")])
        assert caught.value.position == len(pairs)
    close(reranker.predict(pairs, devices=["cpu"]), expected)
    assert reranker.predict([], devices=["cpu"]).shape == (0,)


def overflowing(folder: Path) -> tuple[Encoder, Reranker]:
    """Weights that make infinity of every text in float16, and of long ones only."""
    encoder = Encoder(folder, device="cpu", dtype="float16")
    transformer = encoder.chain.input
    assert isinstance(transformer, Transformer)
    with torch.no_grad():
        for weights in transformer.model.parameters():
            weights.fill_(600)
    return encoder, Reranker(encoder=encoder)


def test_vectors_without_a_meaning(folder: Path) -> None:
    encoder, reranker = overflowing(folder)

    for method in (encoder.encode, encoder.encode_query, encoder.encode_document):
        with pytest.raises(NotFinite, match=rf"^Input 0: .*{folder.name}.*bfloat16"):
            method(["a cat", "light"])
        with pytest.raises(NotFinite, match=r"^The model"):
            method("a cat", normalize=True, precision="ubinary")
    with pytest.raises(NotFinite, match=r"^Input 0: "):
        encoder.encode_tokens(["a cat"])
    with pytest.raises(NotFinite):
        reranker.rank("a cat", ["light"])


class Broken(torch.nn.Module):
    """NaN where the first token is that of a word."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        made = scores.clone()
        made[1] = self.value
        return made


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_scores_without_a_meaning(reranking: Path, reranker: Reranker, value: float) -> None:
    pairs = [(QUERY, text) for text in TEXTS]
    with pytest.raises(NotFinite, match=r"^Input 1: .*activation"):
        reranker.predict(pairs, activation_fn=Broken(value))

    damaged = Reranker(reranking, device="cpu")
    with torch.no_grad():
        for weights in damaged.model.parameters():
            weights[0] = value
    with pytest.raises(NotFinite, match=rf"^Input 0: .*{reranking.name}.*damaged"):
        damaged.predict(pairs)  # a sigmoid would make 1 of infinity
    with pytest.raises(NotFinite):
        damaged.rank(QUERY, TEXTS)


class Uploads:
    """The hub, as far as an upload asks it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.files: set[str] = set()
        for name in ("create_repo", "create_branch", "upload_folder"):
            monkeypatch.setattr(HfApi, name, self._recorded(name))

    def _recorded(self, name: str) -> Callable[..., Any]:
        def call(_: HfApi, *args: Any, **options: Any) -> Any:
            self.calls.append((name, options))
            if name == "upload_folder":
                self.files = {path.name for path in Path(options["folder_path"]).iterdir()}
            return Made()

        return call


class Made:
    repo_id = "user/model"
    commit_url = "https://hub.test/user/model/commit/1"
    pr_url = "https://hub.test/user/model/discussions/1"


def test_push_to_hub(encoder: Encoder, reranker: Reranker, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Uploads(monkeypatch)
    assert encoder.push_to_hub("model", private=True) == Made.commit_url
    assert {"modules.json", "model.safetensors", "tokenizer.json"} <= hub.files
    assert hub.calls[0] == ("create_repo", {"private": True, "exist_ok": False})
    assert reranker.push_to_hub("model", create_pr=True, revision="new") == Made.pr_url
    assert [name for name, _ in hub.calls[2:]] == ["create_repo", "create_branch", "upload_folder"]


def test_push_without_a_network(
    encoder: Encoder, reranker: Reranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for model in (encoder, reranker):
        with pytest.raises(CheckpointError, match="user/model"):
            model.push_to_hub("user/model", token="hf_none")
        with pytest.raises(CheckpointError, match="name of a repository"):
            model.push_to_hub("no name/at/all", token="hf_none")


@pytest.mark.parametrize(
    ("requirements", "told"),
    [
        ({"transformers": ">=99"}, r"transformers>=99, but 5.*is installed.*pip install"),
        ({"no-such-package": ">=1"}, "no-such-package>=1, but it is not installed"),
        ({"python": ">=4"}, "python>=4"),
        ({"pytorch": {"specifier": "<1", "reason": "it is old"}}, r"torch<1, .*it is old"),
    ],
)
def test_requirements_of_a_checkpoint(
    requirements: Any, told: str, folder: Path, reranking: Path, tmp_path: Path
) -> None:
    for number, (source, load) in enumerate([(folder, Encoder), (reranking, Reranker)]):
        asking = tmp_path / str(number)
        shutil.copytree(source, asking)
        write_json(asking / "config_sentence_transformers.json", {"requirements": requirements})
        with pytest.raises(MissingExtra, match=told):
            load(asking, device="cpu")


@pytest.mark.parametrize(
    "requirements",
    [
        {"transformers": ">=5", "sentence-transformers": ">=99", "python": ">=3.11"},
        {"transformers": "soon"},
        {"torch": 3},
        ["torch"],
        None,
    ],
)
def test_requirements_that_are_met_or_not_understood(
    requirements: Any, folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "m")
    write_json(tmp_path / "m/config_sentence_transformers.json", {"requirements": requirements})

    assert Encoder(tmp_path / "m", device="cpu").dimension == 32


PAIRS = [("Who pays?", "Invoices are paid within thirty days."), ("a cat", ""), ("", "light")]


def test_pairs_of_texts(folder: Path, encoder: Encoder) -> None:
    """A pair in a batch gets one vector; a pair alone is a batch of two."""
    theirs: Any = SentenceTransformer(str(folder), device="cpu")

    for method in ("encode", "encode_query", "encode_document"):
        close(getattr(encoder, method)(PAIRS), getattr(theirs, method)(PAIRS))
        both = getattr(encoder, method)([*PAIRS, "a cat", list(PAIRS[0])])
        close(both[:3], getattr(theirs, method)(PAIRS))
        close(both[3], getattr(theirs, method)("a cat"))
        close(both[4], both[0])
    assert encoder.encode(PAIRS[0]).shape == (2, 32)
    assert not np.allclose(encoder.encode(PAIRS[:1])[0], encoder.encode(PAIRS[0][0]), atol=1e-3)


def test_pairs_of_texts_for_other_models(tmp_path: Path) -> None:
    for number, make in enumerate([static.static_embedding, causal.qwen3_embedding]):
        model = make(tmp_path / str(number))
        theirs: Any = SentenceTransformer(str(model), device="cpu")
        close(Encoder(model, device="cpu").encode(PAIRS), theirs.encode(PAIRS))
    seeing = qwen3_vl(tmp_path / "seeing")
    theirs = SentenceTransformer(str(seeing), device="cpu")
    try:
        expected = theirs.encode(PAIRS)
    except ValueError:
        with pytest.raises(UnsupportedModality, match="pairs"):
            Encoder(seeing, device="cpu").encode(PAIRS)
    else:
        close(Encoder(seeing, device="cpu").encode(PAIRS), expected)
