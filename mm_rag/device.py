"""Where models run, and in which precision."""

from __future__ import annotations

import torch

from mm_rag.errors import InputError


def best_device() -> torch.device:
    """The accelerator of this machine, or its CPU."""
    found = torch.accelerator.current_accelerator(check_available=True)
    return found or torch.device("cpu")


def as_dtype(dtype: str | torch.dtype | None) -> torch.dtype | None:
    """Turn `"bfloat16"` into `torch.bfloat16`.

    Raises:
        InputError: torch has no such dtype.
    """
    if dtype is None or isinstance(dtype, torch.dtype):
        return dtype
    found = getattr(torch, dtype, None)
    if not isinstance(found, torch.dtype):
        raise InputError(f"torch has no dtype {dtype!r}; use one such as 'float32' or 'bfloat16'.")
    return found
