"""Chain: modules one after another, which is what a model is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

import torch
from torch import nn

from mm_rag._forking import ForkableLock
from mm_rag.checkpoints.model_kind import check_kind
from mm_rag.checkpoints.placement import input_device
from mm_rag.errors import CheckpointError, InputError
from mm_rag.modules import registry
from mm_rag.modules.module import (
    Features,
    InputModule,
    LoadOptions,
    Module,
    inside,
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
        first = modules[0] if modules else None
        if not isinstance(first, InputModule) or not first.takes_content:
            raise CheckpointError("The first module of a chain must be one that takes content.")
        _check_dimensions(modules)
        self.steps = nn.ModuleList(modules)
        self.lock = ForkableLock()

    def at(self, task: str | None) -> Chain:
        """The same modules, on their routes for a task such as `"query"`.

        Raises:
            UnsupportedModality: The model tells tasks apart, and does not know this one.
        """
        first = self.input.at(task)
        if first is self.input:
            return self
        chain = Chain([first, *list(self)[1:]])
        chain.lock = self.lock  # it is the same tokenizer
        return chain

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the lock: another process has no use for it."""
        return {name: value for name, value in self.__dict__.items() if name != "lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make a lock anew."""
        super().__setstate__(state)
        self.lock = ForkableLock()

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
        """Where its inputs go: where its first weights are, or what a `device_map` says."""
        first = self.input
        return first.device if isinstance(first, Transformer) else input_device(self)

    def forward(self, features: Features, arguments: Mapping[str, Any] | None = None) -> Features:
        """Run every module, each with those of the arguments that it declares."""
        for module in self:
            features = module.run(features, arguments or {})
        return features

    def check_arguments(self, arguments: Mapping[str, Any]) -> None:
        """See that a module declares each of them.

        Raises:
            InputError: None does.
        """
        modules = [module for module in self.modules() if isinstance(module, Module)]
        known: set[str] = set().union(*(module.forward_kwargs for module in modules))
        if unknown := sorted(set(arguments) - known):
            raise InputError(
                f"No module of this model takes the argument {', '.join(unknown)}; "
                f"known: {', '.join(sorted(known)) or 'none'}."
            )

    def describe(self) -> str:
        """One line per module."""
        return "\n".join(module.label for module in self)

    @classmethod
    def load(cls, folder: Path, options: LoadOptions) -> Self:
        """Load it from `modules.json`; without one, as `plain` does.

        Raises:
            CheckpointError: The folder holds no model, or one that is not understood.
        """
        check_kind(folder)
        if not (folder / "modules.json").is_file():
            return cls.plain(folder, options)
        entries = read_json(folder / "modules.json")
        try:
            places = [
                (entry["type"], inside(folder, entry["path"]), frozenset(entry.get("kwargs", ())))
                for entry in entries
            ]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise CheckpointError(
                f"{folder / 'modules.json'} is not understood: {error}"
            ) from error
        modules: list[Module] = []
        for kind, place, arguments in places:
            module = registry.module_class(kind, folder).load(place, options)
            module.forward_kwargs |= arguments
            modules.append(module)
        return cls(modules)

    @classmethod
    def plain(cls, folder: Path, options: LoadOptions) -> Self:
        """Load a plain transformers checkpoint, and give it the usual pooling.

        Raises:
            CheckpointError: The folder holds no model, or one that is not understood.
        """
        check_kind(folder)
        transformer = Transformer.from_pretrained(folder, options)
        if transformer.output_name != "token_embeddings":
            return cls([transformer])
        mode = "lasttoken" if transformer.causal else "mean"
        return cls([transformer, Pooling(transformer.gives, mode)])

    def save(self, folder: Path) -> None:
        """Write `modules.json`, every module, and the code that some need."""
        folder.mkdir(parents=True, exist_ok=True)
        entries = [_entry(position, module) for position, module in enumerate(self)]
        # First: without it, what a killed run leaves would load as another model, mean pooled.
        write_json(folder / "modules.json", entries)
        for entry, module in zip(entries, self, strict=True):
            with self.lock:  # tokenizers would write the settings of a call
                module.save(folder / entry["path"])
        for file in {file for m in self.modules() if isinstance(m, Module) for file in m.code}:
            shutil.copyfile(file, folder / file.name)


def _entry(position: int, module: Module) -> dict[str, Any]:
    """A module's line in `modules.json`."""
    # The first module lies in the root, where plain transformers finds a Transformer too.
    path = f"{position}_{type(module).__name__}" if position else ""
    entry = {"idx": position, "name": str(position), "path": path, "type": module.type_name}
    more = sorted(module.forward_kwargs - type(module).forward_kwargs)
    return entry | ({"kwargs": more} if more else {})


def _check_dimensions(modules: Sequence[Module]) -> None:
    given: frozenset[int] = frozenset()
    for module in modules:
        if module.takes and (wrong := given - {module.takes}):
            raise CheckpointError(
                f"{module.label} takes vectors of dimension {module.takes}, "
                f"but what comes before it gives {', '.join(map(str, sorted(wrong)))}."
            )
        given = module.dimensions or given
