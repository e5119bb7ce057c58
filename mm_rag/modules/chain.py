"""Chain: modules one after another, which is what a model is."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self, cast

import torch
from torch import nn

from mm_rag.errors import CheckpointError
from mm_rag.modules import registry
from mm_rag.modules.module import (
    Features,
    InputModule,
    LoadOptions,
    Module,
    read_json,
    write_json,
)
from mm_rag.modules.pooling import Pooling
from mm_rag.modules.transformer import Transformer


class Chain(nn.Module):
    """Modules one after another; the first one takes Content.

    Args:
        modules: In order.

    Attributes:
        lock: Held while a batch is made and run: tokenizers keep the settings of a call as state.
    """

    def __init__(self, modules: Sequence[Module]) -> None:
        super().__init__()
        if not modules or not isinstance(modules[0], InputModule):
            raise CheckpointError("The first module of a chain must be one that takes content.")
        _check_dimensions(modules)
        self.steps = nn.ModuleList(modules)
        self.lock = threading.RLock()

    def __iter__(self) -> Iterator[Module]:
        return iter(cast("list[Module]", list(self.steps)))

    @property
    def input(self) -> InputModule:
        """The first module."""
        return cast("InputModule", self.steps[0])

    @property
    def dimension(self) -> int | None:
        """Of the vectors it gives; None where a module does not say."""
        return next((module.gives for module in reversed(list(self)) if module.gives), None)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next((parameter.device for parameter in self.parameters()), torch.device("cpu"))

    def forward(self, features: Features) -> Features:
        """Run every module."""
        for module in self:
            features = module(features)
        return features

    def describe(self) -> str:
        """One line per module."""
        return "\n".join(module.label for module in self)

    @classmethod
    def load(cls, folder: Path, options: LoadOptions) -> Self:
        """Load it from `modules.json`; a plain transformers checkpoint gets the usual pooling.

        Raises:
            CheckpointError: The folder holds no model, or one that is not understood.
        """
        if not (folder / "modules.json").is_file():
            return cls(_plain(folder, options))
        entries = read_json(folder / "modules.json")
        try:
            places = [(entry["type"], folder / entry["path"]) for entry in entries]
        except (KeyError, TypeError) as error:
            raise CheckpointError(
                f"{folder / 'modules.json'} is not understood: {error}"
            ) from error
        for _, place in places:
            if not place.resolve().is_relative_to(folder.resolve()):
                raise CheckpointError(f"{folder / 'modules.json'} points outside of its folder.")
        return cls(
            [registry.module_class(kind, folder).load(place, options) for kind, place in places]
        )

    def save(self, folder: Path) -> None:
        """Write every module and `modules.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        entries: list[dict[str, str | int]] = []
        for position, module in enumerate(self):
            # A Transformer lies in the root, where plain transformers finds it too.
            at_root = position == 0 and isinstance(module, Transformer)
            path = "" if at_root else f"{position}_{type(module).__name__}"
            module.save(folder / path)
            entries.append(
                {"idx": position, "name": str(position), "path": path, "type": module.type_name}
            )
        write_json(folder / "modules.json", entries)


def _plain(folder: Path, options: LoadOptions) -> list[Module]:
    transformer = Transformer.from_pretrained(folder, options)
    if transformer.output_name != "token_embeddings":
        return [transformer]
    return [transformer, Pooling(transformer.gives, "lasttoken" if transformer.causal else "mean")]


def _check_dimensions(modules: Sequence[Module]) -> None:
    given: int | None = None
    for module in modules:
        if given and module.takes and module.takes != given:
            raise CheckpointError(
                f"{module.label} takes vectors of dimension {module.takes}, "
                f"but what comes before it gives {given}."
            )
        given = module.gives or given
