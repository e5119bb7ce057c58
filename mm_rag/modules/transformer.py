"""Transformer: a model of the transformers library as a module."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Generator, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from transformers import PreTrainedModel

from mm_rag.attention import TreeRefused
from mm_rag.checkpoints.modality import (
    GENERATIVE,
    Methods,
    Task,
    infer_methods,
    read_methods,
    text_methods,
)
from mm_rag.checkpoints.placement import input_device
from mm_rag.checkpoints.pretrained import load_pretrained, no_progress_bar, positions_of
from mm_rag.checkpoints.saved_config import merged_options, processing_settings, read_config
from mm_rag.content import Chat, Content, Text, modality_name, parts_of
from mm_rag.errors import CheckpointError, InputError, UnsupportedModality
from mm_rag.modules.kept_logits import keeping_logits
from mm_rag.modules.module import OURS, Features, InputModule, LoadOptions, write_json
from mm_rag.modules.windows import split_text
from mm_rag.preprocessing.chat_template import check_pairs
from mm_rag.preprocessing.pairs import as_messages
from mm_rag.preprocessing.processor import Processing

# Where configurations keep the size of their last layer.
_DIMENSIONS = (
    "hidden_size",
    "neck_hidden_sizes",
    "hidden_sizes",
    "embed_dims",
    "hidden_dim",
    "num_features",
)


# Text models that read the last of a fixed number of positions, whatever their tokenizer masks.
_READ_LAST = {"siglip", "siglip_text_model", "siglip2", "siglip2_text_model"}


class Transformer(InputModule):
    """A transformers model with its tokenizer or processor.

    Args:
        model: The model.
        processing: Makes its tensors out of Content.
        methods: Which of its methods takes which modality.
        output_name: What the result is called in the features.
        task: What it was loaded for.
    """

    type_name = "sentence_transformers.base.modules.transformer.Transformer"
    config_file = "sentence_bert_config.json"

    def __init__(
        self,
        model: PreTrainedModel,
        processing: Processing,
        *,
        methods: Methods,
        output_name: str = "token_embeddings",
        task: str = "feature-extraction",
    ) -> None:
        super().__init__()
        self.model = model
        self.processing = processing
        self.methods = methods
        self.output_name = output_name
        self.task = task

    @property
    def modalities(self) -> tuple[str, ...]:
        """What it takes; a model that takes `"message"` takes any of them together too."""
        return tuple(self.methods)

    def supports(self, modality: str) -> bool:
        """Chat messages carry several contents together."""
        names = modality.split("+") if "message" in self.methods else [modality]
        return all(name in self.methods for name in names)

    @property
    def gives(self) -> int:
        """The dimension of its vectors."""
        return _dimension(self.model.config, projected=self.output_name == "sentence_embedding")

    @property
    def device(self) -> torch.device:
        """Where its inputs and results go: where its weights are, or as a `device_map` says."""
        return input_device(self.model)

    @property
    def causal(self) -> bool:
        """Whether it is a language model whose last token has seen the whole text."""
        config = self.model.config
        architectures = getattr(config, "architectures", None) or [""]
        return architectures[0].endswith("ForCausalLM") and getattr(config, "is_causal", True)

    @property
    def label(self) -> str:
        """Such as `Transformer(BertModel, 256 tokens)`."""
        limit = self.processing.limit
        tokens = f", {limit} tokens" if limit else ""
        return f"Transformer({type(self.model).__name__}{tokens})"

    def at(self, task: str | None) -> Self:
        """The same model, with what its processing does for a task."""
        processing = self.processing.at(task)
        if processing is self.processing:
            return self
        transformer = copy.copy(self)
        transformer.processing = processing
        return transformer

    def batch_key(self, content: Content) -> Hashable:
        """Everything together as chat messages, or one modality per batch, and pairs apart."""
        paired = isinstance(content, Text) and content.second is not None
        return self._kind(content), paired and "message" not in self.methods

    def _kind(self, content: Content) -> str:
        return "message" if "message" in self.methods else modality_name(content)

    def lengths(self, contents: Sequence[Content]) -> list[int]:
        """Tokens of texts; an estimate for media."""
        return self.processing.lengths(contents)

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, of transformers; None where it reads no text."""
        return self.processing.tokenizer

    def replace_tokenizer(self, tokenizer: Any) -> None:
        """Use another tokenizer of transformers from now on."""
        self.processing.replace_tokenizer(tokenizer)

    @property
    def max_length(self) -> int | None:
        """Tokens that a text is cut at, by the tokenizer or by the checkpoint's own settings."""
        return self.processing.limit

    @max_length.setter
    def max_length(self, limit: int) -> None:
        positions = positions_of(self.model)
        if positions is not None and limit > positions:
            raise InputError(
                f"{type(self.model).__name__} has {positions} positions for tokens; got {limit}."
            )
        self.processing.cut_at(limit)

    @property
    def vocabulary(self) -> Mapping[str, int]:
        """The tokenizer's."""
        tokenizer = self.processing.tokenizer
        return tokenizer.get_vocab() if tokenizer else {}

    def split(self, content: Content, *, overlap: int = 32) -> list[Content]:
        """Cut a text that is longer than the model takes."""
        tokenizer, limit = self.processing.tokenizer, self.processing.limit
        if not isinstance(content, Text) or tokenizer is None or limit is None:
            return [content]
        return [Text(p) for p in split_text(tokenizer, content.text, limit=limit, overlap=overlap)]

    def preprocess(self, contents: Sequence[Content], *, prompt: str = "") -> Features:
        """Make one batch.

        Raises:
            UnsupportedModality: The model does not take this.
        """
        for content in contents:
            self._check(content)
        kind = self._kind(contents[0])
        if kind == "message":
            contents = [self._as_chat(content) for content in contents]
        return self.processing.batch(contents, kind=kind, prompt=prompt)

    def _as_chat(self, content: Content) -> Content:
        """A pair of texts as a turn of the query and one of the document; others as they are."""
        if not isinstance(content, Text) or content.second is None:
            return content
        try:
            check_pairs(self.processing)
        except CheckpointError as error:
            raise UnsupportedModality(f"This model takes no pairs of texts: {error}") from error
        return as_messages((Text(content.text), Text(content.second)))

    def _check(self, content: Content) -> None:
        shown = [part.modality for part in parts_of(content) if isinstance(content, Chat)]
        for kind in (self._kind(content), *shown):
            if kind not in self.methods:
                raise UnsupportedModality(
                    f"{type(self.model).__name__} does not take {kind.replace('+', ' with ')}; "
                    f"it takes {', '.join(self.modalities)}."
                )

    def forward(self, features: Features) -> Features:
        """Run the method of this kind of input, and keep its result under `output_name`."""
        method = self.methods[features.kind]
        call: Any = getattr(self.model, method.name)
        extra: dict[str, Any] = {"return_dict": True}
        if "hidden_states" in method.output:
            extra["output_hidden_states"] = True
        if self.task in GENERATIVE:
            extra["logits_to_keep"] = self.processing.settings.logits_to_keep
        with _told(self.model), keeping_logits(self.model, {**extra, **features}) as given:
            made = call(**_accepted(call, given))
            result = _at(made, method.output)
        if self.output_name == "sentence_embedding" and result.ndim != 2:
            raise CheckpointError(
                f"{method.name} of {type(self.model).__name__} gives no vector per input, but a "
                f"tensor of shape {tuple(result.shape)}."
            )
        result = result.to(self.device)  # a `device_map` may have put the last layer elsewhere
        # Convolutional towers give (batch, channels, height, width): their places are the tokens.
        features[self.output_name] = result.flatten(2).mT if result.ndim == 4 else result
        return features

    def config(self) -> dict[str, Any]:
        """In the format of sentence-transformers 5.4 and later."""
        return {
            "transformer_task": self.task,
            "modality_config": {name: method.config() for name, method in self.methods.items()},
            "module_output_name": self.output_name,
        } | self.processing.config()

    def save(self, folder: Path) -> None:
        """Write the model, its processor and this module's configuration."""
        folder.mkdir(parents=True, exist_ok=True)
        with no_progress_bar():
            self.model.save_pretrained(folder)
        self.processing.save(folder)
        write_json(folder / self.config_file, self.config())

    @classmethod
    def load(cls, folder: Path, options: LoadOptions) -> Self:
        """Load it from a checkpoint of sentence-transformers.

        Raises:
            CheckpointError: It has no weights, or no architecture that transformers knows.
        """
        saved = read_config(folder)
        task = saved.get("transformer_task", "feature-extraction")
        options = merged_options(options, saved, folder)
        model, processor = load_pretrained(folder, task, options)
        if "modality_config" in saved:
            methods = read_methods(saved["modality_config"], model, processor)
            output_name = saved.get("module_output_name", "token_embeddings")
        else:
            methods, output_name = text_methods(task)  # from before version 5.4
        processing = Processing(
            processor,
            message_format=methods["message"].format if "message" in methods else None,
            settings=processing_settings(saved),
            policy=options.policy,
            always_pads=_reads_last_position(model),
        )
        return cls(model, processing, methods=methods, output_name=output_name, task=task)

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        options: LoadOptions | None = None,
        *,
        task: Task = "feature-extraction",
    ) -> Self:
        """Load it from a plain checkpoint of transformers, and find out what it takes.

        Args:
            folder: Of the checkpoint.
            options: How it is loaded.
            task: What its model is to do: `"sequence-classification"` for a reranker that gives
                scores, `"text-generation"` or `"any-to-any"` for one that says "yes" or "no".

        Raises:
            CheckpointError: It has no weights, or no architecture that transformers knows.
        """
        options = options or LoadOptions()
        model, processor = load_pretrained(Path(folder), task, options)
        methods, output_name = infer_methods(model, processor, task)
        style = methods["message"].format if "message" in methods else None
        processing = Processing(
            processor,
            message_format=style,
            policy=options.policy,
            always_pads=_reads_last_position(model),
        )
        return cls(model, processing, methods=methods, output_name=output_name, task=task)


def _reads_last_position(model: PreTrainedModel) -> bool:
    """Whether it makes a text's vector of its last position, padding or not."""
    text = getattr(model.config, "text_config", None)
    return {model.config.model_type, getattr(text, "model_type", "")} & _READ_LAST != set()


def _accepted(method: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that a method takes; models refuse what they do not know."""
    parameters = inspect.signature(method).parameters
    takes_all = method.__name__ == "forward" and any(
        parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()
    )
    return {
        name: value
        for name, value in given.items()
        if name in parameters or (takes_all and name not in OURS)
    }


def _at(result: Any, path: Sequence[str | int]) -> Any:
    """What lies at a path inside of a model's output."""
    for step in path:
        if isinstance(step, str) and not isinstance(result, Mapping):
            result = getattr(result, step)  # Chinese-CLIP's outputs have attributes only
        else:
            result = result[step]
    return result


@contextlib.contextmanager
def _told(model: PreTrainedModel) -> Generator[None]:
    """Translate what a model raises on tensors that it cannot use."""
    try:
        yield
    except (torch.OutOfMemoryError, TreeRefused):
        raise
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError) as error:
        name, reason = type(model).__name__, f"{type(error).__name__}: {error}"
        if str(model.device) != "cpu" and "CUDA error" in str(error):
            hint = "The GPU reports it, maybe of an earlier step; device='cpu' shows where it is."
        elif "device" in str(error) and "same device" in str(error):
            hint = "Parts of the model are on different devices."
        else:
            hint = (
                "Either its files are of different models or versions, or this version of "
                "transformers runs it otherwise."
            )
        raise CheckpointError(f"The model {name} failed on this input: {reason}. {hint}") from error


def _dimension(config: Any, *, projected: bool) -> int:
    """The size of a model's vectors, `projected` where it gives one vector per input."""
    inner = [getattr(config, name, None) for name in ("text_config", *config.sub_configs)]
    for part in (config, *filter(None, inner)):
        for name in (*(["projection_dim"] if projected else []), *_DIMENSIONS):
            size = getattr(part, name, None)
            if size:
                return size[-1] if isinstance(size, list) else size
    raise CheckpointError(f"Cannot tell the dimension of a {type(config).__name__}.")
