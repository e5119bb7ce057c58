"""Devices and dtypes: choose them, and move models, also those with a `device_map`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mm_rag.errors import InputError


def best_device() -> torch.device:
    """The accelerator of this machine, or its CPU."""
    found = torch.accelerator.current_accelerator(check_available=True)
    return found or torch.device("cpu")


def as_device(device: str | int | torch.device | None) -> torch.device:
    """Check a device of this machine; None and `"auto"` are the best one.

    Raises:
        InputError: torch does not know the device, or this machine does not have it.
    """
    if device is None or device == "auto":
        return best_device()
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        raise InputError(_no_device(device, str(error))) from error
    if found.type == "meta":
        raise InputError(_no_device(device, "it holds no numbers"))
    return found


def _no_device(device: object, reason: str) -> str:
    first_line = next(iter(reason.splitlines()), "").rstrip(".")
    return (
        f"Models cannot run on the device {device!r} here: {first_line}. This machine's best "
        f"device is {str(best_device())!r}, which is taken without an argument."
    )


def as_dtype(dtype: str | torch.dtype | None) -> torch.dtype | None:
    """Turn `"bfloat16"` into `torch.bfloat16`; None and `"auto"` leave it to the checkpoint.

    Raises:
        InputError: torch has no such dtype, or weights cannot have it.
    """
    if dtype is None or dtype == "auto":
        return None
    name = dtype.removeprefix("torch.") if isinstance(dtype, str) else ""
    found = dtype if isinstance(dtype, torch.dtype) else getattr(torch, name, None)
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise InputError(
            f"Weights cannot have the dtype {dtype!r}; use one such as 'float32', 'bfloat16' or "
            "'auto'."
        )
    return found


def place(model: nn.Module, device: torch.device) -> None:
    """Move a model's weights, except for parts that a `device_map` has placed.

    Moving those would undo the map, and fails for weights that stay in memory or on disk until
    they are used.
    """
    if _device_map(model) is not None:
        return
    if not any(_device_map(part) is not None for part in model.modules()):
        model.to(device)
        return
    for part in model.children():
        place(part, device)


def move(model: nn.Module, device: torch.device) -> None:
    """Move a whole model.

    Raises:
        InputError: A `device_map` has placed parts of it.
    """
    if any(_device_map(part) is not None for part in model.modules()):
        raise InputError("A device_map has placed this model: load it again to have it elsewhere.")
    model.to(device)


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """All weights by name, including those that a `device_map` offloads until they are used."""
    state: dict[str, Tensor] = model.state_dict()
    if any(tensor.is_meta for tensor in state.values()):
        from accelerate.utils.modeling import get_state_dict_offloaded_model

        state = get_state_dict_offloaded_model(model)
    return state


def _device_map(model: nn.Module) -> dict[str, Any] | None:
    return getattr(model, "hf_device_map", None)
