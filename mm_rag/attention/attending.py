"""attending: a transformers model attends as a tree says, for one forward."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel

from mm_rag.attention.config import decoder_config, longest_path
from mm_rag.attention.kernels import attend
from mm_rag.attention.tree import Pack, PrefixTree, TreeRefused

__all__ = ["attending"]

# No mask function has this name: transformers then makes no mask, as a tree needs none.
_NAME = "mm_rag_tree"
_pack: ContextVar[Pack | None] = ContextVar("mm_rag_pack", default=None)
_switching = Lock()

# What models pass to change the scores, and a tree does not know.
_UNKNOWN = ("softcap", "s_aux", "sinks", "position_bias", "indices", "block_indices", "cache")


@contextmanager
def attending(
    model: PreTrainedModel, tree: PrefixTree, lengths: Sequence[int], *, keep: bool
) -> Generator[None]:
    """Run one forward of a model whose decoder attends as a tree says.

    The forward takes one row, `input_ids` or `inputs_embeds` of (1, tokens), with `position_ids`
    that count along each path, no `attention_mask`, and `use_cache=False`, without gradients. The
    row holds the prefix first, unless it is empty or stored, and then the branches.

    The model's configuration says how it attends, so no other thread may run the same model
    meanwhile. If one does, its forward fails, or one that began before or ends after may attend
    to its padding: take a lock.

    Args:
        model: The model, or its decoder alone.
        tree: What the branches share.
        lengths: Tokens of each branch, at least 1.
        keep: Store the prefix's keys and values in the tree, for later packs.

    Raises:
        ValueError: No branches, or an empty one.
        TreeRefused: The model cannot attend so; take the plain way.
    """
    pack = Pack(tree, lengths, keep=keep)
    _check_windows(model, tree.prefix + max(lengths))
    config: Any = decoder_config(model)
    with _switched(config):
        token = _pack.set(pack)
        try:
            yield
        finally:
            _pack.reset(token)
    pack.close(config.num_hidden_layers)


def _check_windows(model: PreTrainedModel, path: int) -> None:
    longest = longest_path(model)
    if longest is not None and path > longest:
        raise TreeRefused(f"A path of {path} tokens exceeds the model's window of {longest}.")


@contextmanager
def _switched(config: Any) -> Generator[None]:
    with _switching:
        before = config._attn_implementation
        if before == _NAME:
            raise TreeRefused("The model attends to another tree just now, in another thread.")
        config._attn_implementation = _NAME
    try:
        yield
    finally:
        config._attn_implementation = before


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **options: Any,
) -> tuple[Tensor, None]:
    """What a layer calls; transformers gives the signature."""
    pack = _pack.get()
    if pack is None:
        raise TreeRefused("The model attends to a tree just now, in another thread: take a lock.")
    layer: Any = getattr(module, "layer_idx", None)
    why = _why_not(module, pack, query, key, attention_mask, dropout, options)
    if why or layer is None:
        raise TreeRefused(f"{type(module).__name__} {layer}: {why or 'no number of the layer'}.")
    pack.use(layer)
    trunk = pack.trunk(layer, key, value)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return attend(query, key, value, trunk=trunk, pack=pack, scale=scale), None


def _why_not(
    module: nn.Module,
    pack: Pack,
    query: Tensor,
    key: Tensor,
    mask: Tensor | None,
    dropout: float,
    options: dict[str, Any],
) -> str | None:
    """Why a layer's attention would come out wrong, if it would."""
    if query.shape[0] != 1 or not query.shape[2] == key.shape[2] == pack.tokens:
        return f"expected one row of {pack.tokens} tokens, got {tuple(query.shape)}"
    if mask is not None:
        return "it brings a mask"
    if dropout or (torch.is_grad_enabled() and query.requires_grad):
        return "trees are for inference only, without dropout and gradients"
    if False in (options.get("is_causal"), getattr(module, "is_causal", None)):
        return "it is not causal"
    window = options.get("sliding_window")
    if window is not None and pack.longest > window:
        return f"a path of {pack.longest} tokens exceeds its window of {window}"
    unknown = [name for name in _UNKNOWN if options.get(name) is not None]
    return f"it needs {', '.join(unknown)}" if unknown else None


AttentionInterface.register(_NAME, _attention)
