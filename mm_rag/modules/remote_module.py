"""Modules written for sentence-transformers, in a chain of ours.

What they have is its contract: `forward(features: dict)`, `save`, and in the first module
`preprocess` or `tokenize`. Two adapters make modules of them.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from mm_rag.content import Content, Image, Mixed, Text, modality_name
from mm_rag.errors import CheckpointError, UnsupportedModality
from mm_rag.media.image import open_image
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.modules.module import Features, InputModule, Module
from mm_rag.preprocessing.control_tokens import ControlTokens

_PLACE = re.compile(r"[a-z][a-z0-9+.-]+:/|(data|file):\S", re.IGNORECASE)


class CustomModule(Module):
    """A module of sentence-transformers' contract in a chain of ours.

    Args:
        network: What does the work.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.forward_kwargs = frozenset(getattr(network, "forward_kwargs", ()))

    @property
    def gives(self) -> int | None:
        """What it says, under any of the names that sentence-transformers had for it."""
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
        """Give it a plain dict, and take over what comes back."""
        given: dict[str, Any] = {**features, **features.extra}
        if features.prompt_length:
            given["prompt_length"] = features.prompt_length
        _take_over(self.network(given, **arguments), features)
        return features

    def save(self, folder: Path) -> None:
        """As it saves itself.

        Raises:
            CheckpointError: It cannot.
        """
        save = getattr(self.network, "save", None)
        if save is None:
            raise CheckpointError(f"{type(self.network).__name__} has no save(path).")
        folder.mkdir(parents=True, exist_ok=True)
        save(str(folder), **accepted(save, {"safe_serialization": True}))


class CustomInput(CustomModule, InputModule):
    """One that takes content: a str for text, a PIL image for a picture, a dict for several.

    Args:
        network: What does the work; it has `preprocess` or `tokenize`.
        policy: Limits on the pictures it is given.
    """

    def __init__(self, network: nn.Module, policy: MediaPolicy = DEFAULT_POLICY) -> None:
        super().__init__(network)
        self.policy = policy
        tokenizer: Any = getattr(network, "tokenizer", None)
        known = isinstance(tokenizer, PreTrainedTokenizerBase | Tokenizer)
        self._control = ControlTokens(tokenizer if known else None)

    @property
    def modalities(self) -> tuple[str, ...]:
        """What it says, as far as it is made here; text where it says nothing."""
        said: Sequence[Any] = getattr(self.network, "modalities", ("text",))
        names = ["+".join(sorted([name] if isinstance(name, str) else name)) for name in said]
        return tuple(name for name in names if {"text", "image"}.issuperset(name.split("+")))

    def lengths(self, contents: Sequence[Content]) -> list[int]:
        """Four characters for a token; its own tokenizer may have no way to ask."""
        return [len(c.text) // 4 + 1 if isinstance(c, Text) else 1 for c in contents]

    def preprocess(self, contents: Sequence[Content], *, prompt: str = "") -> Features:
        """Have it make its tensors.

        Raises:
            UnsupportedModality: It does not take this.
        """
        kind = modality_name(contents[0])
        if kind not in self.modalities:
            raise UnsupportedModality(
                f"{self.label} takes {', '.join(self.modalities)}, not {kind}."
            )
        call: Any = getattr(self.network, "preprocess", None) or cast("Any", self.network).tokenize
        values = [self._value(content) for content in contents]
        own = accepted(call, {"prompt": prompt or None})
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


def accepted(call: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the arguments that it has names for, or all where it takes any."""
    parameters = inspect.signature(call).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return dict(given)
    return {name: value for name, value in given.items() if name in parameters}


def _words(text: str) -> str:
    """A text that nobody takes for a place.

    Code of that contract is given files and addresses as str too, and opens them: with a space in
    front, which tokenizers drop, they are words.
    """
    if _PLACE.match(text):
        return f" {text}"
    try:
        return f" {text}" if "\0" not in text and Path(text).is_file() else text
    except OSError:  # too long for the name of a file
        return text


def _prompted(prompt: str, value: Any) -> Any:
    """A text with the prompt before it, or a pair of them with the prompt before the first."""
    return (prompt + value[0], value[1]) if isinstance(value, tuple) else prompt + value


def _take_over(made: Mapping[str, Any], features: Features) -> None:
    for name, value in made.items():
        if name == "prompt_length":
            features.prompt_length = int(value[0] if isinstance(value, Tensor) else value)
        elif isinstance(value, Tensor):
            features[name] = value
        else:
            features.extra[name] = value
