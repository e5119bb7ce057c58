"""The last layer of a language model, of which only some tokens are read."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel


@contextmanager
def last_layer_only_for(model: PreTrainedModel, places: Tensor) -> Generator[None]:
    """Have the feed-forward part of the last layer compute these tokens, and no others.

    Nobody reads what it makes of the others; it is most of a layer's work. It saves 3% in a model
    of 28 layers, 19% in one of 4. As the model is changed meanwhile, no other thread may run it.

    Args:
        model: A language model, run over one row.
        places: Of the tokens, shape (tokens,).
    """
    part = _feed_forward(model)
    if part is None:
        yield
        return
    length = 0

    def choose(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        nonlocal length
        hidden, *more = inputs
        length = hidden.shape[1]
        return hidden[:, places], *more

    def spread(_: nn.Module, inputs: tuple[Any, ...], made: Tensor) -> Tensor:
        del inputs
        whole = made.new_zeros(made.shape[0], length, made.shape[2])
        whole[:, places] = made
        return whole

    hooks = [part.register_forward_pre_hook(choose), part.register_forward_hook(spread)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _feed_forward(model: PreTrainedModel) -> nn.Module | None:
    """The last layer's, where it is known to treat every token by itself: linear layers alone."""
    layers: Any = getattr(model.get_decoder(), "layers", None)
    part = getattr(layers[-1], "mlp", None) if layers else None
    if not isinstance(part, nn.Module):
        return None
    holders = [
        module for module in part.modules() if next(module.parameters(False), None) is not None
    ]
    return part if holders and all(isinstance(module, nn.Linear) for module in holders) else None
