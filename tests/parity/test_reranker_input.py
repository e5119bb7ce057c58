"""Inputs of a reranker, and its errors on invalid ones."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pictures
from sentence_transformers import CrossEncoder
from torch import nn

from mm_rag import Image, Reranker, Text
from mm_rag.content import Audio
from mm_rag.errors import CheckpointError, InputError, UnreadableMedia, UnsupportedModality
from mm_rag.modules import Dense, LogitScore, Module, Normalize, Pooling, Transformer
from mm_rag.rerankers.model import ScoreOptions
from tests.parity.replicas import cross_encoders, text_rerankers
from tests.parity.replicas.visual_rerankers import nemotron_rerank_vl, qwen3_vl_reranker

PAIRS = [("a cat", "the cat sat"), ("a cat", "light")]
LOGITS = nn.Identity()


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return text_rerankers.qwen3_reranker(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Reranker:
    folder = cross_encoders.ms_marco_minilm(tmp_path_factory.mktemp("classifier"))
    return Reranker(folder, device="cpu")


@pytest.fixture(scope="module")
def reader(words: Path) -> Reranker:
    return Reranker(words, device="cpu")


@pytest.fixture(scope="module")
def viewer(tmp_path_factory: pytest.TempPathFactory) -> Reranker:
    return Reranker(qwen3_vl_reranker(tmp_path_factory.mktemp("viewer")), device="cpu")


def close(mine: Any, reference: Any) -> None:
    np.testing.assert_allclose(np.asarray(mine), np.asarray(reference), rtol=0, atol=1e-5)


def column(pairs: list[Any]) -> Any:
    """Pairs as an array of objects, like a column of a table."""
    made = np.empty(len(pairs), dtype=object)
    made[:] = pairs
    return made


def lists(pairs: list[Any]) -> list[Any]:
    return [list(pair) for pair in pairs]


def nothing(scores: torch.Tensor) -> None:
    del scores


@pytest.mark.parametrize(
    "form",
    [tuple, iter, np.array, column, lists],
)
def test_forms_of_several_pairs(reader: Reranker, form: Callable[[Any], Any]) -> None:
    close(reader.predict(form(PAIRS)), reader.predict(PAIRS))


@pytest.mark.parametrize("form", [tuple, list, np.array])
def test_forms_of_one_pair(reader: Reranker, form: Callable[[Any], Any]) -> None:
    [expected] = reader.predict(PAIRS[:1])
    found = reader.predict(form(PAIRS[0]))

    assert found.shape == ()
    close(found, expected)


def test_one_pair_of_arrays(viewer: Reranker) -> None:
    """An array of numbers is a picture or a video, not a list of pairs."""
    shown, other = np.random.default_rng(1).integers(0, 255, (2, 2, 48, 64, 3), dtype=np.uint8)
    for pair in [(shown, "light"), (shown[0], "light"), (shown, other), (shown[0], other[0])]:
        found = viewer.predict(pair)
        assert found.shape == ()
        close(found, viewer.predict([pair])[0])


@pytest.mark.parametrize(
    ("pairs", "position"),
    [
        (None, None),
        (5, None),
        ("a text", None),
        (np.array("a text"), None),
        ({"query": "a", "document": "b"}, None),
        ({"role": "query", "content": "a"}, None),
        (Text("a text"), None),
        (("a",), None),
        (("a", "b", "c"), None),
        ([{"query": "a", "document": "b"}], None),
        ([("a", "b"), ("a", "b", "c")], 1),
        ([("a", "b"), ()], 1),
        ([("a", "b"), None], 1),
        ([("a", "b"), ("a", None)], 1),
        ([("a", "b"), ("a", ["b", "c"])], 1),
        ([("a", "b"), (1, 2)], 1),
        (np.zeros((2, 2)), 0),
        ([[{"role": "query"}, {"role": "document", "content": "b"}]], 0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_are_no_pairs(reader: Reranker, pairs: Any, position: int | None) -> None:
    with pytest.raises(InputError) as caught:
        reader.predict(pairs)
    assert caught.value.position == position


@pytest.mark.parametrize("documents", ["a text", b"bytes", None, 5, {"text": "a"}, Text("a")])
def test_what_are_no_documents(reader: Reranker, documents: Any) -> None:
    """A str is not a sequence of documents."""
    with pytest.raises(InputError, match="Documents come in a list"):
        reader.rank("a cat", documents)


def test_a_medium_in_messages_that_the_model_does_not_take(
    reader: Reranker, viewer: Reranker
) -> None:
    """The template would leave the medium out, and the score would not depend on it."""
    sound = Audio(np.zeros(1600, dtype=np.float32), 16_000)
    picture = Image(Pictures.new("RGB", (48, 48)))
    for reranker, medium in ((reader, picture), (viewer, sound)):
        asked = {"role": "query", "content": "a cat"}
        shown = {"role": "document", "content": [medium]}
        for pair in ([asked, shown], ("a cat", [shown])):
            with pytest.raises(UnsupportedModality, match=medium.modality) as caught:
                reranker.predict([PAIRS[0], pair])
            assert caught.value.position == 1


@pytest.mark.parametrize("role", ["query", "document"])
def test_conversations_of_one_message(words: Path, reader: Reranker, role: str) -> None:
    theirs: Any = CrossEncoder(str(words), device="cpu")
    chats = [[{"role": role, "content": text}] for text in ("a cat", "the dog")]

    found = reader.predict(chats, activation_fn=LOGITS)
    close(found, theirs.predict(chats, activation_fn=LOGITS))
    assert abs(found[0] - found[1]) > 1e-3


def test_a_query_at_fault_is_no_document(viewer: Reranker, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n")
    long = "Who pays the invoices? " * 300

    for query in (broken, long, Audio(np.zeros(1600, dtype=np.float32), 16_000)):
        with pytest.raises(InputError) as caught:
            viewer.rank(query, ["light", "a cat"])
        assert caught.value.position is None
    with pytest.raises(UnreadableMedia, match="Input 1") as caught:
        viewer.rank("a cat", ["light", broken])
    assert caught.value.position == 1


@pytest.mark.parametrize(
    "make", [text_rerankers.qwen3_reranker, nemotron_rerank_vl], ids=["packed", "padded"]
)
@pytest.mark.parametrize("letter", ["🎉", "日本語 ", "👩\u200d👧", "\ue000"])
def test_letters_of_several_tokens_are_cut(
    make: Callable[[Path], Path], letter: str, tmp_path: Path
) -> None:
    reranker = Reranker(make(tmp_path), device="cpu", trust_remote_code=True)
    query = f"page \ue0f1{letter}"
    for start in ("", "a", "ab", "abc"):
        pairs = [(query, start + letter * 500), (query, start + letter * 501), (query, start)]
        first, second, short = reranker.predict(pairs, activation_fn=LOGITS)
        close(first, second)
        assert abs(first - short) > 1e-5


@pytest.mark.parametrize(
    "activation",
    [nn.PReLU(), torch.Tensor.bfloat16, torch.Tensor.double],
    ids=["weights", "bfloat16", "float64"],
)
def test_unusual_activations(classifier: Reranker, activation: Any) -> None:
    logits = torch.from_numpy(classifier.predict(PAIRS, activation_fn=LOGITS))
    found = classifier.predict(PAIRS, activation_fn=activation)

    assert found.dtype == np.float32
    close(found, activation(logits).detach().float())


@pytest.mark.parametrize(
    "activation", ["sigmoid", nn.Sigmoid, torch.sum, torch.Tensor.numpy, nothing]
)
def test_no_activations(classifier: Reranker, activation: Any) -> None:
    with pytest.raises(InputError, match="activation_fn"):
        classifier.predict(PAIRS, activation_fn=activation)


class Doubled(nn.Module):
    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        return 2 * scores


@pytest.mark.parametrize("activation", [Doubled(), torch.sigmoid, nn.Threshold(0, 1)])
def test_an_activation_that_could_not_be_loaded_is_not_saved(
    words: Path, activation: Any, tmp_path: Path
) -> None:
    reranker = Reranker(words, device="cpu", activation_fn=activation)
    with pytest.raises(InputError, match="cannot be saved"):
        reranker.save(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


@pytest.mark.parametrize("option", ["max_seq_length", "num_labels"])
@pytest.mark.parametrize("size", [0, -1, 12.5, "many"])
def test_impossible_sizes(words: Path, option: str, size: Any) -> None:
    options: dict[str, Any] = {option: size}
    with pytest.raises(InputError, match=option):
        Reranker(words, device="cpu", **options)


@pytest.mark.parametrize("options", [{"num_labels": 3}, {"max_seq_length": 100}])
def test_sizes_that_modules_have_already(words: Path, options: dict[str, Any]) -> None:
    transformer = Transformer.from_pretrained(words, task="text-generation")
    modules = [transformer, LogitScore(1, 2)]

    with pytest.raises(InputError, match=f"{next(iter(options))}=.* custom has"):
        Reranker(modules=modules, device="cpu", **options)
    assert Reranker(modules=modules, device="cpu", num_labels=1).num_labels == 1


@pytest.mark.parametrize("options", [{"batch_size": "3"}, {"batch_size": 1.5}, {"top_k": "3"}])
def test_options_that_are_no_numbers(reader: Reranker, options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"3|1\.5"):
        reader.rank("a cat", ["light"], **options)


def test_modules_that_do_not_fit(words: Path) -> None:
    encoder = Transformer.from_pretrained(words)
    chains: dict[str, list[Any]] = {
        "reads causal_logits": [encoder, LogitScore(1)],
        "reads sentence_embedding": [encoder, Dense(32, 1, module_output_name="scores")],
        "makes no scores": [encoder, Pooling(32, "lasttoken"), Normalize()],
        "Linear is not one": [encoder, nn.Linear(32, 32), LogitScore(1)],
        "str is not one": ["model"],
        "first module": [],
    }
    for message, modules in chains.items():
        with pytest.raises(CheckpointError, match=message):
            Reranker(modules=modules, device="cpu")


class Halved(Module):
    """A user's module, whose output is not declared."""

    def forward(self, features: Any) -> Any:
        features["sentence_embedding"] = features["token_embeddings"][:, -1] / 2
        return features


def test_modules_of_the_user(words: Path) -> None:
    head = Dense(32, 1, activation=nn.Identity(), module_output_name="scores")
    encoder = Transformer.from_pretrained(words)
    reranker = Reranker(modules=[encoder, Halved(), head], device="cpu")

    assert reranker.predict(PAIRS).shape == (2,)


def test_a_list_that_is_no_list_of_modules(words: Path, tmp_path: Path) -> None:
    for file in words.iterdir():
        if file.is_file():
            (tmp_path / file.name).symlink_to(file)
    (tmp_path / "modules.json").unlink()
    (tmp_path / "modules.json").write_text('{"type": "LogitScore"}')

    with pytest.raises(CheckpointError, match=r"modules\.json"):
        Reranker(tmp_path, device="cpu")


def test_an_abandoned_call_holds_no_lock(classifier: Reranker) -> None:
    """An interrupted notebook keeps the traceback, and with it the abandoned generator."""

    def leave(_: int) -> None:
        raise KeyboardInterrupt

    kept: list[BaseException] = []
    try:
        classifier.model.score([(Text("a"), Text("b"))], ScoreOptions(on_batch=leave))
    except KeyboardInterrupt as error:
        kept.append(error)
    assert not torch.is_inference_mode_enabled()
    found: list[Any] = []
    other = threading.Thread(target=lambda: found.append(classifier.predict(PAIRS)), daemon=True)
    other.start()
    other.join(20)
    assert len(kept) == len(found) == 1
