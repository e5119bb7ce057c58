from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mm_rag import Encoder, Text
from mm_rag.errors import CheckpointError, InputError
from mm_rag.modules import (
    Chain,
    Dense,
    Features,
    LoadOptions,
    Module,
    Pooling,
    Router,
    Transformer,
    register,
)
from mm_rag.modules.registry import module_class

from ..parity import replicas

TEXT = Text("a cat")


class Scale(Module):
    """The example of the README."""

    forward_kwargs = frozenset({"boost"})

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(float(factor)))

    def config(self) -> dict[str, Any]:
        return {"factor": self.factor.item()}

    def forward(self, features: Features, boost: float = 1.0) -> Features:
        features["sentence_embedding"] = features["sentence_embedding"] * self.factor * boost
        return features


register(Scale)


class Unregistered(Scale):
    """Could be imported, but nobody allowed a checkpoint to name it."""


class Dense2(Dense):
    """A user's own, which must not be taken for a module of mm_rag."""


def vectors() -> Features:
    return Features({"sentence_embedding": torch.tensor([[1.0, 2.0]])})


def transformer(folder: Path) -> Transformer:
    return Transformer.from_pretrained(replicas.plain_bert(folder), LoadOptions())


def rename(folder: Path, position: int, name: Any) -> None:
    path = folder / "modules.json"
    entries = json.loads(path.read_text())
    entries[position]["type"] = name
    path.write_text(json.dumps(entries))


def test_a_module_of_ones_own(tmp_path: Path) -> None:
    modules = [transformer(tmp_path / "plain"), Pooling(32)]
    plain, scaled = (Encoder(modules=[*modules, *more], device="cpu") for more in ([], [Scale(3)]))
    scaled.save(tmp_path / "saved")
    entries = json.loads((tmp_path / "saved" / "modules.json").read_text())

    again = Encoder(tmp_path / "saved", device="cpu")

    assert entries[2]["type"] == f"{__name__}.Scale"
    np.testing.assert_allclose(again.encode("words"), 3 * plain.encode("words"), rtol=1e-5)


def test_arguments_reach_only_the_modules_that_declare_them(tmp_path: Path) -> None:
    modules = [transformer(tmp_path), Pooling(32), Scale(2), Dense(32, 4)]
    chain = Chain(modules).eval()
    features = chain.input.preprocess([TEXT])

    made = chain(features, {"boost": 5.0, "unknown": 1})

    expected = modules[3](Features({"sentence_embedding": pooled(modules) * 10}))
    torch.testing.assert_close(made["sentence_embedding"], expected["sentence_embedding"])
    assert Scale().run(vectors(), {"boost": 4.0})["sentence_embedding"].tolist() == [[4.0, 8.0]]
    assert Scale().run(vectors(), {"other": 4.0})["sentence_embedding"].tolist() == [[1.0, 2.0]]


def test_arguments_in_modules_json(tmp_path: Path) -> None:
    register(Takes)
    Chain([transformer(tmp_path / "plain"), Pooling(32), Takes()]).save(tmp_path / "saved")
    path = tmp_path / "saved" / "modules.json"
    entries = json.loads(path.read_text())
    assert "kwargs" not in entries[2]
    path.write_text(json.dumps([*entries[:2], {**entries[2], "kwargs": ["sign"]}]))

    chain = Chain.load(tmp_path / "saved", LoadOptions())
    chain.save(tmp_path / "again")

    chain.check_arguments({"sign": -1.0})
    with pytest.raises(InputError, match=r"takes the argument size; known: sign"):
        chain.check_arguments({"size": 2})
    assert list(chain)[2].run(vectors(), {"sign": -1.0})["sentence_embedding"].tolist() == [
        [-1.0, -2.0]
    ]
    assert json.loads((tmp_path / "again" / "modules.json").read_text())[2]["kwargs"] == ["sign"]
    assert Takes.forward_kwargs == frozenset()


class Takes(Module):
    """Declares nothing: its checkpoint does."""

    def forward(self, features: Features, sign: float = 1.0) -> Features:
        features["sentence_embedding"] = features["sentence_embedding"] * sign
        return features


@pytest.mark.parametrize(
    "name",
    [
        "sentence_transformers.models.Nonsense",
        "sentence_transformers.models.LSTM",
        "os.system",
        "system",
        "",
        "a.b.c.D",
        "../outside.Dense",
        f"{__name__}.Unregistered",
        "my_package.Dense",
        5,
        None,
    ],
)
@pytest.mark.parametrize("trust", [True, False])
def test_an_unknown_module(tmp_path: Path, name: Any, trust: bool) -> None:
    Chain([transformer(tmp_path / "plain"), Pooling(32)]).save(tmp_path / "saved")
    rename(tmp_path / "saved", 1, name)

    with pytest.raises(CheckpointError) as caught:
        Encoder(tmp_path / "saved", device="cpu", trust_remote_code=trust)

    assert repr(str(name)) in str(caught.value)
    assert "Pooling" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sentence_transformers.models.Pooling", Pooling),
        ("sentence_transformers.models.Pooling.Pooling", Pooling),
        ("sentence_transformers.models.pooling.Pooling", Pooling),
        ("sentence_transformers.sentence_transformer.modules.Pooling", Pooling),
        ("sentence_transformers.sentence_transformer.modules.pooling.Pooling", Pooling),
        ("sentence_transformers.base.modules.dense.Dense", Dense),
        ("sentence_transformers.models.Asym", Router),
        ("mm_rag.modules.Dense", Dense),
    ],
)
def test_names_of_all_versions(tmp_path: Path, name: str, expected: type[Module]) -> None:
    register(Dense2)

    assert module_class(name, tmp_path) is expected


def pooled(modules: list[Any]) -> torch.Tensor:
    features = modules[0].preprocess([TEXT])
    return modules[1](modules[0](features))["sentence_embedding"]
