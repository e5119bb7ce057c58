"""LayerNorm: vectors get mean 0 and variance 1, then a learnt scale and shift."""

from __future__ import annotations

from typing import Any

from torch import nn

from mm_rag.modules.module import Features, Module


class LayerNorm(Module):
    """Normalise `sentence_embedding` over its dimensions.

    Args:
        dimension: Of the vectors.
    """

    type_name = "sentence_transformers.sentence_transformer.modules.layer_norm.LayerNorm"

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.dimension = dimension
        self.norm = nn.LayerNorm(dimension)

    def config(self) -> dict[str, Any]:
        """In the format of sentence-transformers."""
        return {"dimension": self.dimension}

    @property
    def takes(self) -> int:
        """The dimension of the vectors."""
        return self.dimension

    @property
    def gives(self) -> int:
        """The dimension of the vectors."""
        return self.dimension

    def forward(self, features: Features) -> Features:
        """Normalise `sentence_embedding`."""
        vectors = features["sentence_embedding"].to(self.norm.weight.dtype)
        features["sentence_embedding"] = self.norm(vectors)
        return features
