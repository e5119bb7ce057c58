"""The kernels: one layer's attention over one pack.

Shapes: queries (1, heads, tokens, size), keys and values (1, key heads, tokens, size), and what
comes out (1, tokens, heads, size), as transformers takes it from an attention function.

A branch sees two things: the prefix, whole, and itself, causally. Two ways to add them up:

- *merged*: attend to each alone, and weigh the two results by their log-sum-exps. The prefix is
  read by all branches in one call and never copied.
- *joined*: attend branch by branch to a copy of prefix and branch, with a mask. Any device and
  precision can; on a CPU it also takes less time while the prefix is shorter than the branches.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mm_rag.attention.tree import KeysAndValues, Pack
from mm_rag.attention.varlen import varlen_flash, varlen_takes

__all__ = ["attend"]

# scaled_dot_product_attention runs this on a CPU; by its own name it gives log-sum-exps, too.
# None in a release of torch that has renamed it: the other way is taken then.
_cpu_flash: Any = getattr(
    getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", None), "default", None
)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    trunk: KeysAndValues | None,
    pack: Pack,
    scale: float,
) -> Tensor:
    """Attend as a pack says, by the fastest kernel that takes these tensors.

    Args:
        query: The row's queries.
        key: The row's keys.
        value: The row's values.
        trunk: The prefix's keys and values, where there is a prefix.
        pack: Where the row's sequences are.
        scale: What scores are multiplied by.
    """
    if varlen_takes(query, value):
        return _on_cuda(query, key, value, trunk, pack, scale)
    lead = pack.lead
    rows = query[:, :, lead:], key[:, :, lead:], value[:, :, lead:]
    if trunk is None:
        return _alone(*rows, pack.lengths, scale)
    merged = pack.long_prefix and _cpu_flash_takes(query, value)
    branches = (_merged if merged else _joined)(*rows, trunk, pack, scale)
    if not lead:
        return branches
    first = _alone(query[:, :, :lead], *trunk, [lead], scale)
    return torch.cat((first, branches), dim=1)


def _alone(query: Tensor, key: Tensor, value: Tensor, lengths: list[int], scale: float) -> Tensor:
    """Sequences that share nothing, one after the other."""
    out = [
        F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale, enable_gqa=True)
        for q, k, v in _split(lengths, query, key, value)
    ]
    return _row(out)


def _joined(
    query: Tensor, key: Tensor, value: Tensor, trunk: KeysAndValues, pack: Pack, scale: float
) -> Tensor:
    keys, values = trunk
    mask, prefix = pack.mask(query), keys.shape[2]
    out = [
        F.scaled_dot_product_attention(
            q,
            torch.cat((keys, k), dim=2),
            torch.cat((values, v), dim=2),
            attn_mask=mask[:length, : prefix + length],
            scale=scale,
            enable_gqa=True,
        )
        for length, (q, k, v) in zip(
            pack.lengths, _split(pack.lengths, query, key, value), strict=True
        )
    ]
    return _row(out)


def _cpu_flash_takes(query: Tensor, value: Tensor) -> bool:
    return (
        _cpu_flash is not None
        and query.device.type == "cpu"
        and query.dtype in (torch.float32, torch.bfloat16)
        and query.shape[-1] == value.shape[-1]
    )


def _merged(
    query: Tensor, key: Tensor, value: Tensor, trunk: KeysAndValues, pack: Pack, scale: float
) -> Tensor:
    out, weight = _cpu_flash(query, *trunk, scale=scale)
    parts = _split(pack.lengths, query, key, value, out, weight)
    for q, k, v, seen, seen_weight in parts:
        own, own_weight = _cpu_flash(q, k, v, is_causal=True, scale=scale)
        _merge(seen, seen_weight, own, own_weight)
    return out.transpose(1, 2)


def _merge(out: Tensor, weight: Tensor, other: Tensor, other_weight: Tensor) -> None:
    """Add attention over some keys to that over others, in place.

    Args:
        out: What one gave; the sum afterwards.
        weight: The log-sum-exp of its scores, in float32, without the last dimension of `out`.
        other: What the other gave.
        other_weight: The log-sum-exp of its scores.
    """
    share = (other_weight - weight).sigmoid_().unsqueeze(-1)
    out.lerp_(other, share.to(out.dtype))


def _split(lengths: list[int], *tensors: Tensor) -> Any:
    """Views of the branches of each tensor, whose tokens are dimension 2."""
    return zip(*(tensor.split(lengths, 2) for tensor in tensors), strict=True)


def _row(branches: list[Tensor]) -> Tensor:
    """Branches of (1, heads, tokens, size) as one row of (1, tokens, heads, size)."""
    return torch.cat([branch.transpose(1, 2) for branch in branches], dim=1)


def _on_cuda(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    trunk: KeysAndValues | None,
    pack: Pack,
    scale: float,
) -> Tensor:
    """All sequences of the row in one call, and all branches over the prefix in another."""
    lead, q = pack.lead, query[0].transpose(0, 1)
    bounds, longest = pack.offsets(query.device), max(lead, *pack.lengths)
    out, weight = varlen_flash(
        q, key, value, (bounds, bounds), (longest, longest), scale, causal=True
    )
    if trunk is not None:
        branches, prefix = q[lead:], trunk[0].shape[2]
        ends = pack.whole(query.device)
        sizes = branches.shape[0], prefix
        seen, seen_weight = varlen_flash(branches, *trunk, ends, sizes, scale, causal=False)
        _merge(out[lead:], weight[lead:], seen, seen_weight)
    return out.unsqueeze(0)
