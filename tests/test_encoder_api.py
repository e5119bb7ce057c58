"""What `Encoder.encode` and its relatives can be asked for, and what comes out."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pictures

from mm_rag import Encoder
from mm_rag.errors import CheckpointError, InputError, UnsupportedModality
from mm_rag.modules import Features, Module, Pooling, Router, Transformer
from tests.parity import replicas, samples
from tests.parity.loading import Make, maker

TEXTS = ["A cat sat on the mat.", "light", "Invoices are paid within thirty days."]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    """With the prompts `query` and `document`."""
    return Encoder(replicas.bert(tmp_path_factory.mktemp("bert")), device="cpu")


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Replicas by the names of their families."""
    return maker(tmp_path_factory)


def again(encoder: Encoder, **options: Any) -> Encoder:
    return Encoder(encoder.name, device="cpu", **options)


def close(mine: Any, reference: Any) -> None:
    np.testing.assert_allclose(np.asarray(mine), np.asarray(reference), rtol=0, atol=1e-5)


def test_shapes_of_one_and_of_many(bert: Encoder) -> None:
    one, many, single = bert.encode("light"), bert.encode(TEXTS), bert.encode(["light"])

    assert one.shape == (bert.dimension,)
    assert many.shape == (3, bert.dimension)
    assert single.shape == (1, bert.dimension)
    assert one.dtype == many.dtype == np.float32
    close(one, single[0])


@pytest.mark.parametrize(
    ("precision", "dtype", "width"),
    [
        ("float32", np.float32, 1),
        ("int8", np.int8, 1),
        ("uint8", np.uint8, 1),
        ("binary", np.int8, 8),
        ("ubinary", np.uint8, 8),
    ],
)
@pytest.mark.parametrize("inputs", [TEXTS, [], ()])
def test_an_empty_batch_has_the_form_of_a_full_one(
    bert: Encoder, inputs: Any, precision: Any, dtype: Any, width: int
) -> None:
    vectors = bert.encode(inputs, precision=precision)
    kept = bert.encode(inputs, precision=precision, truncate_dim=16)
    tensor = bert.encode(inputs, precision=precision, output="tensor")

    assert vectors.shape == (len(inputs), bert.dimension // width)
    assert kept.shape == (len(inputs), 16 // width)
    assert vectors.dtype == kept.dtype == dtype
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(tensor.numpy(), vectors)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"truncate_dim": 0}, "at least one dimension"),
        ({"truncate_dim": -1}, "at least one dimension"),
        ({"truncate_dim": 2.0}, "truncate_dim=2.0"),
        ({"truncate_dim": "8"}, "truncate_dim='8'"),
        ({"precision": "int4"}, "no precision 'int4'"),
        ({"output": "list"}, "'numpy' or 'tensor'"),
        ({"batch_size": 0}, "at least one input"),
        ({"prompt": 3}, "got a int"),
        ({"prompt_name": "passage"}, "has query, document"),
        ({"devices": "cpu"}, "list of devices"),
        ({"arguments": {"temperature": 1}}, "argument temperature"),
    ],
)
@pytest.mark.parametrize("inputs", [TEXTS, []])
def test_impossible_options(
    bert: Encoder, options: dict[str, Any], words: str, inputs: list[str]
) -> None:
    with pytest.raises(InputError, match=words):
        bert.encode(inputs, **options)


@pytest.mark.parametrize("option", ["truncate_dim", "precision", "output"])
def test_impossible_options_are_found_before_the_work(
    bert: Encoder, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("The model ran.")

    monkeypatch.setattr(Transformer, "forward", never)
    wrong: dict[str, Any] = {option: -1}
    with pytest.raises(InputError):
        bert.encode(TEXTS, **wrong)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"truncate_dim": 0}, "at least one dimension"),
        ({"similarity": "angle"}, "no similarity 'angle'"),
        ({"default_prompt_name": "passage"}, "no prompt named 'passage'"),
    ],
)
def test_impossible_encoders(bert: Encoder, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        again(bert, **options)


def test_dimensions_are_cut_before_vectors_are_scaled(bert: Encoder) -> None:
    whole = bert.encode(TEXTS)
    cut = whole[:, :8] / np.linalg.norm(whole[:, :8], axis=1, keepdims=True)

    close(bert.encode(TEXTS, truncate_dim=8, normalize=True), cut)
    close(bert.encode(TEXTS, truncate_dim=1000), whole)


def test_a_call_keeps_other_dimensions_than_its_encoder(bert: Encoder) -> None:
    short = again(bert, truncate_dim=8)
    whole = bert.encode(TEXTS)

    assert short.dimension == 8
    assert short.encode([]).shape == (0, 8)
    close(short.encode(TEXTS), whole[:, :8])
    close(short.encode(TEXTS, truncate_dim=12), whole[:, :12])


def test_vectors_do_not_depend_on_their_order_or_batch(bert: Encoder) -> None:
    vectors = bert.encode(samples.TEXTS)

    for batch_size in (1, 2, 5):
        close(bert.encode(samples.TEXTS[::-1], batch_size=batch_size)[::-1], vectors)


def test_prompts(bert: Encoder) -> None:
    named = again(bert, prompts={"ask": "Ask: "}, default_prompt_name="ask")
    asked = bert.encode(TEXTS, prompt="Ask: ")

    close(named.encode(TEXTS), asked)
    close(bert.encode(TEXTS, prompt_name="query"), bert.encode_query(TEXTS))
    close(named.encode(TEXTS, prompt=""), bert.encode(TEXTS))
    close(named.encode(TEXTS, prompt_name="query"), bert.encode_query(TEXTS))
    close(bert.encode_query(TEXTS, prompt="Ask: "), asked)
    close(named.encode_query(TEXTS, prompt_name="ask"), asked)
    assert not np.allclose(asked, bert.encode(TEXTS), atol=1e-3)


@pytest.mark.slow
def test_a_task_without_a_prompt_has_none(make: Make) -> None:
    plain = make("CLIP")
    named = again(plain, prompts={"ask": "Ask: "}, default_prompt_name="ask")

    close(named.encode(TEXTS), plain.encode(TEXTS, prompt="Ask: "))
    close(named.encode_query(TEXTS), plain.encode(TEXTS))
    close(named.encode_document(TEXTS), plain.encode(TEXTS))


def test_tasks_take_their_routes(make: Make) -> None:
    router = make("Router by task")

    close(router.encode(TEXTS, task="query"), router.encode_query(TEXTS))
    close(router.encode(TEXTS, task="document"), router.encode_document(TEXTS))
    assert not np.allclose(router.encode_query(TEXTS), router.encode_document(TEXTS), atol=1e-3)
    with pytest.raises(UnsupportedModality, match="no route for the task 'clustering'"):
        router.encode(TEXTS, task="clustering")


class Scale(Module):
    """A module that declares an argument."""

    forward_kwargs = frozenset({"factor"})

    def forward(self, features: Features, *, factor: float = 1.0) -> Features:
        features["sentence_embedding"] = features["sentence_embedding"] * factor
        return features


def test_arguments_reach_the_module_that_declares_them(bert: Encoder) -> None:
    transformer, pooling, *_ = list(bert.chain)
    assert isinstance(pooling, Pooling)
    scaled = Encoder(modules=[transformer, pooling, Scale()], device="cpu")

    close(scaled.encode(TEXTS, arguments={"factor": 2.0}), 2 * scaled.encode(TEXTS))
    with pytest.raises(InputError, match="takes the argument boost; known: factor"):
        scaled.encode(TEXTS, arguments={"boost": 2.0})


def test_arguments_reach_only_the_route_that_declares_them(bert: Encoder) -> None:
    transformer, pooling, *_ = list(bert.chain)
    routes = {"query": [transformer, pooling], "document": [transformer, pooling, Scale()]}
    routed = Encoder(modules=[Router(routes)], device="cpu")
    plain = routed.encode_query(TEXTS)

    close(routed.encode_query(TEXTS, arguments={"factor": 2.0}), plain)
    close(routed.encode_document(TEXTS), plain)
    close(routed.encode_document(TEXTS, arguments={"factor": 2.0}), 2 * plain)


def test_progress_changes_nothing(bert: Encoder, capsys: pytest.CaptureFixture[str]) -> None:
    quiet = bert.encode(TEXTS)
    assert not any(capsys.readouterr())

    close(bert.encode(TEXTS, progress=True), quiet)
    assert "Encoding" in "".join(capsys.readouterr())


def test_what_is_supported(bert: Encoder, make: Make) -> None:
    together = make("Qwen3-VL Embedding")

    assert bert.modalities == ("text",)
    assert not bert.supports("image")
    assert not bert.supports(("text", "image"))
    assert not bert.supports("message")
    assert make("CLIP").supports("image")
    assert not make("CLIP").supports(("text", "image"))
    for asked in ("message", ("text", "image"), ("image", "text"), "image+text", "text+image"):
        assert together.supports(asked)
    for asked in ("audio", ("text", "audio"), "Text", "", ()):
        assert not together.supports(asked)


def test_similarity_of_what_encode_gives(bert: Encoder) -> None:
    arrays, tensors = bert.encode(TEXTS), bert.encode(TEXTS, output="tensor")

    close(bert.similarity(tensors, tensors), bert.similarity(arrays, arrays))
    close(bert.similarity(tensors[0].bfloat16(), arrays).shape, (1, 3))
    assert bert.similarity(bert.encode("light"), arrays).dtype == np.float32


def test_inputs_stay_as_they_are(make: Make) -> None:
    array = np.asarray(samples.pictures()[0]).copy()
    clear = Pictures.fromarray(array).convert("RGBA")
    message = samples.messages()[1]
    shown, held, said = array.copy(), clear.tobytes(), repr(message)

    make("CLIP").encode([array, clear])
    make("Qwen3-VL Embedding").encode([message, array])

    np.testing.assert_array_equal(array, shown)
    assert (clear.mode, clear.tobytes()) == ("RGBA", held)
    assert repr(message) == said


def test_an_array_that_changes_between_calls(make: Make) -> None:
    clip, array = make("CLIP"), np.asarray(samples.pictures()[0]).copy()
    before = clip.encode([array, array])
    array[:] = 0

    assert not np.allclose(clip.encode(array), before[0], atol=1e-3)


def test_the_same_picture_many_times(make: Make) -> None:
    clip, [first, second, _] = make("CLIP"), samples.pictures()
    vectors = clip.encode([first, second, first, first.copy(), second])

    close(vectors, clip.encode([first, second])[[0, 1, 0, 0, 1]])


@pytest.mark.slow
@pytest.mark.parametrize("progress", [False, True])
def test_callers_at_once_with_mixed_inputs(make: Make, progress: bool) -> None:
    encoder = make("Qwen3-VL Embedding")
    mixed: list[Any] = [*TEXTS, *samples.pictures(), *samples.together(), *samples.messages()]
    expected = encoder.encode(mixed)
    made: dict[int, Any] = {}

    def call(turn: int) -> None:
        order = mixed[turn:] + mixed[:turn]
        made[turn] = encoder.encode(order, batch_size=1 + turn % 3, progress=progress)

    callers = [threading.Thread(target=call, args=(turn,)) for turn in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=60)

    assert sorted(made) == [0, 1, 2, 3]
    for turn, vectors in made.items():
        close(vectors, np.roll(expected, -turn, axis=0))


def test_an_interrupted_call_leaves_nothing(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = make("CLIP")
    mixed: list[Any] = [*TEXTS, *samples.pictures()]
    expected = encoder.encode(mixed)

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Transformer, "forward", interrupted)
        with pytest.raises(KeyboardInterrupt):
            encoder.encode(mixed)
    np.testing.assert_array_equal(encoder.encode(mixed), expected)


@pytest.mark.slow
def test_media_on_several_devices(make: Make, tmp_path: Path) -> None:
    encoder, [first, second, third] = make("CLIP"), samples.pictures()
    first.save(tmp_path / "first.png")
    mixed: list[Any] = [*TEXTS, second, tmp_path / "first.png", np.asarray(third)]

    close(encoder.encode(mixed, devices=["cpu", "cpu"]), encoder.encode(mixed))


def test_what_a_killed_save_leaves_is_no_other_model(
    bert: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(Pooling, "save", die)
        with pytest.raises(KeyboardInterrupt):
            bert.save(tmp_path / "saved")

    with pytest.raises(CheckpointError, match="Pooling"):
        Encoder(tmp_path / "saved", device="cpu")
    bert.save(tmp_path / "saved")
    close(again(bert).encode_query(TEXTS), Encoder(tmp_path / "saved").encode_query(TEXTS))
