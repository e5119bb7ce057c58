"""Chain: the modules of a model, one after another."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, cast

import torch
from torch import nn

from mm_rag._forking import ForkableLock
from mm_rag.checkpoints.config_files import check_kind, inside, read_json, write_json
from mm_rag.checkpoints.options import PretrainedOptions
from mm_rag.content import Content
from mm_rag.errors import CheckpointError, InputError
from mm_rag.modules import registry
from mm_rag.modules.layers import Pooling
from mm_rag.modules.module import InputModule, Module, Routed
from mm_rag.modules.transformer import Transformer
from mm_rag.preprocessing.features import Features


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

    def __getstate__(self) -> dict[str, Any]:
        """Exclude the lock, which another process has no use for."""
        return {name: value for name, value in self.__dict__.items() if name != "lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the modules with a new lock."""
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
        """The size of its vectors; None if no module declares one."""
        return next((module.out_dim for module in reversed(list(self)) if module.out_dim), None)

    @property
    def device(self) -> torch.device:
        """Where its inputs go: to its first weights, or as the Transformer's device map says."""
        if isinstance(self.input, Transformer):
            return self.input.device
        return next((weight.device for weight in self.parameters()), torch.device("cpu"))

    def route(self, content: Content, task: str | None) -> Routed:
        """Find the way of one input through all modules.

        Raises:
            UnsupportedModality: There is no route for the modality, or for the task.
        """
        routed = self.input.route(content, task)
        return replace(routed, steps=(*routed.steps, *list(self)[1:]))

    def forward(self, features: Features, arguments: Mapping[str, Any] | None = None) -> Features:
        """Run every module in order, each with those of the arguments that it declares.

        Only padded rerankers use this; encoders run `Routed.steps`.
        """
        for module in self:
            features = module.run(features, arguments or {})
        return features

    def check_arguments(self, arguments: Mapping[str, Any]) -> None:
        """Check that every argument is declared by a module.

        Raises:
            InputError: An argument is not.
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
    def load(cls, folder: Path, options: PretrainedOptions) -> Self:
        """Load the modules that `modules.json` lists; without that file, as `plain` does.

        Raises:
            CheckpointError: The folder contains no model, or one that cannot be loaded.
        """
        check_kind(folder)
        if not (folder / "modules.json").is_file():
            return cls.plain(folder, options)
        entries = read_json(folder / "modules.json")
        try:
            listed = [
                (entry["type"], inside(folder, entry["path"]), frozenset(entry.get("kwargs", ())))
                for entry in entries
            ]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise CheckpointError(f"{folder / 'modules.json'} cannot be parsed: {error}") from error
        modules: list[Module] = []
        for type_name, path, arguments in listed:
            module = registry.module_class(type_name, folder).load(path, options)
            module.forward_kwargs |= arguments  # on this instance: what modules.json adds
            modules.append(module)
        return cls(modules)

    @classmethod
    def plain(cls, folder: Path, options: PretrainedOptions) -> Self:
        """Load a plain transformers checkpoint, and add the usual pooling.

        Raises:
            CheckpointError: The folder contains no model, or one that cannot be loaded.
        """
        check_kind(folder)
        transformer = Transformer.from_pretrained(folder, options)
        if transformer.output_name != "token_embeddings":
            return cls([transformer])
        mode = "lasttoken" if transformer.causal else "mean"
        return cls([transformer, Pooling(transformer.out_dim, mode)])

    def save(self, folder: Path) -> None:
        """Write `modules.json`, every module, and the code that custom modules need."""
        folder.mkdir(parents=True, exist_ok=True)
        entries = [_entry(position, module) for position, module in enumerate(self)]
        # First: without it, what an interrupted save leaves would load with mean pooling.
        write_json(folder / "modules.json", entries)
        for entry, module in zip(entries, self, strict=True):
            with self.lock:  # tokenizers would write the settings of a call
                module.save(folder / entry["path"])
        for file in {file for m in self.modules() if isinstance(m, Module) for file in m.code}:
            shutil.copyfile(file, folder / file.name)


def _entry(position: int, module: Module) -> dict[str, Any]:
    """A module's entry in `modules.json`."""
    # The first module is saved in the root, where transformers finds a Transformer, too.
    path = f"{position}_{type(module).__name__}" if position else ""
    entry = {"idx": position, "name": str(position), "path": path, "type": module.type_name}
    more = sorted(module.forward_kwargs - type(module).forward_kwargs)
    return entry | ({"kwargs": more} if more else {})


def _check_dimensions(modules: Sequence[Module]) -> None:
    before: frozenset[int] = frozenset()
    for module in modules:
        if module.in_dim and (wrong := before - {module.in_dim}):
            raise CheckpointError(
                f"{module.label} takes vectors of dimension {module.in_dim}, "
                f"but what comes before it gives {', '.join(map(str, sorted(wrong)))}."
            )
        before = module.out_dims or before
