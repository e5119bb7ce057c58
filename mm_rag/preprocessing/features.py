"""Features: the tensors of one batch, from the processor through all modules of a model."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor

# Features that modules make for each other; they are not passed to transformers models.
OURS = frozenset({"content_mask", "token_embeddings", "sentence_embedding", "scores"})


class Features(dict[str, Tensor]):
    """The tensors of one batch by name, and what kind of input they were made from.

    The names are those of sentence-transformers, so that its modules' configurations mean the same
    here: `input_ids`, `attention_mask`, `pixel_values`, ... are inputs, with `content_mask` for
    the tokens that belong to the input itself; `token_embeddings` (batch, tokens, dim),
    `sentence_embedding` (batch, dim) and `scores` (batch, labels) are results.

    Attributes:
        kind: How the tensors were made: `"text"`, `"image"`, ..., or `"message"` for chat messages.
        prompt_length: Leading tokens that belong to the prompt; poolings may exclude them.
        task: Such as `"query"`, or None; a `Router` behind another module chooses a route by it.
        empty: Rows of inputs that are a text without a word.
        extra: Values other than tensors, passed from custom code of a checkpoint to the next.
    """

    def __init__(self, tensors: dict[str, Tensor], *, kind: str = "text", prompt_length: int = 0):
        super().__init__(tensors)
        self.kind = kind
        self.prompt_length = prompt_length
        self.task: str | None = None
        self.empty: list[int] = []
        self.extra: dict[str, Any] = {}

    def to(self, device: torch.device) -> Self:
        """Move every tensor to `device`, in place."""
        for name, value in self.items():
            if torch.is_tensor(value):  # processors add a few other values, such as frame numbers
                self[name] = value.to(device, non_blocking=True)
        return self
