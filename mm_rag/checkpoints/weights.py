"""The weights of a module: safetensors, or an old pickle that is read without running its code."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_model
from torch import Tensor, nn

from mm_rag.errors import CheckpointError

_FILE = "model.safetensors"
_OLD_FILE = "pytorch_model.bin"

# What torch's reader raises on damaged files: it is a stack machine on bytes.
_DAMAGED = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    struct.error,
)


def load_weights(module: nn.Module, folder: Path) -> None:
    """Fill `module` with the weights in `folder`; nothing is filled where they do not fit.

    Raises:
        CheckpointError: There are none, they are damaged, or they are another module's.
    """
    weights = read_weights(folder)
    state: dict[str, Tensor] = module.state_dict()
    # Weights that modules share are stored once, under one of their names.
    stored = {state[name].data_ptr() for name in weights.keys() & state.keys()}
    missing = [name for name in state.keys() - weights if state[name].data_ptr() not in stored]
    misshapen = [
        f"{name} {tuple(weights[name].shape)} instead of {tuple(state[name].shape)}"
        for name in weights.keys() & state.keys()
        if weights[name].shape != state[name].shape
    ]
    faults = {
        "missing": missing,
        "unknown": weights.keys() - state,
        "of another shape": misshapen,
    }
    if said := [f"{fault}: {listed(names)}" for fault, names in faults.items() if names]:
        raise CheckpointError(
            f"The weights in {weights_file(folder)} do not fit its config; {'; '.join(said)}."
        )
    module.load_state_dict(weights, strict=False)


def save_weights(module: nn.Module, folder: Path) -> None:
    """Write the weights of `module`, those it shares within itself once."""
    save_model(module, str(folder / _FILE))


def weights_file(folder: Path) -> Path:
    """Where the weights in `folder` are.

    Raises:
        CheckpointError: There are none.
    """
    for name in (_FILE, _OLD_FILE):
        if (folder / name).is_file():
            return folder / name
    raise CheckpointError(
        f"The checkpoint {folder} has no weights: neither {_FILE} nor {_OLD_FILE} is there. "
        "Was the download interrupted?"
    )


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors in `folder` by name, on the CPU.

    Raises:
        CheckpointError: There are none, they are damaged, or they hold code.
    """
    path = weights_file(folder)
    if path.name == _OLD_FILE:
        return _read_pickle(path)
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"The weights in {path} cannot be read: {error}") from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        # weights_only builds tensors and containers, and calls nothing that the file names.
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} was not loaded: it is damaged, or holds more than tensors, which could run "
            "code. Ask its publisher for model.safetensors."
        ) from error
    except _DAMAGED as error:
        raise CheckpointError(f"The weights in {path} cannot be read: {error}") from error
    tensors: dict[Any, Any] = dict(found) if isinstance(found, Mapping) else {}
    if not tensors or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise CheckpointError(f"{path} holds no tensors by name.")
    return tensors


def listed(names: Iterable[str], most: int = 5) -> str:
    """Names for a message: the first ones, and how many more there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return ", ".join(ordered[:most]) + more
