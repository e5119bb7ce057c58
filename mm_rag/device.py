"""Where models run, and in which precision."""

from __future__ import annotations

import torch

from mm_rag.errors import InputError


def best_device() -> torch.device:
    """The accelerator of this machine, or its CPU."""
    found = torch.accelerator.current_accelerator(check_available=True)
    return found or torch.device("cpu")


def as_device(device: str | int | torch.device | None) -> torch.device:
    """A device of this machine; None and `"auto"` stand for the best one.

    Raises:
        InputError: torch knows no such device, or this machine has none.
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
    said = next(iter(reason.splitlines()), "").rstrip(".")
    return (
        f"Models cannot run on the device {device!r} here: {said}. This machine's best device is "
        f"{str(best_device())!r}, which is taken without an argument."
    )


def as_dtype(dtype: str | torch.dtype | None) -> torch.dtype | None:
    """Turn `"bfloat16"` into `torch.bfloat16`; None and `"auto"` stand for the checkpoint's.

    Raises:
        InputError: torch has no such dtype, or it is none that weights can have.
    """
    if dtype is None or dtype == "auto":
        return None
    named = dtype.removeprefix("torch.") if isinstance(dtype, str) else ""
    found = dtype if isinstance(dtype, torch.dtype) else getattr(torch, named, None)
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise InputError(
            f"Weights cannot have the dtype {dtype!r}; use one such as 'float32', 'bfloat16' or "
            "'auto'."
        )
    return found
