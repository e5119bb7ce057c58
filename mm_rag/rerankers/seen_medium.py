"""SeenMedium: what a vision tower made of one picture or video."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mm_rag.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class SeenMedium:
    """One picture or video as a language model sees it.

    Attributes:
        replacement: The placeholder tokens that stand for it in the text.
        grid: Shape (1, 3): its patches in time, height and width.
        features: Shape (tokens, dim).
        levels: DeepStack's features for further layers, each of shape (tokens, dim); empty where
            the model has none.

    Raises:
        InputError: The shapes do not fit each other.
    """

    replacement: str
    grid: Tensor
    features: Tensor
    levels: tuple[Tensor, ...] = ()

    def __post_init__(self) -> None:
        if self.features.ndim != 2 or self.grid.shape != (1, 3):
            raise InputError(
                "A SeenMedium has features of shape (tokens, dim) and a grid of shape (1, 3), not "
                f"{self.features.shape = } and {self.grid.shape = }."
            )
        if any(level.shape != self.features.shape for level in self.levels):
            shapes = [tuple(level.shape) for level in self.levels]
            raise InputError(
                f"Each level has the shape of the features, {tuple(self.features.shape)}: {shapes}."
            )

    @property
    def nbytes(self) -> int:
        """The bytes of its tensors."""
        return sum(tensor.nbytes for tensor in (self.grid, self.features, *self.levels))

    def copy(self) -> SeenMedium:
        """The same on the CPU, in its own dtype and memory."""
        return SeenMedium(
            replacement=self.replacement,
            grid=own_copy(self.grid),
            features=own_copy(self.features),
            levels=tuple(own_copy(level) for level in self.levels),
        )

    def __repr__(self) -> str:
        shape, dtype = tuple(self.features.shape), self.features.dtype
        return f"SeenMedium(features={shape} {dtype}, levels={len(self.levels)})"


def own_copy(tensor: Tensor) -> Tensor:
    """A copy on the CPU: a view would keep the features of its whole batch alive."""
    tensor = tensor.detach()
    own = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")
    return own.copy_(tensor)
