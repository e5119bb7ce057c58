"""Modules whose Python code lies in the checkpoint.

`modules.json` may name a class of a file in the checkpoint (`custom_st.Transformer`) or of another
repository (`org/repo--custom_st.Transformer`). It runs only with `trust_remote_code=True`.
"""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import nn
from transformers.dynamic_module_utils import (
    get_class_from_dynamic_module,
    get_relative_import_files,
)

from mm_rag.errors import CheckpointError, MissingExtra
from mm_rag.modules.module import LoadOptions, Module, read_json
from mm_rag.modules.remote_module import CustomInput, CustomModule, accepted

# Until 5.4, and in the classes of that time, options had other names.
_OLD_OPTIONS = {
    "model_kwargs": "model_args",
    "processor_kwargs": "tokenizer_args",
    "config_kwargs": "config_args",
}
# What importing a damaged file, or loading from a damaged folder, raises.
_FAULTS = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    NameError,
    SyntaxError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    SafetensorError,
)
_NAME = re.compile(r"(?:(?P<repo>.+)--)?(?P<file>\w+)\.(?P<class_name>\w+)")


@dataclass(frozen=True, kw_only=True)
class CustomCode:
    """A class in a Python file of a checkpoint, not imported yet.

    Attributes:
        name: What `modules.json` calls it.
        root: The folder of the checkpoint.
        place: Where its file is, for messages.
    """

    name: str
    root: Path
    place: str

    def load(self, folder: Path, options: LoadOptions) -> Module:
        """Import the class, make one from `folder`, and adapt it.

        Raises:
            CheckpointError: Its code may not run, or fails.
            MissingExtra: It needs a package that is not installed.
        """
        if not options.trust_remote_code:
            raise CheckpointError(
                f"{self.root} names the module {self.name!r}, whose Python code would run: "
                f"{self.place}. Read it, and if you trust it, pass trust_remote_code=True."
            )
        try:
            cls: Any = get_class_from_dynamic_module(self.name, str(self.root))
            module = self._adapted(cls, folder, options)
        except ImportError as error:
            raise MissingExtra(
                f"The code of the checkpoint, {self.place}, needs a package that is not "
                f"installed: {error}"
            ) from error
        except _FAULTS as error:
            raise CheckpointError(
                f"The code of the checkpoint, {self.place}, failed to load {self.name!r}: "
                f"{type(error).__name__}: {error}"
            ) from error
        module.type_name = self.name.rpartition("--")[2]
        module.code = _files(cls)
        return module

    def _adapted(self, cls: Any, folder: Path, options: LoadOptions) -> Module:
        if issubclass(cls, Module):
            return cls.load(folder, options)
        made = _instance(cls, self.root, folder, options)
        network = made.to(options.dtype) if options.dtype else made
        if hasattr(network, "preprocess") or hasattr(network, "tokenize"):
            return CustomInput(network, options.policy)
        return CustomModule(network)


def find_code(name: str, folder: Path) -> CustomCode | None:
    """The code that `name` stands for in the checkpoint in `folder`; None where there is none."""
    parsed = _NAME.fullmatch(name)
    if parsed is None:
        return None
    file = f"{parsed['file']}.py"
    if parsed["repo"]:
        return CustomCode(name=name, root=folder, place=f"{file} of {parsed['repo']}")
    # The modules of a Router lie a folder deeper than the code.
    for root in (folder, folder.parent):
        if (root / "modules.json").is_file() and (root / file).is_file():
            return CustomCode(name=name, root=root, place=str(root / file))
    return None


def _instance(cls: Any, root: Path, folder: Path, options: LoadOptions) -> nn.Module:
    """Make one, in the ways in which sentence-transformers makes one."""
    hub: dict[str, Any] = {
        "subfolder": "" if folder.resolve() == root.resolve() else _below(root, folder),
        "token": None,
        "revision": None,
        "local_files_only": False,
        "trust_remote_code": True,
    }
    given = {name: dict[str, Any](getattr(options, name)) for name in _OLD_OPTIONS}
    if len(inspect.signature(cls.load).parameters) > 1:
        wanted = {**hub, **given, "cache_folder": None, "backend": "torch"}
        return cls.load(str(root), **accepted(cls.load, wanted))
    parameters = inspect.signature(cls.__init__).parameters
    if not parameters.keys() & {"model_kwargs", *_OLD_OPTIONS.values()}:
        return cls.load(str(folder))
    saved = dict(read_json(folder / "sentence_bert_config.json", default={}))
    for name, old in _OLD_OPTIONS.items():
        value = {**saved.pop(old, {}), **saved.pop(name, {}), **hub, "cache_dir": None}
        saved[name if name in parameters else old] = {**value, **given[name]}
    return cls(str(root), **accepted(cls.__init__, {**saved, "backend": "torch"}))


def _below(root: Path, folder: Path) -> str:
    return folder.resolve().relative_to(root.resolve()).as_posix()


def _files(cls: type) -> tuple[Path, ...]:
    """The file of a class, and those that it imports from beside it."""
    file = sys.modules[cls.__module__].__file__ or ""
    return (Path(file), *map(Path, get_relative_import_files(file)))
