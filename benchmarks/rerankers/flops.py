"""Number of operations of a Qwen3-VL model, and so the best possible time on a GPU.

A multiply-add counts as two operations. Norms, activations, rotary embeddings and the two rows of
the language head are left out; they are less than one percent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PEAK = 790e12
"""Operations per second that an H200 reaches in bfloat16 on large matrices."""


@dataclass(frozen=True, kw_only=True)
class TextShape:
    """Sizes of a language model of the Qwen3 family."""

    width: int
    layers: int
    heads: int
    key_value_heads: int
    head_dim: int
    inner: int

    @property
    def weights(self) -> int:
        """Number of weights of the layers, without the embeddings."""
        attention = self.width * self.head_dim * 2 * (self.heads + self.key_value_heads)
        return self.layers * (attention + 3 * self.width * self.inner)


@dataclass(frozen=True, kw_only=True)
class VisionShape:
    """Sizes of Qwen3-VL's vision tower, which makes one token of four patches.

    Attributes:
        width: Hidden size.
        layers: Number of layers.
        heads: Number of attention heads.
        inner: Intermediate size of the MLP.
        deepstack: Layers whose features are also passed to the language model.
        patch: Side of a patch in pixels; a patch spans two frames.
    """

    width: int
    layers: int
    heads: int
    inner: int
    deepstack: tuple[int, ...]
    patch: int = 16

    @property
    def weights(self) -> int:
        """Number of weights that each patch passes through."""
        embedding = 3 * 2 * self.patch**2 * self.width
        return embedding + self.layers * (4 * self.width**2 + 2 * self.width * self.inner)


def text_operations(shape: TextShape, prefix: int, rests: Sequence[int]) -> float:
    """Operations for rows that share a prefix, which is computed once.

    Args:
        shape: Sizes of the model.
        prefix: Number of tokens that all rows begin with.
        rests: Number of tokens of each row after the prefix, which attend to the prefix and to each
            other.
    """
    attended = prefix**2 / 2 + sum(rest * prefix + rest**2 / 2 for rest in rests)
    attention = 4 * shape.heads * shape.head_dim * shape.layers * attended
    return 2 * shape.weights * (prefix + sum(rests)) + attention


def picture_operations(shape: VisionShape, width: int, tokens: int) -> float:
    """Operations for one picture in the vision tower.

    Args:
        shape: Sizes of the tower.
        width: Hidden size of the language model.
        tokens: Number of tokens that the language model receives.
    """
    patches, joined = 4 * tokens, 4 * shape.width
    attention = 4 * shape.width * shape.layers * patches**2
    merger = joined**2 + joined * width
    mergers = 2 * tokens * merger * (1 + len(shape.deepstack))
    return 2 * shape.weights * patches + attention + mergers
