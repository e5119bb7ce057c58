"""torch's flash attention for many sequences in one row, on CUDA."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

import torch
from torch import Tensor

__all__ = ["varlen_flash", "varlen_takes"]


@cache
def _varlen() -> Any:
    """Torch's kernel for sequences in one row; None in versions where it is too simple for us."""
    try:
        from torch.nn.attention import varlen

        options = set(inspect.signature(varlen.varlen_attn).parameters)
    except (ImportError, AttributeError):
        return None
    fits = {"enable_gqa", "num_splits", "scale"} <= options and hasattr(varlen, "AuxRequest")
    return varlen if fits else None


def varlen_takes(query: Tensor, value: Tensor) -> bool:
    """Whether the kernel takes tensors of this device, precision and size of heads."""
    size = query.shape[-1]
    return (
        query.is_cuda
        and torch.version.hip is None
        and query.dtype in (torch.float16, torch.bfloat16)
        and size == value.shape[-1]
        and size % 8 == 0
        and size <= 256
        and torch.cuda.get_device_capability(query.device) >= (8, 0)
        and _varlen() is not None
    )


def varlen_flash(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bounds: tuple[Tensor, Tensor],
    longest: tuple[int, int],
    scale: float,
    *,
    causal: bool,
) -> tuple[Tensor, Tensor]:
    """Attend each sequence of queries to the one of keys with the same number.

    Args:
        query: Of shape (tokens, heads, size).
        key: Of shape (1, key heads, tokens, size).
        value: As `key`.
        bounds: Where the sequences of queries, and those of keys, begin and end, int32.
        longest: Tokens of the longest sequence of queries, and of keys.
        scale: What scores are multiplied by.
        causal: Whether tokens see only those before them.

    Returns:
        Results of (tokens, heads, size) and their log-sum-exps of (tokens, heads), in float32.
    """
    # num_splits keeps cuDNN out, whose log-sum-exps have another layout and, where a grouped head
    # has a single query, gaps.
    kernel = _varlen()
    out, weight = kernel.varlen_attn(
        query,
        key[0].transpose(0, 1),
        value[0].transpose(0, 1),
        *bounds,
        *longest,
        return_aux=kernel.AuxRequest(lse=True),
        scale=scale,
        window_size=(-1, 0) if causal else (-1, -1),
        enable_gqa=True,
        num_splits=1,
    )
    return out, weight.t()
