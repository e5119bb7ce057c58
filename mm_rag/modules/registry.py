"""Which class a name in `modules.json` stands for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mm_rag.checkpoints.remote_code import find_code
from mm_rag.errors import CheckpointError

if TYPE_CHECKING:
    from mm_rag.modules.module import LoadOptions, Module

# Where sentence-transformers keeps the same class: until 5.3 in `models`, since then in packages by
# kind of model, each time with and without the name of the file.
_PACKAGES = (
    "sentence_transformers.models",
    "sentence_transformers.base.modules",
    "sentence_transformers.sentence_transformer.modules",
    "sentence_transformers.cross_encoder.modules",
    "mm_rag.modules",
)
_OLD_NAMES = {"Asym": "Router"}

_CLASSES: dict[str, type[Module]] = {}  # by type_name, which users choose for theirs
_OWN: dict[str, Loader] = {}  # by class name, for whatever package a checkpoint names


class Loader(Protocol):
    """What loads a module from its folder: a class, or the code of a checkpoint."""

    def load(self, folder: Path, options: LoadOptions) -> Module:
        """Load it."""
        ...


def register(*classes: type[Module]) -> None:
    """Make modules known, so that checkpoints can name them by their `type_name`.

    A checkpoint names classes and never has them imported: what is not registered is not loaded.
    """
    for cls in classes:
        _CLASSES[cls.type_name] = cls
        if _is_own(cls.type_name):
            _OWN[cls.__name__] = cls


def register_old(name: str, loader: Loader) -> None:
    """Make a class name known that only old checkpoints have, and what loads it today."""
    _OWN[name] = loader


def module_class(name: str, folder: Path) -> Loader:
    """What loads the module that is called `name` in the checkpoint in `folder`.

    Raises:
        CheckpointError: mm_rag has no such module.
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
            f"({', '.join(sorted(_OWN))}) nor in a Python file of the checkpoint. A class of your "
            "own is made known with mm_rag.modules.register(YourClass) before loading."
        )
    return loader


def _is_own(name: str) -> bool:
    return any(name.startswith(f"{package}.") for package in _PACKAGES)
