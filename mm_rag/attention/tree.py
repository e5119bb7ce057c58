"""The prefix that sequences share, and one row of their branches."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["KeysAndValues", "Pack", "PrefixTree", "TreeRefused"]

# One layer's, each (1, heads, tokens, size of a head).
KeysAndValues = tuple[Tensor, Tensor]


class TreeRefused(RuntimeError):  # never leaves the library: the caller takes the plain way instead
    """A model cannot attend as a tree says; nothing was computed that could be wrong."""


class PrefixTree:
    """What several sequences begin with.

    Args:
        prefix: Tokens that all sequences share; 0 is allowed.

    Attributes:
        prefix: Tokens that all sequences share.
        layers: The prefix's keys and values by layer, once a pack was run that keeps them.
    """

    def __init__(self, prefix: int) -> None:
        if prefix < 0:
            raise ValueError(f"A prefix has 0 tokens or more, not {prefix}.")
        self.prefix = prefix
        self.layers: dict[int, KeysAndValues] = {}

    @property
    def stored(self) -> bool:
        """Whether its keys and values are kept; packs then hold branches only."""
        return bool(self.layers)

    def crop(self, prefix: int) -> None:
        """Keep the first tokens only: no token sees later ones, so what is stored stays right.

        Args:
            prefix: How many to keep, at most as many as there are.

        Raises:
            ValueError: There are fewer.
        """
        if not 0 <= prefix <= self.prefix:
            raise ValueError(f"A prefix of {self.prefix} tokens cannot be cropped to {prefix}.")
        self.prefix = prefix
        kept = self.layers.items() if prefix else ()
        self.layers = {n: (k[:, :, :prefix], v[:, :, :prefix]) for n, (k, v) in kept}


class Pack:
    """One row of branches, with their prefix in front where it is not stored yet.

    Args:
        tree: The prefix.
        lengths: Tokens of each branch, at least 1.
        keep: Whether to store the prefix's keys and values.

    Attributes:
        lead: Tokens of the prefix that the row holds.
        lengths: Tokens of each branch.
        used: The layers that have attended.
    """

    def __init__(self, tree: PrefixTree, lengths: Sequence[int], *, keep: bool) -> None:
        if not lengths or min(lengths) < 1:
            raise ValueError(f"A pack has branches of at least one token, not {list(lengths)}.")
        self.tree = tree
        self.lengths = list(lengths)
        self.lead = 0 if tree.stored else tree.prefix
        self.tokens = self.lead + sum(lengths)
        self.used: set[int] = set()
        self._keep = keep and self.lead > 0
        self._fresh: dict[int, KeysAndValues] = {}
        self._masks: dict[tuple[torch.dtype, torch.device], Tensor] = {}
        self._bounds: dict[tuple[str, torch.device], Tensor] = {}

    def use(self, layer: int) -> None:
        """Note that a layer attends.

        Raises:
            TreeRefused: It did before.
        """
        if layer in self.used:
            raise TreeRefused(f"Layer {layer} attended twice in one forward.")
        self.used.add(layer)

    def trunk(self, layer: int, key: Tensor, value: Tensor) -> KeysAndValues | None:
        """The prefix's keys and values in a layer, from the row or stored; None without prefix.

        Args:
            layer: Which layer.
            key: The row's, of shape (1, heads, tokens, size).
            value: The row's.

        Raises:
            TreeRefused: The layer stored none.
        """
        if not self.lead:
            return self._stored(layer) if self.tree.prefix else None
        trunk = key[:, :, : self.lead], value[:, :, : self.lead]
        if self._keep:
            # Cloned, so that the rest of the row is freed.
            self._fresh[layer] = trunk[0].clone(), trunk[1].clone()
        return trunk

    def _stored(self, layer: int) -> KeysAndValues:
        if layer not in self.tree.layers:
            raise TreeRefused(f"The prefix has no keys and values of layer {layer}.")
        return self.tree.layers[layer]

    def close(self, layers: int) -> None:
        """Store what is to be kept, after a forward.

        Args:
            layers: How many layers the model has.

        Raises:
            TreeRefused: Not all of them attended.
        """
        if len(self.used) != layers:
            raise TreeRefused(f"{len(self.used)} of {layers} layers attended as the tree says.")
        self.tree.layers.update(self._fresh)

    @property
    def longest(self) -> int:
        """Tokens of the longest path: the prefix and a branch."""
        return self.tree.prefix + max(self.lengths)

    @property
    def long_prefix(self) -> bool:
        """Whether the prefix is longer than the branches are on average."""
        return self.tree.prefix * len(self.lengths) > self.tokens - self.lead

    def offsets(self, device: torch.device) -> Tensor:
        """Where the row's sequences begin and end: 0, the prefix's end, each branch's end."""
        sequences = [self.lead, *self.lengths] if self.lead else self.lengths
        return self._once("offsets", device, lambda: [0, *itertools.accumulate(sequences)])

    def whole(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Where all branches together, and where the prefix, begin and end."""
        branches = self._once("branches", device, lambda: [0, self.tokens - self.lead])
        return branches, self._once("prefix", device, lambda: [0, self.tree.prefix])

    def _once(self, name: str, device: torch.device, values: Callable[[], list[int]]) -> Tensor:
        if (name, device) not in self._bounds:
            made = torch.tensor(values(), dtype=torch.int32, device=device)
            self._bounds[name, device] = made
        return self._bounds[name, device]

    def mask(self, like: Tensor) -> Tensor:
        """What the longest branch may see: 0 or minus infinity, (branch, prefix and branch).

        Args:
            like: Has the device and the precision.
        """
        place = like.dtype, like.device
        if place not in self._masks:
            longest, prefix = max(self.lengths), self.tree.prefix
            hidden = like.new_full((longest, prefix + longest), float("-inf"))
            self._masks[place] = hidden.triu_(prefix + 1)
        return self._masks[place]
