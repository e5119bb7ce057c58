"""How much arithmetic a Qwen3-VL model does, and so how fast a GPU could be at best.

A multiplication and an addition are two operations. Norms, activations, rotary positions and the
two rows of the language head are left out: below one percent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PEAK = 790e12
"""Operations per second that an H200 reaches in bfloat16 on large matrices."""


@dataclass(frozen=True, kw_only=True)
class TextShape:
    """The sizes of a language model of the Qwen3 family."""

    width: int
    layers: int
    heads: int
    key_value_heads: int
    head_dim: int
    inner: int

    @property
    def weights(self) -> int:
        """The weights of the layers, without the embeddings."""
        attention = self.width * self.head_dim * 2 * (self.heads + self.key_value_heads)
        return self.layers * (attention + 3 * self.width * self.inner)


@dataclass(frozen=True, kw_only=True)
class VisionShape:
    """The sizes of Qwen3-VL's vision tower: four patches become one token.

    Attributes:
        width: Of a patch's vector.
        layers: How many.
        heads: Of the attention.
        inner: The width between the two linear layers of a block.
        deepstack: The layers whose features the language model is given, too.
        patch: The side of a patch in pixels; there are two patches in time.
    """

    width: int
    layers: int
    heads: int
    inner: int
    deepstack: tuple[int, ...]
    patch: int = 16

    @property
    def weights(self) -> int:
        """The weights that each patch goes through."""
        embedding = 3 * 2 * self.patch**2 * self.width
        return embedding + self.layers * (4 * self.width**2 + 2 * self.width * self.inner)


def text_operations(shape: TextShape, prefix: int, rests: Sequence[int]) -> float:
    """The operations for rows that share a prefix, which is computed once.

    Args:
        shape: The model's sizes.
        prefix: Tokens that all rows begin with.
        rests: Tokens of each row behind the prefix, which attend to the prefix and to each other.
    """
    attended = prefix**2 / 2 + sum(rest * prefix + rest**2 / 2 for rest in rests)
    attention = 4 * shape.heads * shape.head_dim * shape.layers * attended
    return 2 * shape.weights * (prefix + sum(rests)) + attention


def picture_operations(shape: VisionShape, width: int, tokens: int) -> float:
    """The operations for one picture in the vision tower.

    Args:
        shape: The tower's sizes.
        width: Of the language model that it sees for.
        tokens: What the language model is given of the picture.
    """
    patches, joined = 4 * tokens, 4 * shape.width
    attention = 4 * shape.width * shape.layers * patches**2
    merger = joined**2 + joined * width
    mergers = 2 * tokens * merger * (1 + len(shape.deepstack))
    return 2 * shape.weights * patches + attention + mergers
