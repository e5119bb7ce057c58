"""State of the built-in models, and of everything that runs them, on this machine.

Packages are looked up in the metadata of the installation: none is imported, and neither is torch.
"""

from __future__ import annotations

import ctypes.util
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal, TypeAlias

from mm_rag._optional import Package, install_command, packages_of
from mm_rag.errors import CheckpointError, MissingExtra
from mm_rag.packaged import (
    MINILM,
    MODELS,
    HubModel,
    PackagedModel,
    install_files,
    model_cache,
)

State: TypeAlias = Literal["ok", "from the hub", "missing", "other version", "damaged"]

# What the libraries of the extra `offline` are for; those with weights are in the table of models.
_LIBRARIES = {
    "faster-whisper": "runs the speech model",
    "onnx": "builds the network for photos from its weights",
    "onnxruntime": "runs the models for OCR, reranking and photos",
    "pocketsphinx": "a small speech recogniser, English only",
    "rapidocr": "OCR, with its models inside",
}


@dataclass(frozen=True, kw_only=True)
class PackageState:
    """A package with weights.

    Attributes:
        name: Name of the distribution.
        version: The version whose files are known.
        installed: The installed version; None if the package is not installed.
        state: `damaged` if a file has another sha256 than was published.
    """

    name: str
    version: str
    installed: str | None
    state: State


@dataclass(frozen=True, kw_only=True)
class ModelState:
    """A built-in model.

    Attributes:
        name: Its name, without `mm-rag/`.
        gives: Purpose, in a few words.
        licence: SPDX identifier of the licence of the weights.
        origin: Address of the original weights.
        packages: The packages with its files.
        needed: Whether the built-in default uses it.
        hub: The original that is loaded where a package is missing; None if none is.
        fetched: Whether that original is in the hub's cache.
    """

    name: str
    gives: str
    licence: str
    origin: str
    packages: tuple[PackageState, ...]
    needed: bool
    hub: HubModel | None
    fetched: bool

    @property
    def state(self) -> State:
        """`ok`, or what is wrong with the first package that is not."""
        bad: list[State] = [each.state for each in self.packages if each.state != "ok"]
        if self.fetched and bad and "damaged" not in bad:
            return "from the hub"
        return bad[0] if bad else "ok"

    @property
    def is_usable(self) -> bool:
        """Whether it can be loaded."""
        return self.state in ("ok", "from the hub")


@dataclass(frozen=True, kw_only=True)
class LibraryState:
    """A library that runs built-in models.

    Attributes:
        name: Name of the distribution.
        gives: Purpose, in a few words.
        versions: The range that mm-rag was tested with.
        installed: The installed version; None if it is not installed.
        state: Never `damaged`: its files are not checked.
    """

    name: str
    gives: str
    versions: str
    installed: str | None
    state: State


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program beside Python that readers use where it is installed.

    Attributes:
        name: Its name.
        gives: Purpose, in a few words.
        found: Its path, or the name of its library; None if it is not installed.
        languages: Scripts that it reads; None for programs other than Tesseract.
    """

    name: str
    gives: str
    found: str | None
    languages: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Cache:
    """A folder that files are kept in.

    Attributes:
        what: Kind of files.
        path: The folder, which may not exist.
        size: In bytes; 0 if it does not exist.
    """

    what: str
    path: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """The state of the built-in models and of what runs them.

    Attributes:
        models: The built-in models.
        libraries: The libraries that run them.
        programs: Other programs.
        caches: Folders that files are kept in.
        python: Version of Python.
        torch: Version of torch.
        install: Shell commands that install what is missing or damaged, mostly one.
    """

    models: tuple[ModelState, ...]
    libraries: tuple[LibraryState, ...]
    programs: tuple[Program, ...]
    caches: tuple[Cache, ...]
    python: str
    torch: str
    install: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether all models of the built-in default can be used."""
        models = all(model.is_usable for model in self.models if model.needed)
        return models and all(library.state == "ok" for library in self.libraries)


def diagnose() -> Diagnosis:
    """Look up everything; the files of the models are read once, for their sha256."""
    models = tuple(map(_model, MODELS))
    libraries = tuple(map(_library, _libraries()))
    return Diagnosis(
        models=models,
        libraries=libraries,
        programs=tuple(_programs()),
        caches=tuple(_caches()),
        python=f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        torch=metadata.version("torch"),
        install=tuple(_remedies(models, libraries)),
    )


def _model(model: PackagedModel) -> ModelState:
    names = dict.fromkeys((file.package, file.version) for file in model.files)
    return ModelState(
        name=model.name,
        gives=model.gives,
        licence=model.licence,
        origin=model.origin,
        packages=tuple(_package(model, *name) for name in names),
        needed=model is not MINILM,
        hub=model.on_hub,
        fetched=bool(model.on_hub and model.on_hub.find()),
    )


def _package(model: PackagedModel, name: str, version: str) -> PackageState:
    try:
        installed = metadata.version(name)
    except metadata.PackageNotFoundError:
        return PackageState(name=name, version=version, installed=None, state="missing")
    state: State = "ok"
    try:
        for file in model.files:
            if file.package == name:
                file.find()
    except MissingExtra:
        state = "other version"
    except CheckpointError:
        state = "damaged"
    return PackageState(name=name, version=version, installed=installed, state=state)


def _libraries() -> Iterator[Package]:
    weights = {file.package for model in MODELS for file in model.files}
    return (each for each in packages_of("offline") if each.name not in weights)


def _library(package: Package) -> LibraryState:
    state: State = "other version" if package.unfit else "ok"
    return LibraryState(
        name=package.name,
        gives=_LIBRARIES.get(package.name, ""),
        versions=package.versions,
        installed=package.installed,
        state="missing" if package.installed is None else state,
    )


def _remedies(models: tuple[ModelState, ...], libraries: tuple[LibraryState, ...]) -> Iterator[str]:
    """The commands that install what is missing; pip does not repair damaged files by itself."""
    states = {
        package.name: package.state
        for model in models
        if model.needed and not model.is_usable
        for package in model.packages
        if package.state != "ok"
    }
    if any(library.state != "ok" for library in libraries):
        yield install_command("offline")
        brought = {each.name for each in packages_of("offline")}
        states = {n: s for n, s in states.items() if s == "damaged" or n not in brought}
    files = [file for model in MODELS for file in model.files if file.package in states]
    yield from install_files(files, again="damaged" in states.values())


def _programs() -> Iterator[Program]:
    from mm_rag.extraction import tesseract
    from mm_rag_loaders.office.libreoffice import find_program

    yield Program(
        name="FFmpeg's libraries",
        gives="decode sound and video where torchcodec finds them; else PyAV's own do",
        found=ctypes.util.find_library("avcodec"),
    )
    office = None
    with suppress(MissingExtra):
        office = find_program()
    yield Program(
        name="LibreOffice",
        gives="pages of office files; old .doc and .ppt",
        found=office,
    )
    yield Program(
        name="Tesseract",
        gives="OCR of scripts other than Latin, Chinese and Japanese",
        found=shutil.which("tesseract"),
        languages=tesseract.readable_scripts(),
    )


def _caches() -> Iterator[Cache]:
    from huggingface_hub import constants

    from mm_rag_loaders import AssetStore

    folders = {
        "files made of packaged weights": model_cache(),
        "models of the hub": Path(
            os.environ.get("SENTENCE_TRANSFORMERS_HOME") or constants.HF_HUB_CACHE
        ),
        "pictures of loaders without a collection": AssetStore.default().root,
    }
    for what, path in folders.items():
        yield Cache(what=what, path=str(path), size=_size(path))


def _size(folder: Path) -> int:
    """Bytes of the files in a folder; links do not count."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            if path.is_file() and not path.is_symlink():
                total += path.stat().st_size
    return total
