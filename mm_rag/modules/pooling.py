"""Pooling: many token vectors become one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Self, TypeAlias, get_args

import torch
from torch import Tensor

from mm_rag.errors import CheckpointError
from mm_rag.modules.module import Features, Module

PoolingMode: TypeAlias = Literal[
    "cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"
]

# The flags of sentence-transformers before 6, in the order in which several are concatenated.
_OLD_FLAGS: dict[str, PoolingMode] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


class Pooling(Module):
    """Turn `token_embeddings` (batch, tokens, dim) into `sentence_embedding` (batch, modes * dim).

    It computes in float32 whatever the model's dtype: means in bfloat16 lose neighbours.

    Args:
        embedding_dimension: Of one token vector.
        pooling_mode: One mode, or several whose results are concatenated.
        include_prompt: Whether the prompt's tokens count.
    """

    type_name = "sentence_transformers.sentence_transformer.modules.pooling.Pooling"

    def __init__(
        self,
        embedding_dimension: int,
        pooling_mode: PoolingMode | Sequence[PoolingMode] = "mean",
        include_prompt: bool = True,
    ) -> None:
        super().__init__()
        modes = (pooling_mode,) if isinstance(pooling_mode, str) else tuple(pooling_mode)
        if unknown := sorted(set(modes) - set(get_args(PoolingMode))):
            known = ", ".join(get_args(PoolingMode))
            raise CheckpointError(f"Unknown pooling mode {', '.join(unknown)}; known: {known}.")
        self.embedding_dimension = embedding_dimension
        self.modes: tuple[PoolingMode, ...] = modes
        self.include_prompt = include_prompt

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Also take the flags and the names that sentence-transformers wrote before version 6."""
        old: tuple[PoolingMode, ...] = tuple(
            mode for flag, mode in _OLD_FLAGS.items() if config.get(flag)
        )
        return cls(
            config.get("embedding_dimension") or config["word_embedding_dimension"],
            config.get("pooling_mode") or old or "mean",
            config.get("include_prompt", True),
        )

    def config(self) -> dict[str, Any]:
        """In the format of sentence-transformers 6."""
        return {
            "embedding_dimension": self.embedding_dimension,
            "pooling_mode": self.modes[0] if len(self.modes) == 1 else list(self.modes),
            "include_prompt": self.include_prompt,
        }

    @property
    def takes(self) -> int:
        """The dimension of a token vector."""
        return self.embedding_dimension

    @property
    def gives(self) -> int:
        """The dimensions of all modes together."""
        return self.embedding_dimension * len(self.modes)

    @property
    def label(self) -> str:
        """Such as `Pooling(mean)`."""
        return f"Pooling({', '.join(self.modes)})"

    def forward(self, features: Features) -> Features:
        """Add `sentence_embedding`, float32."""
        tokens = features["token_embeddings"].float()  # (batch, tokens, dim)
        mask = features.get("attention_mask")
        if mask is None or mask.shape[-1] != tokens.shape[1]:
            mask = torch.ones(tokens.shape[:2], dtype=torch.long, device=tokens.device)
        mask = mask.long()  # bool masks have no argmax
        start = mask.argmax(dim=1, keepdim=True)  # (batch, 1): padding before the first token
        if features.prompt_length and not self.include_prompt:
            place = torch.arange(mask.shape[1], device=mask.device)
            mask = mask * (place >= start + features.prompt_length)
        pooled = [_POOL[mode](tokens, mask, start) for mode in self.modes]
        features["sentence_embedding"] = torch.cat(pooled, dim=-1)
        return features


def _gather(tokens: Tensor, index: Tensor) -> Tensor:
    rows = torch.arange(len(tokens), device=tokens.device)
    return tokens[rows, index]


def _cls(tokens: Tensor, mask: Tensor, start: Tensor) -> Tensor:
    return _gather(tokens, mask.argmax(dim=1))


def _last(tokens: Tensor, mask: Tensor, start: Tensor) -> Tensor:
    last = mask.shape[1] - 1 - mask.flip(1).argmax(dim=1)
    # A row without a single token gives zeros, as in sentence-transformers.
    return _gather(tokens, last) * mask.amax(dim=1, keepdim=True)


def _max(tokens: Tensor, mask: Tensor, start: Tensor) -> Tensor:
    highest = tokens.masked_fill(mask.unsqueeze(-1) == 0, float("-inf")).amax(dim=1)
    # A row without a single token gives zeros, as the other modes do.
    return highest.masked_fill(mask.amax(dim=1, keepdim=True) == 0, 0.0)


def _total(tokens: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted sum (batch, dim) and the sum of the weights (batch, 1)."""
    weights = weights.to(tokens.dtype).unsqueeze(-1)
    return (tokens * weights).sum(dim=1), weights.sum(dim=1).clamp(min=1e-9)


def _mean(tokens: Tensor, mask: Tensor, start: Tensor) -> Tensor:
    total, count = _total(tokens, mask)
    return total / count


def _mean_sqrt(tokens: Tensor, mask: Tensor, start: Tensor) -> Tensor:
    total, count = _total(tokens, mask)
    return total / count.sqrt()


def _weighted(tokens: Tensor, mask: Tensor, start: Tensor) -> Tensor:
    place = torch.arange(1, mask.shape[1] + 1, device=mask.device) - start
    total, count = _total(tokens, mask * place)
    return total / count


_POOL: dict[PoolingMode, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "cls": _cls,
    "max": _max,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_sqrt,
    "weightedmean": _weighted,
    "lasttoken": _last,
}
