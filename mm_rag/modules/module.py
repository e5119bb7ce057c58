"""The contract that every module of a model follows.

A model is a chain: the first module takes Content and makes `Features` out of it, every module
turns Features into Features. A new module needs `forward`; where it has settings, `config`; where
they are not the same, the dimensions that it takes and gives.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from mm_rag.checkpoints.weights import load_weights, save_weights
from mm_rag.content import Content, modality_name
from mm_rag.errors import CheckpointError, InputError
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy

# Features that modules make for each other: no model is given them.
OURS = frozenset({"content_mask", "token_embeddings", "sentence_embedding", "scores"})


class Features(dict[str, Tensor]):
    """What flows through a chain: tensors by name, and what kind of input they were made from.

    The names are those of sentence-transformers, so that its modules' configurations mean the same
    here: `input_ids`, `attention_mask`, `pixel_values`, ... go in, with `content_mask` for the
    tokens that are the input's own; `token_embeddings` (batch, tokens,
    dim), `sentence_embedding` (batch, dim) or `scores` (batch, labels) come out.

    Attributes:
        kind: How the tensors were made: `"text"`, `"image"`, ..., or `"message"` for chat messages.
        prompt_length: Leading tokens that are the prompt's, for poolings that leave it out.
        route: Which route of a `Router` they take, and which of a Router in that route; empty where
            there is no Router.
        task: Such as `"query"`; a Router behind another module chooses by it. None for none.
        extra: What custom code of a checkpoint made that is no tensor, for custom code after it.
    """

    def __init__(self, tensors: dict[str, Tensor], *, kind: str = "text", prompt_length: int = 0):
        super().__init__(tensors)
        self.kind = kind
        self.prompt_length = prompt_length
        self.route: Sequence[str] = ()
        self.task: str | None = None
        self.extra: dict[str, Any] = {}

    def to(self, device: torch.device) -> Self:
        """Move every tensor to `device`, in place."""
        for name, tensor in self.items():
            # Processors add a few things that are no tensors, such as which frames were chosen.
            if torch.is_tensor(tensor):
                self[name] = tensor.to(device, non_blocking=True)
        return self


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How a checkpoint is loaded; the names are those of `Encoder` and sentence-transformers.

    Attributes:
        dtype: Of the weights; None for what the checkpoint says.
        trust_remote_code: Run Python code that lies in the checkpoint.
        model_kwargs: Passed to the `from_pretrained` of the transformers model.
        processor_kwargs: Passed to the `from_pretrained` of its tokenizer or processor.
        config_kwargs: Passed to the `from_pretrained` of its configuration.
        policy: Limits on the media that the model is given.
    """

    dtype: torch.dtype | None = None
    trust_remote_code: bool = False
    model_kwargs: dict[str, Any] = field(default_factory=dict[str, Any])
    processor_kwargs: dict[str, Any] = field(default_factory=dict[str, Any])
    config_kwargs: dict[str, Any] = field(default_factory=dict[str, Any])
    policy: MediaPolicy = DEFAULT_POLICY

    def __post_init__(self) -> None:
        """Refuse what has an argument of its own, which decides alone."""
        for name in ("model_kwargs", "processor_kwargs", "config_kwargs"):
            given: dict[str, Any] = getattr(self, name)
            if "trust_remote_code" in given:
                raise InputError(
                    f"trust_remote_code is in {name}; give it beside: trust_remote_code=..."
                )
        if "config" in self.model_kwargs:
            raise InputError("config is in model_kwargs; give its settings as config_kwargs.")


class Module(torch.nn.Module, ABC):
    """One link of a chain, which loads from and saves to a folder of its own.

    Attributes:
        type_name: What `modules.json` calls it: sentence-transformers' name where that has one; by
            default its dotted Python name. `register` makes a class known under it.
        config_file: Its configuration in its folder.
        forward_kwargs: Names of the arguments of `forward` that a caller of `Encoder.encode` may
            give.
        code: Python files that its checkpoint must hold beside `modules.json`.
    """

    type_name: str
    config_file: ClassVar[str] = "config.json"
    forward_kwargs: frozenset[str] = frozenset()
    code: tuple[Path, ...] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "type_name" not in vars(cls):
            cls.type_name = f"{cls.__module__}.{cls.__qualname__}"

    @abstractmethod
    def forward(self, features: Features) -> Features:
        """Add what this module makes to `features`."""

    def run(self, features: Features, arguments: Mapping[str, Any]) -> Features:
        """Call it with those of `arguments` that it declares in `forward_kwargs`."""
        own = {name: arguments[name] for name in self.forward_kwargs & arguments.keys()}
        return self(features, **own)

    def config(self) -> dict[str, Any]:
        """What `from_config` needs to make the same module again, weights aside; JSON."""
        return {}

    @property
    def takes(self) -> int | None:
        """The dimension of the vectors it takes; None for any."""
        return None

    @property
    def gives(self) -> int | None:
        """The dimension of the vectors it gives; None for the one it takes."""
        return None

    @property
    def dimensions(self) -> frozenset[int]:
        """All dimensions that its vectors can have: several where routes differ."""
        return frozenset() if self.gives is None else frozenset([self.gives])

    @property
    def label(self) -> str:
        """One line for `print(encoder)`."""
        return type(self).__name__

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make one out of what `config` returned, or what sentence-transformers wrote."""
        return cls(**config)

    @classmethod
    def load(cls, folder: Path, options: LoadOptions) -> Self:
        """Load it from its folder.

        Raises:
            CheckpointError: The folder holds no such module.
        """
        config = read_json(folder / cls.config_file, default={})
        try:
            module = cls.from_config(config)
        except (TypeError, ValueError, KeyError, AttributeError, RuntimeError) as error:
            raise CheckpointError(
                f"Cannot make {cls.__name__} from {folder / cls.config_file}: "
                f"{type(error).__name__}: {error}"
            ) from error
        if module.state_dict():
            load_weights(module, folder)
        return module.to(options.dtype) if options.dtype else module

    def save(self, folder: Path) -> None:
        """Write it to its folder, which is made where it is missing."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / self.config_file, self.config())
        if self.state_dict():
            save_weights(self, folder)


class InputModule(Module):
    """A module that a chain can begin with: it takes Content."""

    @property
    @abstractmethod
    def modalities(self) -> tuple[str, ...]:
        """What it takes; several together are joined with `+`, sorted: `"image+text"`."""

    @abstractmethod
    def preprocess(self, contents: Sequence[Content], *, prompt: str = "") -> Features:
        """Make one batch, as tensors on the CPU, of contents whose `batch_key` is the same.

        Args:
            contents: What `prepare` returned.
            prompt: An instruction that the model was trained with; goes before every content.
        """

    @property
    def vocabulary(self) -> Mapping[str, int]:
        """The token ids of the words it knows; empty where there are none."""
        return {}

    @property
    def takes_content(self) -> bool:
        """Whether a chain can begin with it."""
        return True

    @property
    def tokenizer(self) -> Any:
        """Its tokenizer, of transformers or of tokenizers; None where it reads no text."""
        return None

    def replace_tokenizer(self, tokenizer: Any) -> None:
        """Use another tokenizer from now on.

        Raises:
            InputError: It cannot.
        """
        raise InputError(f"{type(self).__name__} cannot be given another tokenizer.")

    @property
    def max_length(self) -> int | None:
        """Tokens that a text is cut at; None where it is not cut."""
        return None

    @max_length.setter
    def max_length(self, limit: int) -> None:
        raise InputError(f"{type(self).__name__} cuts no texts: it has no max_seq_length to set.")

    def at(self, task: str | None) -> Self:
        """The same module for a task such as `"query"`; itself where tasks are all one to it."""
        return self

    def prepare(self, content: Content) -> Content:
        """Do what is done once per input, before batches are made: a reader reads."""
        return content

    def split(self, content: Content, *, overlap: int = 32) -> list[Content]:
        """Cut content that is longer than the model takes into pieces that overlap.

        Args:
            content: What `prepare` returned.
            overlap: Tokens that a piece shares with the one before it.
        """
        return [content]

    def supports(self, modality: str) -> bool:
        """Whether it takes this modality, or this combination of them."""
        return modality in self.modalities

    def reads(self, modality: str) -> bool:
        """Whether this modality becomes a vector through words read from it."""
        return False

    def batch_key(self, content: Content) -> Hashable:
        """Contents with the same key can be in one batch."""
        return modality_name(content)

    def lengths(self, contents: Sequence[Content]) -> list[int]:
        """Tokens each content takes, or a number that grows with them: batches are made by it."""
        return [1] * len(contents)


def read_json(path: Path, *, default: Any = None) -> Any:
    """Read a JSON file of a checkpoint.

    Args:
        path: The file.
        default: Returned when there is no such file; None makes that an error. What is read must
            be of its kind.

    Raises:
        CheckpointError: It is missing and has no default, or it is not JSON.
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
        raise CheckpointError(f"{path} holds no JSON object of settings, but {value!r:.60}.")
    return value


def inside(folder: Path, path: str) -> Path:
    """The place of a part of a checkpoint, which must lie in its folder.

    Raises:
        CheckpointError: It does not.
    """
    place = folder / path
    if not place.resolve().is_relative_to(folder.resolve()):
        raise CheckpointError(f"The checkpoint {folder} names {path!r}, which is outside of it.")
    return place


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file of a checkpoint."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
