"""One layer's attention over a prefix tree: the layout of a packed row, and the kernels.

Sequences that begin alike lie in one row, `[prefix][branch 1][branch 2]...`. A branch sees the
whole prefix and, causally, itself; it does not see other branches. Nothing is padded, and the
prefix is there once.

Two ways to combine prefix and branch:

- *merged*: attend to the prefix and to the branch separately, and weigh the two results by their
  log-sum-exps. All branches read the prefix in one call.
- *joined*: attend branch by branch to a copy of prefix and branch, with a mask. This works on any
  device and in any precision; on a CPU it is also faster while the prefix is shorter than the
  branches.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["KeysAndValues", "PackedRow", "PrefixTree", "TreeAttentionUnsupported", "attend"]

# Keys and values of one layer, each of shape (1, heads, tokens, head size).
KeysAndValues: TypeAlias = tuple[Tensor, Tensor]

# The kernel of scaled_dot_product_attention on a CPU, which also returns log-sum-exps. None in a
# release of torch that has renamed it.
_cpu_flash: Any = getattr(
    getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", None), "default", None
)


class TreeAttentionUnsupported(RuntimeError):  # caught inside the library: pairs are scored padded
    """A model cannot attend over a tree; no result was computed."""


class PrefixTree:
    """The prefix that several sequences share, with its keys and values once they are computed.

    Args:
        length: Tokens of the prefix; 0 is allowed.

    Attributes:
        length: Tokens of the prefix.
        layers: The prefix's keys and values by layer; empty until a row was run that keeps them.
    """

    def __init__(self, length: int) -> None:
        if length < 0:
            raise ValueError(f"A prefix has 0 tokens or more, not {length}.")
        self.length = length
        self.layers: dict[int, KeysAndValues] = {}

    @property
    def stored(self) -> bool:
        """Whether keys and values are stored; later rows then hold branches only."""
        return bool(self.layers)

    def crop(self, length: int) -> None:
        """Keep the first tokens only. They do not see later ones, so their values stay correct.

        Args:
            length: Tokens to keep.

        Raises:
            ValueError: The prefix is shorter.
        """
        if not 0 <= length <= self.length:
            raise ValueError(f"A prefix of {self.length} tokens cannot be cropped to {length}.")
        self.length = length
        kept = self.layers.items() if length else ()
        self.layers = {n: (k[:, :, :length], v[:, :, :length]) for n, (k, v) in kept}


class PackedRow:
    """The layout of one row: branches, behind their prefix if that is not stored yet.

    Args:
        tree: The prefix.
        lengths: Tokens of each branch, at least 1.
        keep: Store the prefix's keys and values in the tree.

    Attributes:
        lead: Tokens of the prefix that are in the row: all of them, or 0.
        lengths: Tokens of each branch.
        tokens: Tokens of the row.
    """

    def __init__(self, tree: PrefixTree, lengths: Sequence[int], *, keep: bool) -> None:
        if not lengths or min(lengths) < 1:
            raise ValueError(f"Branches have at least one token each; got {list(lengths)}.")
        self.tree = tree
        self.lengths = list(lengths)
        self.lead = 0 if tree.stored else tree.length
        self.tokens = self.lead + sum(lengths)
        self._keep = keep and self.lead > 0
        self._used: set[int] = set()
        self._fresh: dict[int, KeysAndValues] = {}
        self._masks: dict[tuple[torch.dtype, torch.device], Tensor] = {}
        self._bounds: dict[tuple[str, torch.device], Tensor] = {}

    def use(self, layer: int) -> None:
        """Record that a layer attends.

        Raises:
            TreeAttentionUnsupported: The layer did so before in this forward.
        """
        if layer in self._used:
            raise TreeAttentionUnsupported(f"Layer {layer} attended twice in one forward.")
        self._used.add(layer)

    def prefix(self, layer: int, key: Tensor, value: Tensor) -> KeysAndValues | None:
        """The prefix's keys and values in a layer, from the row or the tree; None if it is empty.

        Args:
            layer: Number of the layer.
            key: Keys of the row, shape (1, heads, tokens, head size).
            value: Values of the row.

        Raises:
            TreeAttentionUnsupported: The tree holds none of this layer.
        """
        if self.lead:
            first = key[:, :, : self.lead], value[:, :, : self.lead]
            if self._keep:
                # A clone, because a view would keep the rest of the row in memory.
                self._fresh[layer] = first[0].clone(), first[1].clone()
            return first
        if not self.tree.length:
            return None
        if layer not in self.tree.layers:
            raise TreeAttentionUnsupported(f"The prefix has no keys and values of layer {layer}.")
        return self.tree.layers[layer]

    def close(self, layers: int) -> None:
        """Store the prefix after a forward, if the row keeps it.

        Args:
            layers: How many layers the model has.

        Raises:
            TreeAttentionUnsupported: Some layers did not attend over the tree.
        """
        if len(self._used) != layers:
            raise TreeAttentionUnsupported(
                f"{len(self._used)} of {layers} layers attended over the tree."
            )
        self.tree.layers.update(self._fresh)

    @property
    def longest(self) -> int:
        """Tokens of the longest path: prefix and branch."""
        return self.tree.length + max(self.lengths)

    @property
    def long_prefix(self) -> bool:
        """Whether the prefix is longer than the branches are on average."""
        return self.tree.length * len(self.lengths) > self.tokens - self.lead

    def offsets(self, device: torch.device) -> Tensor:
        """Boundaries of the row's sequences: 0, the prefix's end, the end of each branch."""
        sequences = [self.lead, *self.lengths] if self.lead else self.lengths
        return self._once("offsets", device, lambda: [0, *itertools.accumulate(sequences)])

    def outer_offsets(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Boundaries of all branches taken together, and of the prefix."""
        branches = self._once("branches", device, lambda: [0, self.tokens - self.lead])
        return branches, self._once("prefix", device, lambda: [0, self.tree.length])

    def _once(self, name: str, device: torch.device, values: Callable[[], list[int]]) -> Tensor:
        if (name, device) not in self._bounds:
            made = torch.tensor(values(), dtype=torch.int32, device=device)
            self._bounds[name, device] = made
        return self._bounds[name, device]

    def mask(self, like: Tensor) -> Tensor:
        """Additive mask of the longest branch, shape (branch, prefix and branch): 0 or -inf.

        Args:
            like: A tensor of the wanted device and precision.
        """
        place = like.dtype, like.device
        if place not in self._masks:
            longest, prefix = max(self.lengths), self.tree.length
            hidden = like.new_full((longest, prefix + longest), float("-inf"))
            self._masks[place] = hidden.triu_(prefix + 1)
        return self._masks[place]


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    prefix: KeysAndValues | None,
    row: PackedRow,
    scale: float,
) -> Tensor:
    """Attend over a packed row with the fastest kernel that supports these tensors.

    Args:
        query: Queries of the row, shape (1, heads, tokens, size).
        key: Keys of the row, shape (1, key heads, tokens, size).
        value: Values of the row, shaped like the keys.
        prefix: Keys and values of the prefix; None if it is empty.
        row: The layout of the row.
        scale: Factor of the scores.

    Returns:
        Shape (1, tokens, heads, size), as transformers expects from an attention function.
    """
    if _varlen_supports(query, value):
        return _on_cuda(query, key, value, prefix, row, scale)
    lead = row.lead
    branch_tensors = query[:, :, lead:], key[:, :, lead:], value[:, :, lead:]
    if prefix is None:
        return _alone(*branch_tensors, row.lengths, scale)
    merged = row.long_prefix and _cpu_flash_supports(query, value)
    branches = (_merged if merged else _joined)(*branch_tensors, prefix, row, scale)
    if not lead:
        return branches
    first = _alone(query[:, :, :lead], *prefix, [lead], scale)
    return torch.cat((first, branches), dim=1)


def _alone(query: Tensor, key: Tensor, value: Tensor, lengths: list[int], scale: float) -> Tensor:
    """Causal attention of sequences that share nothing, one after the other."""
    out = [
        F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale, enable_gqa=True)
        for q, k, v in _split(lengths, query, key, value)
    ]
    return _concatenated(out)


def _joined(
    query: Tensor, key: Tensor, value: Tensor, prefix: KeysAndValues, row: PackedRow, scale: float
) -> Tensor:
    keys, values = prefix
    mask, lead = row.mask(query), keys.shape[2]
    out = [
        F.scaled_dot_product_attention(
            q,
            torch.cat((keys, k), dim=2),
            torch.cat((values, v), dim=2),
            attn_mask=mask[:length, : lead + length],
            scale=scale,
            enable_gqa=True,
        )
        for length, (q, k, v) in zip(
            row.lengths, _split(row.lengths, query, key, value), strict=True
        )
    ]
    return _concatenated(out)


def _cpu_flash_supports(query: Tensor, value: Tensor) -> bool:
    return (
        _cpu_flash is not None
        and query.device.type == "cpu"
        and query.dtype in (torch.float32, torch.bfloat16)
        and query.shape[-1] == value.shape[-1]
    )


def _merged(
    query: Tensor, key: Tensor, value: Tensor, prefix: KeysAndValues, row: PackedRow, scale: float
) -> Tensor:
    out, weight = _cpu_flash(query, *prefix, scale=scale)
    parts = _split(row.lengths, query, key, value, out, weight)
    for q, k, v, over_prefix, prefix_weight in parts:
        own, own_weight = _cpu_flash(q, k, v, is_causal=True, scale=scale)
        _merge(over_prefix, prefix_weight, own, own_weight)
    return out.transpose(1, 2)


def _merge(out: Tensor, weight: Tensor, other: Tensor, other_weight: Tensor) -> None:
    """Combine attention over two sets of keys, in place.

    Args:
        out: Result over the first set; the combined result afterwards.
        weight: Log-sum-exp of its scores, float32, shaped like `out` without the last dimension.
        other: Result over the second set.
        other_weight: Log-sum-exp of its scores.
    """
    share = (other_weight - weight).sigmoid_().unsqueeze(-1)
    out.lerp_(other, share.to(out.dtype))


def _split(lengths: list[int], *tensors: Tensor) -> Any:
    """Views of each branch of the tensors, whose tokens are dimension 2."""
    return zip(*(tensor.split(lengths, 2) for tensor in tensors), strict=True)


def _concatenated(branches: list[Tensor]) -> Tensor:
    """Branches of (1, heads, tokens, size) as one row of (1, tokens, heads, size)."""
    return torch.cat([branch.transpose(1, 2) for branch in branches], dim=1)


def _on_cuda(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    prefix: KeysAndValues | None,
    row: PackedRow,
    scale: float,
) -> Tensor:
    """All sequences of the row in one call, and all branches over the prefix in another."""
    lead, q = row.lead, query[0].transpose(0, 1)
    bounds, longest = row.offsets(query.device), max(lead, *row.lengths)
    out, weight = _varlen_flash(
        q, key, value, (bounds, bounds), (longest, longest), scale, causal=True
    )
    if prefix is not None:
        branches = q[lead:]
        ends = row.outer_offsets(query.device)
        sizes = branches.shape[0], prefix[0].shape[2]
        over_prefix, prefix_weight = _varlen_flash(
            branches, *prefix, ends, sizes, scale, causal=False
        )
        _merge(out[lead:], weight[lead:], over_prefix, prefix_weight)
    return out.unsqueeze(0)


def _varlen_supports(query: Tensor, value: Tensor) -> bool:
    """Whether torch's CUDA kernel supports this device, precision and head size."""
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


@cache
def _varlen() -> Any:
    """Torch's flash attention for several sequences in one row; None if it lacks an option."""
    try:
        from torch.nn.attention import varlen

        options = set(inspect.signature(varlen.varlen_attn).parameters)
    except (ImportError, AttributeError):
        return None
    fits = {"enable_gqa", "num_splits", "scale"} <= options and hasattr(varlen, "AuxRequest")
    return varlen if fits else None


def _varlen_flash(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bounds: tuple[Tensor, Tensor],
    longest: tuple[int, int],
    scale: float,
    *,
    causal: bool,
) -> tuple[Tensor, Tensor]:
    """Attend each sequence of queries to the sequence of keys with the same number.

    Args:
        query: Shape (tokens, heads, size).
        key: Shape (1, key heads, tokens, size).
        value: Shaped like the keys.
        bounds: Boundaries of the sequences of queries, and of those of keys, int32.
        longest: Tokens of the longest sequence of queries, and of keys.
        scale: Factor of the scores.
        causal: Whether tokens see only those before them.

    Returns:
        Results of (tokens, heads, size), and log-sum-exps of (tokens, heads), float32.
    """
    # num_splits=1 excludes cuDNN, whose log-sum-exps have another layout and, if a grouped head
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
