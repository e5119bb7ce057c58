"""Normalize: vectors get length 1."""

from __future__ import annotations

from typing import Any, Self

from torch.nn import functional as F

from mm_rag.modules.module import Features, Module


class Normalize(Module):
    """Scale vectors to length 1.

    Args:
        module_input_name: Which features; `"token_embeddings"` for token vectors.
        module_output_name: Where they go; the same name when None.
    """

    type_name = "sentence_transformers.base.modules.normalize.Normalize"

    def __init__(
        self,
        module_input_name: str = "sentence_embedding",
        module_output_name: str | None = None,
    ) -> None:
        super().__init__()
        self.module_input_name = module_input_name
        self.module_output_name = module_output_name or module_input_name

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Older checkpoints have no configuration, or one with other keys."""
        known = ("module_input_name", "module_output_name")
        return cls(**{key: value for key, value in config.items() if key in known})

    def config(self) -> dict[str, Any]:
        """In the format of sentence-transformers 6."""
        return {
            "module_input_name": self.module_input_name,
            "module_output_name": self.module_output_name,
        }

    def forward(self, features: Features) -> Features:
        """Normalise along the last dimension."""
        if self.module_input_name in features:
            vectors = features[self.module_input_name]
            features[self.module_output_name] = F.normalize(vectors, dim=-1)
        return features
