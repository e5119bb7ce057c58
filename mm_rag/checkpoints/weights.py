"""The weights of a module: safetensors, or an old pickle, which is read without running code."""

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

# Errors of torch's unpickler on damaged files.
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
    """Load the weights in `folder` into `module`; all of them, or none if they do not match.

    Raises:
        CheckpointError: The weights are missing, damaged, or another module's.
    """
    weights = read_weights(folder)
    state: dict[str, Tensor] = module.state_dict()
    # Shared weights are stored once, under one of their names.
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
    """Write the weights of `module`; shared ones are written once."""
    save_model(module, str(folder / _FILE))


def weights_file(folder: Path) -> Path:
    """The file in `folder` with the weights.

    Raises:
        CheckpointError: There is no such file.
    """
    for name in (_FILE, _OLD_FILE):
        if (folder / name).is_file():
            return folder / name
    raise CheckpointError(
        f"The checkpoint {folder} has no weights: neither {_FILE} nor {_OLD_FILE} exists. "
        "Was the download interrupted?"
    )


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Read the tensors in `folder` by name, on the CPU.

    Raises:
        CheckpointError: They are missing or damaged, or the file contains code.
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
        # With weights_only, only tensors and containers are built; nothing in the file is called.
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
    """Join the first `most` names for a message, and say how many more there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return ", ".join(ordered[:most]) + more
