"""The contract of a model's modules.

A model is a chain of modules: the first one turns Content into `Features`, each following one turns
Features into Features. A new module needs `forward`; `config` if it has settings; `in_dim` and
`out_dim` if it changes the size of vectors.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch

from mm_rag.checkpoints.config_files import read_json, write_json
from mm_rag.checkpoints.options import PretrainedOptions
from mm_rag.checkpoints.weights import load_weights, save_weights
from mm_rag.content import Content, modality_name
from mm_rag.errors import CheckpointError, InputError
from mm_rag.preprocessing.features import Features


class Module(torch.nn.Module, ABC):
    """One step of a model, loaded from and saved to a folder of its own.

    Attributes:
        type_name: Its name in `modules.json`: the one of sentence-transformers' class if there is
            one, by default the dotted Python name. `register` makes a class loadable by this name.
        config_file: The file in its folder that holds its configuration.
        forward_kwargs: Arguments of `forward` that callers of `Encoder.encode` may set;
            `modules.json` may add some to an instance.
        code: Python files that its checkpoint must contain beside `modules.json`.
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
        """Add this module's results to `features`, and return them."""

    def run(self, features: Features, arguments: Mapping[str, Any]) -> Features:
        """Call the module with those of `arguments` that it declares in `forward_kwargs`."""
        own = {name: arguments[name] for name in self.forward_kwargs & arguments.keys()}
        return self(features, **own)

    def config(self) -> dict[str, Any]:
        """Return JSON settings from which `from_config` makes the same module, without weights."""
        return {}

    @property
    def in_dim(self) -> int | None:
        """The size of the vectors it takes; None for any size."""
        return None

    @property
    def out_dim(self) -> int | None:
        """The size of the vectors it returns; None if it keeps the size."""
        return None

    @property
    def out_dims(self) -> frozenset[int]:
        """All sizes that its vectors can have: several if routes differ."""
        return frozenset() if self.out_dim is None else frozenset([self.out_dim])

    @property
    def label(self) -> str:
        """One line for `print(encoder)`."""
        return type(self).__name__

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make a module from what `config` returned, or what sentence-transformers wrote."""
        return cls(**config)

    @classmethod
    def load(cls, folder: Path, options: PretrainedOptions) -> Self:
        """Load the module from its folder.

        Raises:
            CheckpointError: The folder does not contain such a module.
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
        """Write the module to its folder, which is created if it does not exist."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / self.config_file, self.config())
        if self.state_dict():
            save_weights(self, folder)


class InputModule(Module):
    """A module that takes Content, so that a chain can begin with it."""

    @property
    @abstractmethod
    def modalities(self) -> tuple[str, ...]:
        """The modalities it takes; several together are joined with `+`, sorted: `"image+text"`."""

    @abstractmethod
    def preprocess(self, contents: Sequence[Content], *, prompt: str = "") -> Features:
        """Make one batch of tensors on the CPU.

        Args:
            contents: Inputs with the same `batch_key`, as `route` returned them.
            prompt: An instruction that the model was trained with; goes before every content.
        """

    @property
    def takes_content(self) -> bool:
        """Whether a chain can begin with it: False for a `Router` of modules that cannot."""
        return True

    @property
    def vocabulary(self) -> Mapping[str, int]:
        """Token ids by token; empty without a tokenizer."""
        return {}

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, of transformers or of tokenizers; None if the module takes no text."""
        return None

    def replace_tokenizer(self, tokenizer: Any) -> None:
        """Use another tokenizer from now on.

        Raises:
            InputError: The module cannot use it.
        """
        raise InputError(f"{type(self).__name__} cannot be given another tokenizer.")

    @property
    def max_length(self) -> int | None:
        """Tokens at which a text is truncated; None if texts are not truncated."""
        return None

    @max_length.setter
    def max_length(self, limit: int) -> None:
        name = type(self).__name__
        raise InputError(f"{name} does not truncate texts, so max_seq_length cannot be set.")

    def supports(self, modality: str) -> bool:
        """Whether it takes this modality, or this combination of modalities."""
        return modality in self.modalities

    def encodes_as_text(self, modality: str) -> bool:
        """Whether media of this modality are encoded through the words read from them."""
        return False

    def read(self, content: Content) -> Content:
        """Add the words in media that are encoded as text; other contents stay as they are."""
        return content

    def route(self, content: Content, task: str | None) -> Routed:
        """Find the way of one input through this module.

        Slow for media that are encoded as text: their words are read here.

        Raises:
            UnsupportedModality: There is no route for the modality, or for the task.
        """
        return Routed(content=content, preprocessor=self, steps=(self,))

    def split(self, content: Content, *, overlap: int = 32) -> list[Content]:
        """Split content that is longer than the model takes into overlapping pieces.

        Args:
            content: As `route` returned it.
            overlap: Tokens that a piece shares with the one before it.
        """
        return [content]

    def batch_key(self, content: Content) -> Hashable:
        """Contents with equal keys may be in one batch."""
        return modality_name(content)

    def lengths(self, contents: Sequence[Content]) -> list[int]:
        """Tokens of each content, or an estimate, by which batches are planned."""
        return [1] * len(contents)


@dataclass(frozen=True, kw_only=True, eq=False)
class Routed:
    """One input with its way through a model.

    Attributes:
        content: The input, as words if it is encoded as text.
        preprocessor: Makes the input's tensors.
        steps: The modules that then run on them, in order.
    """

    content: Content
    preprocessor: InputModule
    steps: tuple[Module, ...]

    @property
    def batch_key(self) -> Hashable:
        """Inputs with equal keys take the same way and may be in one batch."""
        return (*map(id, self.steps), self.preprocessor.batch_key(self.content))
