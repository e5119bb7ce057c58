"""Dropout: in training, a part of every vector is set to zero."""

from __future__ import annotations

from typing import Any

from torch import nn

from mm_rag.modules.module import Features, Module


class Dropout(Module):
    """Set dimensions of `sentence_embedding` to zero at random, in training only.

    Args:
        dropout: The share of dimensions, between 0 and 1.
    """

    type_name = "sentence_transformers.sentence_transformer.modules.dropout.Dropout"

    def __init__(self, dropout: float = 0.2) -> None:
        super().__init__()
        self.dropout_layer = nn.Dropout(dropout)

    def config(self) -> dict[str, Any]:
        """In the format of sentence-transformers."""
        return {"dropout": self.dropout_layer.p}

    @property
    def label(self) -> str:
        """Such as `Dropout(0.2)`."""
        return f"Dropout({self.dropout_layer.p})"

    def forward(self, features: Features) -> Features:
        """Leave vectors as they are, but in training."""
        features["sentence_embedding"] = self.dropout_layer(features["sentence_embedding"])
        return features
