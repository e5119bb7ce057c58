"""The JSON files of a checkpoint: read and write them, and refuse models that cannot be used."""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion

from mm_rag.errors import CheckpointError, MissingExtra

logger = logging.getLogger(__name__)

# The settings of a whole encoder or reranker.
MODEL_CONFIG = "config_sentence_transformers.json"

_LOADED_TYPES = ("SentenceTransformer", "CrossEncoder")

_MULTI_VECTOR = "a multi-vector model, which gives a vector for every token of an input"
_SPARSE = "a sparse encoder, which gives a weight for every word of its vocabulary"
_LISTWISE = (
    "a listwise reranker, which reads all documents at once, by code of its own. Choose one that "
    "scores pairs, such as jinaai/jina-reranker-m0"
)

# Models that do not return one vector or score per input: by `model_type` in
# config_sentence_transformers.json, by the classes in modules.json, and by the architecture in
# config.json. Their files look like an encoder's; loaded as one, they give meaningless vectors.
_MODEL_TYPES = {
    "SparseEncoder": _SPARSE,
    "MultiVectorEncoder": _MULTI_VECTOR,
    "ColBERT": _MULTI_VECTOR,
}
_MODULES = {
    "MLMTransformer": _SPARSE,
    "SpladePooling": _SPARSE,
    "SparseAutoEncoder": _SPARSE,
    "SparseStaticEmbedding": _SPARSE,
    "IDF": _SPARSE,
    "MultiVectorMask": _MULTI_VECTOR,
    "ColBERT": _MULTI_VECTOR,
}
_ARCHITECTURES = {
    "HF_ColBERT": _MULTI_VECTOR,
    "ColPali": _MULTI_VECTOR,
    "ColQwen2": _MULTI_VECTOR,
    "ColQwen2_5": _MULTI_VECTOR,
    "ColIdefics3": _MULTI_VECTOR,
    "JinaForRanking": _LISTWISE,
}

# Packages that `requirements` call by another name, and those that are not needed here.
_PACKAGE_ALIASES = {"pytorch": "torch"}
_NOT_NEEDED = frozenset({"sentence-transformers", "sentence_transformers"})


def read_json(path: Path, *, default: Any = None) -> Any:
    """Read a JSON file of a checkpoint.

    Args:
        path: The file.
        default: Returned when the file does not exist; with None, a missing file is an error. A
            value of another type than the default's is an error, too.

    Raises:
        CheckpointError: The file is missing, is not JSON, or holds a value of another type.
    """
    if not path.is_file() and default is not None:
        return default
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"The checkpoint {path.parent} has no {path.name}.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"Cannot read {path}: {error}") from error
    if default is not None and not isinstance(value, type(default)):
        raise CheckpointError(f"{path} contains no JSON object of settings, but {value!r:.60}.")
    return value


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file of a checkpoint."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def inside(folder: Path, path: str) -> Path:
    """Join a path that a checkpoint names to its folder.

    Raises:
        CheckpointError: The path leads out of the folder.
    """
    joined = folder / path
    if not joined.resolve().is_relative_to(folder.resolve()):
        raise CheckpointError(f"The checkpoint {folder} names {path!r}, which is outside of it.")
    return joined


def check_kind(folder: Path) -> None:
    """Refuse models that do not give one vector, or one score, per input.

    Raises:
        CheckpointError: The checkpoint holds such a model; the message says which kind.
    """
    model_type = read_json(folder / MODEL_CONFIG, default={}).get("model_type")
    found = _MODEL_TYPES.get(str(model_type)) or _by_modules(folder) or _by_architecture(folder)
    if found:
        raise CheckpointError(f"{folder} is {found}. mm_rag does not load such models.")
    if model_type is not None and model_type not in _LOADED_TYPES:
        raise CheckpointError(
            f"{folder} is a model of the type {model_type!r}; mm_rag loads "
            f"{' and '.join(_LOADED_TYPES)}."
        )


def _by_modules(folder: Path) -> str | None:
    path = folder / "modules.json"
    entries: Any = read_json(path) if path.is_file() else []
    types = [
        str(cast("dict[str, Any]", entry).get("type"))
        for entry in (cast("list[Any]", entries) if isinstance(entries, list) else [])
        if isinstance(entry, dict)
    ]
    own = [name for name in types if name.startswith(("sentence_transformers.", "pylate."))]
    return _first(_MODULES, [name.rpartition(".")[2] for name in own])


def _by_architecture(folder: Path) -> str | None:
    names: Any = read_json(folder / "config.json", default={}).get("architectures")
    found = [str(name) for name in cast("list[Any]", names)] if isinstance(names, list) else []
    if any(name.startswith("Col") and name.endswith("ForRetrieval") for name in found):
        return _MULTI_VECTOR  # ColPaliForRetrieval, ColQwen2ForRetrieval, ...
    return _first(_ARCHITECTURES, found)


def _first(kinds: dict[str, str], names: Iterable[str]) -> str | None:
    return next((kinds[name] for name in names if name in kinds), None)


def check_requirements(config: Mapping[str, Any], model: str) -> None:
    """Check that the packages a checkpoint requires are installed.

    A requirement that cannot be parsed is skipped with a warning, as in sentence-transformers.

    Args:
        config: The content of config_sentence_transformers.json; its `requirements` map packages,
            or `python`, to specifiers such as `">=5.15"`, or to a dict of `specifier` and `reason`.
        model: The model's name.

    Raises:
        MissingExtra: A package is missing, or its version does not match.
    """
    required: Any = config.get("requirements") or {}
    if not isinstance(required, Mapping):
        logger.warning("The requirements of %s cannot be parsed: %r.", model, required)
        return
    unmet = [
        line
        for package, requirement in cast("Mapping[str, Any]", required).items()
        if package not in _NOT_NEEDED and (line := _unmet(package, requirement, model))
    ]
    if unmet:
        raise MissingExtra(f"The model {model} needs {'; '.join(unmet)}.")


def _unmet(package: str, requirement: Any, model: str) -> str | None:
    """Describe a requirement that is not met; None for one that is met or cannot be parsed."""
    name = _PACKAGE_ALIASES.get(package, package)
    several = isinstance(requirement, Mapping)
    given: Mapping[str, Any] = cast("Any", requirement) if several else {"specifier": requirement}
    specifier: Any = given.get("specifier", "")
    installed = _installed(name)
    try:
        if installed and SpecifierSet(specifier, prereleases=True).contains(installed):
            return None
        SpecifierSet(specifier)
    except (InvalidSpecifier, InvalidVersion, TypeError, AttributeError) as error:
        logger.warning("A requirement of %s cannot be parsed: %s: %s", model, package, error)
        return None
    found = f"{installed} is installed" if installed else "it is not installed"
    reason = f" ({reason})" if (reason := given.get("reason")) else ""
    advice = "" if name == "python" else f": pip install '{name}{specifier}'"
    return f"{name}{specifier}, but {found}{reason}{advice}"


def _installed(package: str) -> str | None:
    if package == "python":
        return platform.python_version()
    try:
        return version(package)
    except PackageNotFoundError:
        return None
