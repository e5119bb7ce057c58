"""NaN and infinity: numbers that mean nothing, and that no search or ranking may be made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mm_rag.errors import NotFinite


def check_finite(made: Tensor | npt.NDArray[Any], model: nn.Module, name: str, what: str) -> None:
    """See that every number that a model made is finite.

    Args:
        made: Shape (inputs, ...).
        model: What made them.
        name: Its name, for the message.
        what: What it made of each input: a vector or a score.

    Raises:
        NotFinite: A number is NaN or infinite; the position is the first such input's.
    """
    finite = made.isfinite() if isinstance(made, Tensor) else np.isfinite(made)
    if bool(finite.all()):
        return
    rows = np.asarray(finite.cpu() if isinstance(finite, Tensor) else finite)
    error = NotFinite(
        f"The model {name} makes NaN or infinity of this input instead of a {what}. {_hint(model)}"
    )
    error.position = int(np.argmin(rows.reshape(len(rows), -1).all(axis=1)))
    raise error


def _hint(model: nn.Module) -> str:
    if any(weight.dtype == torch.float16 for weight in model.parameters()):
        return (
            "Its weights are float16, which overflows beyond 65,504: load it with "
            "dtype='bfloat16' or dtype='float32'."
        )
    return "Are its weights damaged?"
