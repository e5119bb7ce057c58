"""The classes that names in `modules.json` stand for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mm_rag.errors import CheckpointError
from mm_rag.modules.remote_code import find_code

if TYPE_CHECKING:
    from mm_rag.checkpoints.options import PretrainedOptions
    from mm_rag.modules.module import Module

# Packages of sentence-transformers that contain the same class: until 5.3 `models`, since then one
# by kind of model, with and without the name of the file.
_PACKAGES = (
    "sentence_transformers.models",
    "sentence_transformers.base.modules",
    "sentence_transformers.sentence_transformer.modules",
    "sentence_transformers.cross_encoder.modules",
    "mm_rag.modules",
)
_OLD_NAMES = {"Asym": "Router"}

_CLASSES: dict[str, type[Module]] = {}  # by type_name, also those of users
_OWN: dict[str, Loader] = {}  # by class name, for any of the packages


class Loader(Protocol):
    """Loads a module from its folder: a class, or the code of a checkpoint."""

    def load(self, folder: Path, options: PretrainedOptions) -> Module:
        """Load the module."""
        ...


def register(*classes: type[Module]) -> None:
    """Allow checkpoints to name these classes by their `type_name`.

    Classes that are not registered are not loaded: a checkpoint cannot have anything imported.
    """
    for cls in classes:
        _CLASSES[cls.type_name] = cls
        if _is_own(cls.type_name):
            _OWN[cls.__name__] = cls


def register_old(name: str, loader: Loader) -> None:
    """Register the loader for a class name that occurs in old checkpoints only."""
    _OWN[name] = loader


def module_class(name: str, folder: Path) -> Loader:
    """Find the loader of the module that the checkpoint in `folder` calls `name`.

    Raises:
        CheckpointError: No such class is registered or part of the checkpoint.
    """
    name = str(name)  # JSON may hold anything
    class_name = name.rpartition(".")[2]
    if name in _CLASSES:
        return _CLASSES[name]
    found = _OWN.get(_OLD_NAMES.get(class_name, class_name)) if _is_own(name) else None
    loader = found or find_code(name, folder)
    if loader is None:
        raise CheckpointError(
            f"{folder} names the module {name!r}, which is neither one of mm_rag's "
            f"({', '.join(sorted(_OWN))}) nor in a Python file of the checkpoint. Register a "
            "class of your own with mm_rag.modules.register(YourClass) before loading."
        )
    return loader


def _is_own(name: str) -> bool:
    return any(name.startswith(f"{package}.") for package in _PACKAGES)
