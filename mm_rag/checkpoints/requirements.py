"""The versions of packages that a checkpoint says it needs."""

from __future__ import annotations

import logging
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, cast

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion

from mm_rag.errors import MissingExtra

logger = logging.getLogger(__name__)

# The file of a checkpoint calls torch so elsewhere.
_ALIASES = {"pytorch": "torch"}

# What loads such checkpoints elsewhere, and is not used here.
_NOT_NEEDED = frozenset({"sentence-transformers", "sentence_transformers"})


def check_requirements(saved: Mapping[str, Any], model: str) -> None:
    """See that the packages that a checkpoint's `requirements` name are installed as it says.

    A requirement that is not understood is passed over with a warning, as in sentence-transformers.

    Args:
        saved: The settings of the checkpoint; its `requirements` map packages, or `python`, to
            specifiers such as `">=5.15"`, or to a dict of `specifier` and `reason`.
        model: Its name.

    Raises:
        MissingExtra: A package is missing, or of another version.
    """
    asked: Any = saved.get("requirements") or {}
    if not isinstance(asked, Mapping):
        logger.warning("The requirements of %s are not understood: %r.", model, asked)
        return
    unmet = [
        line
        for package, requirement in cast("Mapping[str, Any]", asked).items()
        if package not in _NOT_NEEDED and (line := _unmet(package, requirement, model))
    ]
    if unmet:
        raise MissingExtra(f"The model {model} needs {'; '.join(unmet)}.")


def _unmet(package: str, requirement: Any, model: str) -> str | None:
    """What is missing of one requirement; None where nothing is."""
    name = _ALIASES.get(package, package)
    several = isinstance(requirement, Mapping)
    given: Mapping[str, Any] = cast("Any", requirement) if several else {"specifier": requirement}
    specifier: Any = given.get("specifier", "")
    installed = _installed(name)
    try:
        if installed and SpecifierSet(specifier, prereleases=True).contains(installed):
            return None
        SpecifierSet(specifier)
    except (InvalidSpecifier, InvalidVersion, TypeError, AttributeError) as error:
        logger.warning("A requirement of %s is not understood: %s: %s", model, package, error)
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
