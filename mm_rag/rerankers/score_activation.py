"""What becomes of scores: the activation of a reranker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from mm_rag.errors import CheckpointError, InputError
from mm_rag.modules.dense import activation_by_name
from mm_rag.rerankers.scorer import Scorer

Activation: TypeAlias = Callable[[Tensor], Tensor]


def checked(activation: Activation | None) -> Activation | None:
    """An activation of the caller.

    Raises:
        InputError: It cannot be applied to scores.
    """
    given: Any = activation
    if given is not None and (isinstance(given, type) or not callable(given)):
        raise InputError(
            f"An activation_fn is applied to scores, such as torch.nn.Sigmoid(); got {given!r}."
        )
    return activation


def activated(activation: Activation, scores: Tensor) -> Tensor:
    """Apply an activation to scores, shape (pairs, labels).

    Raises:
        InputError: It gives something else than a row for each pair.
    """
    with torch.inference_mode():
        made: Any = activation(scores)
    if not isinstance(made, Tensor) or made.shape[:1] != scores.shape[:1]:
        shape = f" of shape {tuple(made.shape)}" if isinstance(made, Tensor) else ""
        raise InputError(
            f"The activation_fn has to give a tensor with a row for each of {len(scores)} pairs; "
            f"it gave a {type(made).__name__}{shape}."
        )
    return made.float()


def saved_activation(saved: Mapping[str, Any], scorer: Scorer) -> nn.Module:
    """Where versions of sentence-transformers have kept it, the newest first."""
    config: Any = scorer.config
    older: dict[str, str] = getattr(config, "sentence_transformers", None) or {}
    name = (
        saved.get("activation_fn")
        or older.get("activation_fn")
        or getattr(config, "sbert_ce_default_activation_function", None)
    )
    if name:
        return activation_by_name(name)
    return nn.Sigmoid() if scorer.judges and scorer.labels == 1 else nn.Identity()


def activation_name(activation: Activation) -> str:
    """What it is called in a checkpoint.

    Raises:
        InputError: Nobody could load it by its name.
    """
    kind = type(activation)
    name = f"{kind.__module__}.{kind.__name__}"
    try:
        activation_by_name(name)
    except CheckpointError as error:
        raise InputError(
            f"The activation {activation!r} cannot be saved; give an instance of a class of "
            "torch.nn that takes no arguments, such as torch.nn.Sigmoid()."
        ) from error
    return name
