"""The settings of a checkpoint's processor: the arguments it is called with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from jinja2 import Environment
from tokenizers import normalizers
from transformers import PreTrainedTokenizerBase

from mm_rag.checkpoints.transformer_config import length_in, object_in

# Errors of processors on inputs that they cannot use.
REFUSALS = (ValueError, TypeError, IndexError, KeyError, RuntimeError)

# Arguments for texts that any of the settings may contain.
SIZES = ("padding", "truncation", "max_length")

# Settings that may contain the length of texts.
_WITH_LENGTH = ("text", "common", "chat_template")

# The keys of a Transformer's configuration with the lengths by task.
_TASK_LENGTHS = {"query": "query_length", "document": "document_length"}

# An argument of the model, which sentence-transformers stores among those of the tokenizer.
_LOGITS_TO_KEEP = "logits_to_keep"


@dataclass(frozen=True, kw_only=True)
class ProcessorSettings:
    """How the processor of a checkpoint is called.

    Attributes:
        by_modality: The `processing_kwargs`: arguments for `text`, `image`, `audio` and `video`,
            `common` for all of them, `chat_template` for the template.
        lower_case: Convert all texts to lower case, also those of prompts and templates.
        task_lengths: Tokens at which texts are truncated for a task, such as `"query"`.
    """

    by_modality: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Any])
    lower_case: bool = False
    task_lengths: Mapping[str, int] = field(default_factory=dict[str, int])

    @classmethod
    def from_config(cls, saved: Mapping[str, Any]) -> Self:
        """Read them from the configuration of a Transformer.

        Raises:
            CheckpointError: A value is of another type.
        """
        settings = object_in(saved, "processing_kwargs")
        lengths = {task: length_in(saved, key) for task, key in _TASK_LENGTHS.items()}
        return cls(
            by_modality={name: object_in(settings, name) for name in settings},
            lower_case=bool(saved.get("do_lower_case", False)),
            task_lengths={task: length for task, length in lengths.items() if length},
        )

    @property
    def logits_to_keep(self) -> int:
        """The number of last tokens for which a generative model computes logits; 0 for all."""
        return self.by_modality.get("text", {}).get(_LOGITS_TO_KEEP, 1)

    def for_task(self, task: str | None, chat_template: str) -> ProcessorSettings:
        """The settings for a task, for its own length and a template that reads the task."""
        own: dict[str, dict[str, Any]] = {}
        if task and task in self.task_lengths:
            own["text"] = {"max_length": self.task_lengths[task]}
        if task and _mentions_task(chat_template):
            own["chat_template"] = {"task": task}
        if not own:
            return self
        merged = {name: {**own[name], **self.by_modality.get(name, {})} for name in own}
        return replace(self, by_modality={**self.by_modality, **merged})

    def without_length(self) -> ProcessorSettings:
        """The settings without lengths, so that the tokenizer's length is used."""
        settings = {
            name: {key: value for key, value in given.items() if key != "max_length"}
            if name in _WITH_LENGTH
            else given
            for name, given in self.by_modality.items()
        }
        return replace(self, by_modality=settings, task_lengths={})

    def arguments(self, padding: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """The arguments of a processor of several modalities, by modality.

        Args:
            padding: How texts are padded, unless the checkpoint sets it.
        """
        given = self.by_modality
        text = {"truncation": "longest_first", **padding, **given.get("text", {})}
        text.pop(_LOGITS_TO_KEEP, None)
        return {
            "text_kwargs": text,
            "images_kwargs": dict(given.get("image", {})),
            "audio_kwargs": {"padding": True, **given.get("audio", {})},
            "videos_kwargs": dict(given.get("video", {})),
            "common_kwargs": {"return_tensors": "pt", **given.get("common", {})},
        }

    def template(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The arguments of the chat template, and those among them that are for texts."""
        given = dict(self.by_modality.get("chat_template", {}))
        sizes = {name: given.pop(name) for name in SIZES if name in given}
        return given, sizes

    def config(self, padding: Mapping[str, Any]) -> dict[str, Any]:
        """The settings in sentence-transformers' format, including an unusual padding."""
        given: dict[str, Any] = dict(self.by_modality)
        if padding["padding"] == "max_length":
            given["text"] = {**padding, **given.get("text", {})}
        config: dict[str, Any] = {"processing_kwargs": given} if given else {}
        config |= {f"{task}_length": length for task, length in self.task_lengths.items()}
        return config | ({"do_lower_case": True} if self.lower_case else {})


def _mentions_task(chat_template: str) -> bool:
    """Whether a template reads a variable `task`."""
    tokens = Environment().lex(chat_template)  # accepts the tags that transformers adds to Jinja
    return any(kind == "name" and value == "task" for _, kind, value in tokens)


def lower_case(tokenizer: PreTrainedTokenizerBase) -> None:
    """Make a tokenizer convert texts to lower case first, except for special tokens."""
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return
    before: Any = backend.normalizer
    steps: list[Any] = [*before] if isinstance(before, normalizers.Sequence) else [before]
    if not any(isinstance(step, normalizers.Lowercase) for step in steps):
        steps = [normalizers.Lowercase(), *filter(None, steps)]
        backend.normalizer = normalizers.Sequence(steps)
