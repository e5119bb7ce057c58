"""Make a transformers model attend over a prefix tree, and test whether a model can.

A configuration does not tell everything, and new architectures appear. So
`supports_tree_attention` also runs a few random tokens with and without a tree, and compares.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel

from mm_rag.attention.kernels import PackedRow, PrefixTree, TreeAttentionUnsupported, attend

__all__ = ["max_path_length", "supports_tree_attention", "tree_attention"]

# No mask function is registered under this name, so transformers builds no mask for it.
_NAME = "mm_rag_tree"
_active_row: ContextVar[PackedRow | None] = ContextVar("mm_rag_packed_row", default=None)
_switching = Lock()

# Kinds of layers that can attend over a tree.
_LAYERS = {"full_attention", "sliding_attention", "chunked_attention"}

# Arguments by which models change attention scores, and which the kernels do not implement.
_UNKNOWN = ("softcap", "s_aux", "sinks", "position_bias", "indices", "block_indices", "cache")

# Tokens of the sequences that a model is tried with.
_PREFIX, _BRANCHES = 6, (5, 9)

# What models raise when they cannot run the trial; TreeAttentionUnsupported is a RuntimeError.
_FAILURES = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError)


def supports_tree_attention(model: PreTrainedModel) -> bool:
    """Test whether a model gives the same results with `tree_attention` as without.

    This takes a few forwards of a dozen tokens, and leaves all random number generators as they
    are. No other thread may run the model meanwhile.

    Args:
        model: The model, or its decoder alone.
    """
    devices = [model.device] if model.device.type == "cuda" else []
    try:
        if _ruled_out_by_config(model):
            return False
        longest = max_path_length(model)
        if longest is not None and longest < _PREFIX + max(_BRANCHES):
            return False
        with torch.inference_mode(), torch.random.fork_rng(devices):
            return _gives_the_same(model)
    except _FAILURES:
        return False


def _ruled_out_by_config(model: PreTrainedModel) -> bool:
    """Whether a model's kind of attention excludes trees, whatever a short trial shows.

    Recurrent and convolutional layers mix neighbouring branches. With bidirectional attention a
    prefix depends on what follows it. Some rotary embeddings and temperatures depend on the length
    of the row, which a short trial does not show.
    """
    config = _decoder_config(model)
    return (
        model.config.is_encoder_decoder
        or config._attn_implementation != "sdpa"
        or not getattr(config, "is_causal", True)
        or bool(getattr(config, "use_bidirectional_attention", None))
        or bool(getattr(config, "attn_temperature_tuning", None))
        or not set(getattr(config, "layer_types", None) or ()) <= _LAYERS
        or any(kind == "longrope" or "dynamic" in kind for kind in _rope_types(config))
    )


def _rope_types(config: Any) -> list[str]:
    """Kinds of rotary embeddings: one for all layers, or one for each kind of layer."""
    found: object = getattr(config, "rope_parameters", None)
    if not isinstance(found, dict):
        return []
    rope = cast("dict[str, Any]", found)
    each = [rope, *(value for value in rope.values() if isinstance(value, dict))]
    return [str(one["rope_type"]) for one in each if "rope_type" in one]


def _gives_the_same(model: PreTrainedModel) -> bool:
    prefix, *branches = _random_tokens(model)
    tree = PrefixTree(_PREFIX)
    with tree_attention(model, tree, _BRANCHES, keep=True):
        first = _run(model, (prefix, *branches), (0, _PREFIX, _PREFIX))[_PREFIX:]
    with tree_attention(model, tree, _BRANCHES[::-1], keep=False):
        second = _run(model, branches[::-1], (_PREFIX, _PREFIX))
    plain = [_run(model, (torch.cat((prefix, branch)),), (0,))[_PREFIX:] for branch in branches]
    return _close(first, torch.cat(plain)) and _close(second, torch.cat(plain[::-1]))


def _random_tokens(model: PreTrainedModel) -> list[Tensor]:
    """Ids of the prefix and of each branch."""
    words: Any = model.get_input_embeddings()
    generator = torch.Generator().manual_seed(0)
    sizes = [_PREFIX, *_BRANCHES]
    ids = torch.randint(words.weight.shape[0], (sum(sizes),), generator=generator)
    return list(ids.to(words.weight.device).split(sizes))


def _run(model: PreTrainedModel, parts: Sequence[Tensor], starts: Sequence[int]) -> Tensor:
    """Hidden states, shape (tokens, dim), of one row of parts, each with its first position."""
    positions = [
        torch.arange(start, start + len(part), device=part.device)
        for part, start in zip(parts, starts, strict=True)
    ]
    base: Any = model.base_model
    with _without_masks(model):
        result = base(
            input_ids=torch.cat(list(parts)).unsqueeze(0),
            position_ids=torch.cat(positions).unsqueeze(0),
            use_cache=False,
        )
    return result.last_hidden_state[0]


@contextmanager
def _without_masks(model: PreTrainedModel) -> Generator[None]:
    """Fail if the model makes its decoder's masks itself.

    Such models let the tokens of a picture see each other, which a trial with text does not show.
    """
    decoder: Any = model.get_decoder()
    hook = decoder.register_forward_pre_hook(_expect_no_mask, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


def _expect_no_mask(decoder: nn.Module, _: tuple[Any, ...], options: dict[str, Any]) -> None:
    if options.get("attention_mask") is not None:
        raise TreeAttentionUnsupported(f"{type(decoder).__name__} is given masks by its model.")


def _close(tree: Tensor, plain: Tensor) -> bool:
    """Equal within rounding, which is coarse below float32."""
    if plain.dtype in (torch.float32, torch.float64):
        return bool((tree - plain).abs().max() <= 1e-3 * plain.abs().max())
    alike = torch.cosine_similarity(tree.float(), plain.float(), dim=-1)
    return bool(alike.mean() > 0.98)


def max_path_length(model: PreTrainedModel) -> int | None:
    """Most tokens of a path (prefix and one branch) that sliding windows and chunks leave whole.

    Args:
        model: The model, or its decoder alone.

    Returns:
        A number of tokens; None if every token sees all tokens before it.
    """
    config = _decoder_config(model)
    windows = {
        "sliding_attention": getattr(config, "sliding_window", None),
        "chunked_attention": getattr(config, "attention_chunk_size", None),
    }
    present = set(getattr(config, "layer_types", None) or windows)
    sizes = [size for kind, size in windows.items() if size is not None and kind in present]
    return min(sizes, default=None)


def _decoder_config(model: PreTrainedModel) -> Any:
    """The configuration of the text decoder's layers, not that of a vision tower."""
    decoder: Any = model.get_decoder()
    return getattr(decoder, "config", model.config).get_text_config()


@contextmanager
def tree_attention(
    model: PreTrainedModel, tree: PrefixTree, lengths: Sequence[int], *, keep: bool
) -> Generator[None]:
    """Run one forward of a model whose decoder attends over a tree.

    The forward takes one row, `input_ids` or `inputs_embeds` of (1, tokens), with `position_ids`
    that count along each path, no `attention_mask`, and `use_cache=False`, without gradients. The
    row holds the prefix, unless it is empty or stored, and then the branches.

    The model's configuration selects the attention, so no other thread may run the same model
    meanwhile: hold a lock. Otherwise that thread's forward fails, or attends to its padding if it
    began before or ends after this one.

    Args:
        model: The model, or its decoder alone.
        tree: The prefix that the branches share.
        lengths: Tokens of each branch, at least 1.
        keep: Store the prefix's keys and values in the tree, for later rows.

    Raises:
        ValueError: There are no branches, or an empty one.
        TreeAttentionUnsupported: The model cannot attend over this tree.
    """
    row = PackedRow(tree, lengths, keep=keep)
    longest = max_path_length(model)
    if longest is not None and row.longest > longest:
        raise TreeAttentionUnsupported(
            f"A path of {row.longest} tokens exceeds the model's window of {longest}."
        )
    config = _decoder_config(model)
    with _switched(config):
        token = _active_row.set(row)
        try:
            yield
        finally:
            _active_row.reset(token)
    row.close(config.num_hidden_layers)


@contextmanager
def _switched(config: Any) -> Generator[None]:
    """Have the layers of this configuration call `_attention`."""
    with _switching:
        before = config._attn_implementation
        if before == _NAME:
            raise TreeAttentionUnsupported("This model runs over another tree in another thread.")
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
    """Attention function of a layer; transformers gives the signature."""
    row = _active_row.get()
    if row is None:
        raise TreeAttentionUnsupported(
            "This model runs over a tree in another thread: hold a lock while a model runs."
        )
    layer: Any = getattr(module, "layer_idx", None)
    reason = _unsupported(module, row, query, key, attention_mask, dropout, options)
    if reason or layer is None:
        reason = reason or "it has no layer_idx"
        raise TreeAttentionUnsupported(f"{type(module).__name__} {layer}: {reason}.")
    row.use(layer)
    prefix = row.prefix(layer, key, value)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return attend(query, key, value, prefix=prefix, row=row, scale=scale), None


def _unsupported(
    module: nn.Module,
    row: PackedRow,
    query: Tensor,
    key: Tensor,
    mask: Tensor | None,
    dropout: float,
    options: dict[str, Any],
) -> str | None:
    """Why a layer's attention would come out wrong; None if it does not."""
    if query.shape[0] != 1 or not query.shape[2] == key.shape[2] == row.tokens:
        return f"expected one row of {row.tokens} tokens, got {tuple(query.shape)}"
    if mask is not None:
        return "it passes a mask"
    if dropout or (torch.is_grad_enabled() and query.requires_grad):
        return "tree attention is for inference only, without dropout and gradients"
    if False in (options.get("is_causal"), getattr(module, "is_causal", None)):
        return "it is not causal"
    window = options.get("sliding_window")
    if window is not None and row.longest > window:
        return f"a path of {row.longest} tokens exceeds its window of {window}"
    unknown = [name for name in _UNKNOWN if options.get(name) is not None]
    return f"it needs {', '.join(unknown)}" if unknown else None


AttentionInterface.register(_NAME, _attention)
