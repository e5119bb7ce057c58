from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mm_rag.errors import CheckpointError
from mm_rag.modules import Dense, Features, LayerNorm, LoadOptions, Module


class Runs:
    """What a malicious pickle holds: unpickled, it calls a function of its choice."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


def dense(folder: Path) -> Dense:
    module = Dense(4, 3)
    module.save(folder)
    return module


def as_old(folder: Path, value: Any) -> None:
    """Replace the weights in `folder` by a pickle."""
    (folder / "model.safetensors").unlink()
    torch.save(value, folder / "pytorch_model.bin")


def change(folder: Path, **tensors: Tensor) -> None:
    path = folder / "model.safetensors"
    save_file({**load_file(path), **tensors}, path)


def load(folder: Path) -> Dense:
    return Dense.load(folder, LoadOptions())


def test_old_weights(tmp_path: Path) -> None:
    saved = dense(tmp_path)
    as_old(tmp_path, saved.state_dict())

    torch.testing.assert_close(load(tmp_path).state_dict(), saved.state_dict())


def test_safetensors_go_before_old_weights(tmp_path: Path) -> None:
    saved = dense(tmp_path)
    torch.save({"linear.weight": torch.zeros(3, 4)}, tmp_path / "pytorch_model.bin")

    torch.testing.assert_close(load(tmp_path).state_dict(), saved.state_dict())


def test_a_pickle_with_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    saved, trace = dense(tmp_path / "model"), tmp_path / "trace"
    as_old(tmp_path / "model", {**saved.state_dict(), "more": Runs(trace)})

    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin was not loaded"):
        load(tmp_path / "model")

    assert not trace.exists()


@pytest.mark.parametrize("value", [[1, 2], {}, {"linear.weight": 3}])
def test_old_weights_that_are_none(tmp_path: Path, value: Any) -> None:
    dense(tmp_path)
    as_old(tmp_path, value)

    with pytest.raises(CheckpointError, match="no tensors by name"):
        load(tmp_path)


@pytest.mark.parametrize("damage", [b"", b"junk", b"PK\x03\x04" + bytes(50)])
def test_old_weights_that_are_damaged(tmp_path: Path, damage: bytes) -> None:
    dense(tmp_path)
    as_old(tmp_path, {})
    (tmp_path / "pytorch_model.bin").write_bytes(damage)

    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin"):
        load(tmp_path)


def test_missing_and_unknown_weights_are_named(tmp_path: Path) -> None:
    dense(tmp_path)
    save_file({"linear.weights": torch.zeros(3, 4)}, tmp_path / "model.safetensors")

    with pytest.raises(CheckpointError) as caught:
        load(tmp_path)

    assert "missing: linear.bias, linear.weight;" in str(caught.value)
    assert "unknown: linear.weights" in str(caught.value)
    assert str(tmp_path / "model.safetensors") in str(caught.value)


def test_weights_of_another_shape_are_named(tmp_path: Path) -> None:
    dense(tmp_path)
    change(tmp_path, **{"linear.weight": torch.zeros(3, 5)})

    with pytest.raises(CheckpointError, match=r"linear.weight \(3, 5\) instead of \(3, 4\)"):
        load(tmp_path)


def test_no_weights_at_all(tmp_path: Path) -> None:
    LayerNorm(3).save(tmp_path)
    (tmp_path / "model.safetensors").unlink()

    with pytest.raises(CheckpointError, match=r"neither model\.safetensors nor pytorch_model\.bin"):
        LayerNorm.load(tmp_path, LoadOptions())


@pytest.mark.parametrize("config", ["[1]", '{"dimension": "x"}', '{"dimension": -1}', "{}", "{"])
def test_a_config_that_is_not_understood(tmp_path: Path, config: str) -> None:
    LayerNorm(3).save(tmp_path)
    (tmp_path / "config.json").write_text(config)

    with pytest.raises(CheckpointError, match=r"config\.json"):
        LayerNorm.load(tmp_path, LoadOptions())


class Twice(Module):
    """Has one weight under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 2)
        self.second = self.first

    def forward(self, features: Features) -> Features:
        return features


def test_shared_weights_are_stored_once(tmp_path: Path) -> None:
    module = Twice()
    module.save(tmp_path)
    again = Twice.load(tmp_path, LoadOptions())

    assert len(load_file(tmp_path / "model.safetensors")) == 2
    torch.testing.assert_close(again.state_dict(), module.state_dict())
