"""Logits of a few tokens, from language models that would make those of all."""

from __future__ import annotations

import inspect
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

_KEPT = "logits_to_keep"


def keeps_logits(model: PreTrainedModel) -> bool:
    """Whether `keeping_logits` can choose the tokens of which a model makes logits."""
    return _knows(model) or model.get_output_embeddings() is not None


@contextmanager
def keeping_logits(
    model: PreTrainedModel, given: Mapping[str, Any]
) -> Generator[Mapping[str, Any]]:
    """Have one forward make logits of the tokens that `logits_to_keep` says.

    A model that does not know this argument, such as Qwen2.5-Omni's thinker, passes over it and
    makes logits of every token: gigabytes, of which one token is read. Its head is then shown
    these tokens alone. As the model is changed meanwhile, no other thread may run it.

    Args:
        model: A language model.
        given: What its forward is called with: `logits_to_keep` is how many last tokens, 0 for
            all, or the places of tokens, shape (tokens,).

    Yields:
        What to call its forward with instead.
    """
    head = None if _knows(model) else model.get_output_embeddings()
    if head is None or _KEPT not in given:
        yield given
        return
    kept: int | Tensor = given[_KEPT]
    places = slice(-kept, None) if isinstance(kept, int) else kept

    def cut(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden, *more = inputs
        return hidden[:, places], *more

    hook = head.register_forward_pre_hook(cut)
    try:
        yield {name: value for name, value in given.items() if name != _KEPT}
    finally:
        hook.remove()


def _knows(model: PreTrainedModel) -> bool:
    return _KEPT in inspect.signature(model.forward).parameters
