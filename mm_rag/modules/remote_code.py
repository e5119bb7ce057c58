"""Modules whose Python code is part of a checkpoint, written for sentence-transformers.

`modules.json` may name a class in a file of the checkpoint (`custom_st.Transformer`) or of another
repository (`org/repo--custom_st.Transformer`). Its code runs only with `trust_remote_code=True`.
The class has sentence-transformers' contract: `forward(features: dict)`, `save`, and in the first
module `preprocess` or `tokenize`. Two adapters make modules of ours out of it.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase
from transformers.dynamic_module_utils import (
    get_class_from_dynamic_module,
    get_relative_import_files,
)

from mm_rag.checkpoints.config_files import read_json
from mm_rag.checkpoints.options import PretrainedOptions
from mm_rag.content import Content, Image, Mixed, Text, modality_name
from mm_rag.errors import CheckpointError, MissingExtra, UnsupportedModality
from mm_rag.media.image import open_image
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.modules.module import InputModule, Module
from mm_rag.preprocessing.control_tokens import ControlTokens
from mm_rag.preprocessing.features import Features

# The names of options until sentence-transformers 5.4, and in classes written for it.
_OLD_OPTIONS = {
    "model_kwargs": "model_args",
    "processor_kwargs": "tokenizer_args",
    "config_kwargs": "config_args",
}
# Errors of importing a damaged file, or of loading from a damaged folder.
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
_PLACE = re.compile(r"[a-z][a-z0-9+.-]+:/|(data|file):\S", re.IGNORECASE)


def find_code(name: str, folder: Path) -> CustomCode | None:
    """Find the class that a checkpoint calls `name`; None if no file of it can contain one."""
    parsed = _NAME.fullmatch(name)
    if parsed is None:
        return None
    file = f"{parsed['file']}.py"
    if parsed["repo"]:
        return CustomCode(name=name, root=folder, place=f"{file} of {parsed['repo']}")
    # The modules of a Router are one folder below the code.
    for root in (folder, folder.parent):
        if (root / "modules.json").is_file() and (root / file).is_file():
            return CustomCode(name=name, root=root, place=str(root / file))
    return None


@dataclass(frozen=True, kw_only=True)
class CustomCode:
    """A class in a Python file of a checkpoint, not imported yet.

    Attributes:
        name: Its name in `modules.json`.
        root: The folder of the checkpoint.
        place: The file of the class, for messages.
    """

    name: str
    root: Path
    place: str

    def load(self, folder: Path, options: PretrainedOptions) -> Module:
        """Import the class, make an instance from `folder`, and adapt it.

        Raises:
            CheckpointError: The code is not trusted, or fails.
            MissingExtra: The code needs a package that is not installed.
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

    def _adapted(self, cls: Any, folder: Path, options: PretrainedOptions) -> Module:
        if issubclass(cls, Module):
            return cls.load(folder, options)
        made = _instance(cls, self.root, folder, options)
        network = made.to(options.dtype) if options.dtype else made
        if hasattr(network, "preprocess") or hasattr(network, "tokenize"):
            return CustomInput(network, options.policy)
        return CustomModule(network)


def _instance(cls: Any, root: Path, folder: Path, options: PretrainedOptions) -> nn.Module:
    """Make an instance as sentence-transformers does, which depends on the class's parameters."""
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
        return cls.load(str(root), **_accepted(cls.load, wanted))
    parameters = inspect.signature(cls.__init__).parameters
    if not parameters.keys() & {"model_kwargs", *_OLD_OPTIONS.values()}:
        return cls.load(str(folder))
    saved = dict(read_json(folder / "sentence_bert_config.json", default={}))
    for name, old in _OLD_OPTIONS.items():
        value = {**saved.pop(old, {}), **saved.pop(name, {}), **hub, "cache_dir": None}
        saved[name if name in parameters else old] = {**value, **given[name]}
    return cls(str(root), **_accepted(cls.__init__, {**saved, "backend": "torch"}))


def _below(root: Path, folder: Path) -> str:
    return folder.resolve().relative_to(root.resolve()).as_posix()


def _files(cls: type) -> tuple[Path, ...]:
    """The file of a class, and the files beside it that it imports."""
    file = sys.modules[cls.__module__].__file__ or ""
    return (Path(file), *map(Path, get_relative_import_files(file)))


class CustomModule(Module):
    """Adapt a module with sentence-transformers' contract.

    Args:
        network: The module.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.forward_kwargs = frozenset(getattr(network, "forward_kwargs", ()))

    @property
    def out_dim(self) -> int | None:
        """The size it declares, by any of the methods that sentence-transformers had for it."""
        for kind in ("embedding", "sentence_embedding", "word_embedding"):
            dimension = getattr(self.network, f"get_{kind}_dimension", None)
            if dimension is not None:
                return dimension()
        return None

    @property
    def label(self) -> str:
        """Such as `Transformer (code of the checkpoint)`."""
        return f"{type(self.network).__name__} (code of the checkpoint)"

    def forward(self, features: Features, **arguments: Any) -> Features:
        """Call it with a plain dict, and copy its results to the features."""
        given: dict[str, Any] = {**features, **features.extra}
        if features.prompt_length:
            given["prompt_length"] = features.prompt_length
        _take_over(self.network(given, **arguments), features)
        return features

    def save(self, folder: Path) -> None:
        """Call its own `save`.

        Raises:
            CheckpointError: It has none.
        """
        save = getattr(self.network, "save", None)
        if save is None:
            raise CheckpointError(f"{type(self.network).__name__} has no save(path).")
        folder.mkdir(parents=True, exist_ok=True)
        save(str(folder), **_accepted(save, {"safe_serialization": True}))


class CustomInput(CustomModule, InputModule):
    """Adapt a first module: it gets a str for text, a PIL image for a picture, a dict for several.

    Args:
        network: The module, which has `preprocess` or `tokenize`.
        policy: Which pictures may be opened, and their limits.
    """

    def __init__(self, network: nn.Module, policy: MediaPolicy = DEFAULT_POLICY) -> None:
        super().__init__(network)
        self.policy = policy
        tokenizer: Any = getattr(network, "tokenizer", None)
        known = isinstance(tokenizer, PreTrainedTokenizerBase | Tokenizer)
        self._control = ControlTokens(tokenizer if known else None)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The ones it declares, of text and images; text if it declares none."""
        declared: Sequence[Any] = getattr(self.network, "modalities", ("text",))
        names = ["+".join(sorted([name] if isinstance(name, str) else name)) for name in declared]
        return tuple(name for name in names if {"text", "image"}.issuperset(name.split("+")))

    def lengths(self, contents: Sequence[Content]) -> list[int]:
        """An estimate of one token for 4 characters: its tokenizer is not accessible."""
        return [len(c.text) // 4 + 1 if isinstance(c, Text) else 1 for c in contents]

    def preprocess(self, contents: Sequence[Content], *, prompt: str = "") -> Features:
        """Call its `preprocess` or `tokenize`.

        Raises:
            UnsupportedModality: The module does not take the contents.
        """
        kind = modality_name(contents[0])
        if kind not in self.modalities:
            raise UnsupportedModality(
                f"{self.label} takes {', '.join(self.modalities)}, not {kind}."
            )
        call: Any = getattr(self.network, "preprocess", None) or cast("Any", self.network).tokenize
        values = [self._value(content) for content in contents]
        own = _accepted(call, {"prompt": prompt or None})
        if prompt and kind == "text" and not own:
            values = [_prompted(prompt, value) for value in values]
        features = Features({}, kind=kind)
        _take_over(call(values, **own), features)
        return features

    def _value(self, content: Content) -> Any:
        match content:
            case Text():
                words = _words(self._control.as_text(content.text))
                if content.second is None:
                    return words
                return words, _words(self._control.as_text(content.second))
            case Image():
                return open_image(content.source, self.policy)
            case Mixed():
                return {part.modality: self._value(part) for part in content.parts}
            case _:
                kind = modality_name(content)
                raise UnsupportedModality(f"{self.label} is not given {kind}.")


def _accepted(call: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Select the arguments that a function declares; all if it has `**kwargs`."""
    parameters = inspect.signature(call).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return dict(given)
    return {name: value for name, value in given.items() if name in parameters}


def _words(text: str) -> str:
    """Mark a text that looks like a file or an address as words, by a space in front.

    Code with this contract opens a str that names a file or an address. Tokenizers drop the space.
    """
    if _PLACE.match(text):
        return f" {text}"
    try:
        return f" {text}" if "\0" not in text and Path(text).is_file() else text
    except OSError:  # too long for a file name
        return text


def _prompted(prompt: str, value: Any) -> Any:
    """Put the prompt before a text, or before the first of two."""
    return (prompt + value[0], value[1]) if isinstance(value, tuple) else prompt + value


def _take_over(made: Mapping[str, Any], features: Features) -> None:
    for name, value in made.items():
        if name == "prompt_length":
            features.prompt_length = int(value[0] if isinstance(value, Tensor) else value)
        elif isinstance(value, Tensor):
            features[name] = value
        else:
            features.extra[name] = value
