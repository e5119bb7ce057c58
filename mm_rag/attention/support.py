"""takes_trees: whether a model's results will be right when it attends to trees.

What a configuration says is not enough: architectures are many, and more come. So a model is
also tried out, on a few random tokens, against itself without a tree.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from mm_rag.attention.attending import attending
from mm_rag.attention.config import longest_path, refused_by_config
from mm_rag.attention.tree import PrefixTree, TreeRefused

__all__ = ["takes_trees"]

_PREFIX, _BRANCHES = 6, (5, 9)

# How models fail that cannot do what is asked of them, TreeRefused among them.
_FAILURES = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError)


def takes_trees(model: PreTrainedModel) -> bool:
    """Try whether a model gives the same with `attending` as without.

    It takes a few forwards of a dozen tokens, and no random numbers from anyone's generators. As
    with `attending`, no other thread may run the model meanwhile.

    Args:
        model: The model, or its decoder alone.
    """
    devices = [model.device] if model.device.type == "cuda" else []
    try:
        if refused_by_config(model):
            return False
        longest = longest_path(model)
        if longest is not None and longest < _PREFIX + max(_BRANCHES):
            return False
        with torch.inference_mode(), torch.random.fork_rng(devices):
            return _same(model)
    except _FAILURES:
        return False


def _same(model: PreTrainedModel) -> bool:
    prefix, *branches = _random_tokens(model)
    tree = PrefixTree(_PREFIX)
    with attending(model, tree, _BRANCHES, keep=True):
        first = _run(model, (prefix, *branches), (0, _PREFIX, _PREFIX))[_PREFIX:]
    with attending(model, tree, _BRANCHES[::-1], keep=False):
        second = _run(model, branches[::-1], (_PREFIX, _PREFIX))
    plain = [_run(model, (torch.cat((prefix, branch)),), (0,))[_PREFIX:] for branch in branches]
    return _close(first, torch.cat(plain)) and _close(second, torch.cat(plain[::-1]))


def _random_tokens(model: PreTrainedModel) -> list[Tensor]:
    words: Any = model.get_input_embeddings()
    generator = torch.Generator().manual_seed(0)
    sizes = [_PREFIX, *_BRANCHES]
    ids = torch.randint(words.weight.shape[0], (sum(sizes),), generator=generator)
    return list(ids.to(words.weight.device).split(sizes))


def _run(model: PreTrainedModel, parts: Sequence[Tensor], starts: Sequence[int]) -> Tensor:
    """Hidden states (tokens, size) of one row of parts, each counted from its start."""
    positions = [
        torch.arange(start, start + len(part), device=part.device)
        for part, start in zip(parts, starts, strict=True)
    ]
    base: Any = model.base_model
    with _unmasked(model):
        result = base(
            input_ids=torch.cat(list(parts)).unsqueeze(0),
            position_ids=torch.cat(positions).unsqueeze(0),
            use_cache=False,
        )
    return result.last_hidden_state[0]


@contextmanager
def _unmasked(model: PreTrainedModel) -> Generator[None]:
    """Fail where a model makes the masks of its decoder itself.

    Such models let pictures see all of themselves; text alone would not show it.
    """
    decoder: Any = model.get_decoder()
    hook = decoder.register_forward_pre_hook(_expect_no_mask, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


def _expect_no_mask(decoder: nn.Module, _: tuple[Any, ...], options: dict[str, Any]) -> None:
    if options.get("attention_mask") is not None:
        raise TreeRefused(f"{type(decoder).__name__} is given masks by the model around it.")


def _close(tree: Tensor, plain: Tensor) -> bool:
    """Within rounding, which is coarse below float32."""
    if plain.dtype in (torch.float32, torch.float64):
        return bool((tree - plain).abs().max() <= 1e-3 * plain.abs().max())
    alike = torch.cosine_similarity(tree.float(), plain.float(), dim=-1)
    return bool(alike.mean() > 0.98)
