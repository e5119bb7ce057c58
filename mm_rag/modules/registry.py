"""Which class a name in `modules.json` stands for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mm_rag.errors import CheckpointError

if TYPE_CHECKING:
    from mm_rag.modules.module import Module

# Where sentence-transformers keeps the same class: until 5.3 in `models`, since then in packages by
# kind of model, each time with and without the name of the file.
_PACKAGES = (
    "sentence_transformers.models",
    "sentence_transformers.base.modules",
    "sentence_transformers.sentence_transformer.modules",
    "sentence_transformers.cross_encoder.modules",
    "mm_rag.modules",
)

_CLASSES: dict[str, type[Module]] = {}


def register(*classes: type[Module]) -> None:
    """Make classes known under their own names."""
    _CLASSES.update({cls.__name__: cls for cls in classes})


def module_class(name: str, folder: Path) -> type[Module]:
    """The class that a dotted `name` in the checkpoint in `folder` stands for.

    Raises:
        CheckpointError: mm_rag has no such module.
    """
    package, _, class_name = name.rpartition(".")
    known = any(package == p or package.startswith(f"{p}.") for p in _PACKAGES)
    if known and class_name in _CLASSES:
        return _CLASSES[class_name]
    raise CheckpointError(
        f"{folder} names the module {name!r}, which mm_rag does not have. "
        f"It has {', '.join(sorted(_CLASSES))}."
    )
