"""Transformer: a model of the transformers library as a module."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Generator, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from mm_rag.attention import TreeAttentionUnsupported
from mm_rag.checkpoints.config_files import write_json
from mm_rag.checkpoints.modality import (
    GENERATIVE,
    Methods,
    Task,
    infer_methods,
    read_methods,
    text_methods,
)
from mm_rag.checkpoints.options import PretrainedOptions
from mm_rag.checkpoints.pretrained import load_pretrained, no_progress_bar, positions_of
from mm_rag.checkpoints.transformer_config import merged_options, read_config
from mm_rag.content import Chat, Content, Text, modality_name, parts_of
from mm_rag.errors import CheckpointError, InputError, UnsupportedModality
from mm_rag.modules.module import InputModule, Routed
from mm_rag.preprocessing.chat_template import as_messages
from mm_rag.preprocessing.features import OURS, Features
from mm_rag.preprocessing.processor import Processor
from mm_rag.preprocessing.settings import ProcessorSettings

# Where configurations keep the size of their last layer.
_DIMENSIONS = (
    "hidden_size",
    "neck_hidden_sizes",
    "hidden_sizes",
    "embed_dims",
    "hidden_dim",
    "num_features",
)

# Text models that read the last of a fixed number of positions, even if it is padding.
_READ_LAST = {"siglip", "siglip_text_model", "siglip2", "siglip2_text_model"}

_LOGITS_TO_KEEP = "logits_to_keep"


class Transformer(InputModule):
    """A transformers model with its tokenizer or processor.

    Args:
        model: The model.
        processor: Makes its tensors out of Content.
        methods: Which of its methods takes which modality.
        output_name: The name of its result in the features.
        task: What it was loaded for, such as `"feature-extraction"`.
    """

    type_name = "sentence_transformers.base.modules.transformer.Transformer"
    config_file = "sentence_bert_config.json"

    def __init__(
        self,
        model: PreTrainedModel,
        processor: Processor,
        *,
        methods: Methods,
        output_name: str = "token_embeddings",
        task: str = "feature-extraction",
    ) -> None:
        super().__init__()
        self.model = model
        self.processor = processor
        self.methods = methods
        self.output_name = output_name
        self.task = task
        # Copies that differ in their processor, by the task of an input such as "query".
        self._variants: dict[str | None, Self] = {}

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities it takes; with `"message"`, any of the others together, too."""
        return tuple(self.methods)

    def supports(self, modality: str) -> bool:
        """Whether it takes this modality, or this combination of modalities."""
        names = modality.split("+") if "message" in self.methods else [modality]
        return all(name in self.methods for name in names)

    @property
    def out_dim(self) -> int:
        """The size of its vectors."""
        return _dimension(self.model.config, projected=self.output_name == "sentence_embedding")

    @property
    def device(self) -> torch.device:
        """Where its inputs and results go: to its weights, or the main device of a `device_map`."""
        device_map: dict[str, Any] | None = getattr(self.model, "hf_device_map", None)
        if device_map is None:
            return next((weight.device for weight in self.parameters()), torch.device("cpu"))
        # As in accelerate: parts that are kept in memory or on disk run on the main device.
        devices = [device for device in device_map.values() if device not in ("cpu", "disk")]
        return torch.device(devices[0] if devices else "cpu")

    @property
    def causal(self) -> bool:
        """Whether it is a language model, in which only the last token has seen the whole text."""
        config = self.model.config
        architectures = getattr(config, "architectures", None) or [""]
        return architectures[0].endswith("ForCausalLM") and getattr(config, "is_causal", True)

    @property
    def label(self) -> str:
        """Such as `Transformer(BertModel, 256 tokens)`."""
        limit = self.processor.limit
        tokens = f", {limit} tokens" if limit else ""
        return f"Transformer({type(self.model).__name__}{tokens})"

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of transformers; None if the model takes no text."""
        return self.processor.tokenizer

    def replace_tokenizer(self, tokenizer: Any) -> None:
        """Use another tokenizer of transformers from now on."""
        self._variants.clear()
        self.processor.replace_tokenizer(tokenizer)

    @property
    def max_length(self) -> int | None:
        """Tokens at which a text is truncated, by the tokenizer or by the checkpoint's settings."""
        return self.processor.limit

    @max_length.setter
    def max_length(self, limit: int) -> None:
        positions = positions_of(self.model)
        if positions is not None and limit > positions:
            raise InputError(
                f"{type(self.model).__name__} has {positions} positions for tokens; got {limit}."
            )
        self._variants.clear()
        self.processor.set_max_length(limit)

    @property
    def vocabulary(self) -> Mapping[str, int]:
        """The tokenizer's token ids by token."""
        tokenizer = self.processor.tokenizer
        return tokenizer.get_vocab() if tokenizer else {}

    def route(self, content: Content, task: str | None) -> Routed:
        """Choose the processor for the task, which may have a length or a template of its own."""
        if task not in self._variants:
            processor = self.processor.for_task(task)
            variant = self if processor is self.processor else copy.copy(self)
            variant.processor = processor
            self._variants[task] = variant
        return Routed(content=content, preprocessor=self._variants[task], steps=(self,))

    def split(self, content: Content, *, overlap: int = 32) -> list[Content]:
        """Split a text that is longer than the model takes, at the beginnings of words."""
        tokenizer, limit = self.processor.tokenizer, self.processor.limit
        if not isinstance(content, Text) or tokenizer is None or limit is None:
            return [content]
        return [Text(p) for p in _split_text(tokenizer, content.text, limit, overlap)]

    def batch_key(self, content: Content) -> Hashable:
        """Separate modalities, unless all become chat messages, and separate pairs of texts."""
        paired = isinstance(content, Text) and content.second is not None
        return self._kind(content), paired and "message" not in self.methods

    def _kind(self, content: Content) -> str:
        return "message" if "message" in self.methods else modality_name(content)

    def lengths(self, contents: Sequence[Content]) -> list[int]:
        """Tokens of texts; an estimate for media."""
        return self.processor.lengths(contents)

    def preprocess(self, contents: Sequence[Content], *, prompt: str = "") -> Features:
        """Make one batch.

        Raises:
            UnsupportedModality: The model does not take one of the contents.
        """
        for content in contents:
            self._check(content)
        kind = self._kind(contents[0])
        if kind == "message":
            contents = [self._as_chat(content) for content in contents]
        return self.processor.batch(contents, kind=kind, prompt=prompt)

    def _check(self, content: Content) -> None:
        shown = [part.modality for part in parts_of(content) if isinstance(content, Chat)]
        for kind in (self._kind(content), *shown):
            if kind not in self.methods:
                raise UnsupportedModality(
                    f"{type(self.model).__name__} does not take {kind.replace('+', ' with ')}; "
                    f"it takes {', '.join(self.modalities)}."
                )

    def _as_chat(self, content: Content) -> Content:
        """A pair of texts as a turn with the query and one with the document; others unchanged."""
        if not isinstance(content, Text) or content.second is None:
            return content
        try:
            self.processor.chat_template.check_pairs()
        except CheckpointError as error:
            raise UnsupportedModality(f"This model takes no pairs of texts: {error}") from error
        return as_messages((Text(content.text), Text(content.second)))

    def forward(self, features: Features) -> Features:
        """Run the model's method for this kind of input, and add its result as `output_name`."""
        method = self.methods[features.kind]
        call: Any = getattr(self.model, method.name)
        extra: dict[str, Any] = {"return_dict": True}
        if "hidden_states" in method.output:
            extra["output_hidden_states"] = True
        if self.task in GENERATIVE:
            extra[_LOGITS_TO_KEEP] = self.processor.settings.logits_to_keep
        with _errors_of(self.model), keeping_logits(self.model, {**extra, **features}) as given:
            made = call(**_accepted(call, given))
            result = _at(made, method.output)
        if self.output_name == "sentence_embedding" and result.ndim != 2:
            raise CheckpointError(
                f"{method.name} of {type(self.model).__name__} gives no vector per input, but a "
                f"tensor of shape {tuple(result.shape)}."
            )
        result = result.to(self.device)  # a `device_map` may have put the last layer elsewhere
        # Convolutional towers return (batch, channels, height, width): each place is a token.
        features[self.output_name] = result.flatten(2).mT if result.ndim == 4 else result
        return features

    def config(self) -> dict[str, Any]:
        """The settings in the format of sentence-transformers 5.4 and later."""
        return {
            "transformer_task": self.task,
            "modality_config": {name: method.config() for name, method in self.methods.items()},
            "module_output_name": self.output_name,
        } | self.processor.config()

    def save(self, folder: Path) -> None:
        """Write the model, its processor and this module's configuration."""
        folder.mkdir(parents=True, exist_ok=True)
        with no_progress_bar():
            self.model.save_pretrained(folder)
        self.processor.save(folder)
        write_json(folder / self.config_file, self.config())

    @classmethod
    def load(cls, folder: Path, options: PretrainedOptions) -> Self:
        """Load it from a checkpoint of sentence-transformers.

        Raises:
            CheckpointError: Weights are missing, or transformers does not know the architecture.
        """
        saved = read_config(folder)
        task = saved.get("transformer_task", "feature-extraction")
        options = merged_options(options, saved, folder)
        model, hf_processor = load_pretrained(folder, task, options)
        if "modality_config" in saved:
            methods = read_methods(saved["modality_config"], model, hf_processor)
            output_name = saved.get("module_output_name", "token_embeddings")
        else:
            methods, output_name = text_methods(task)  # from before version 5.4
        settings = ProcessorSettings.from_config(saved)
        processor = _processor(model, hf_processor, methods, options, settings)
        return cls(model, processor, methods=methods, output_name=output_name, task=task)

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        options: PretrainedOptions | None = None,
        *,
        task: Task = "feature-extraction",
    ) -> Self:
        """Load it from a plain checkpoint of transformers, and infer which modalities it takes.

        Args:
            folder: The folder of the checkpoint.
            options: How it is loaded.
            task: What the model is for: `"sequence-classification"` for a reranker that returns
                scores, `"text-generation"` or `"any-to-any"` for one that says "yes" or "no".

        Raises:
            CheckpointError: Weights are missing, or transformers does not know the architecture.
        """
        options = options or PretrainedOptions()
        model, hf_processor = load_pretrained(Path(folder), task, options)
        methods, output_name = infer_methods(model, hf_processor, task)
        processor = _processor(model, hf_processor, methods, options, ProcessorSettings())
        return cls(model, processor, methods=methods, output_name=output_name, task=task)


class LegacyCLIP:
    """CLIP in the layout from before sentence-transformers 5.4: the folder `0_CLIPModel`."""

    def load(self, folder: Path, options: PretrainedOptions) -> Transformer:
        """Load the folder as a plain transformers checkpoint; it is saved in today's layout.

        Raises:
            CheckpointError: Weights are missing, or transformers does not know the architecture.
        """
        return Transformer.from_pretrained(folder, options)


def _processor(
    model: PreTrainedModel,
    hf_processor: Any,
    methods: Methods,
    options: PretrainedOptions,
    settings: ProcessorSettings,
) -> Processor:
    text = getattr(model.config, "text_config", None)
    model_types = {model.config.model_type, getattr(text, "model_type", "")}
    return Processor(
        hf_processor,
        message_format=methods["message"].format if "message" in methods else None,
        settings=settings,
        policy=options.policy,
        always_pads=bool(model_types & _READ_LAST),
    )


def _accepted(method: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that a method declares; models refuse others."""
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
    """The value at a path inside a model's output."""
    for step in path:
        if isinstance(step, str) and not isinstance(result, Mapping):
            result = getattr(result, step)  # Chinese-CLIP's outputs have attributes only
        else:
            result = result[step]
    return result


@contextlib.contextmanager
def _errors_of(model: PreTrainedModel) -> Generator[None]:
    """Translate the errors of a model on tensors that it cannot use."""
    try:
        yield
    except (torch.OutOfMemoryError, TreeAttentionUnsupported):
        raise
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError) as error:
        name, reason = type(model).__name__, f"{type(error).__name__}: {error}"
        if str(model.device) != "cpu" and "CUDA error" in str(error):
            hint = "The GPU may report it of an earlier step; device='cpu' shows where it is."
        elif "device" in str(error) and "same device" in str(error):
            hint = "Parts of the model are on different devices."
        else:
            hint = (
                "Either its files are of different models or versions, or this version of "
                "transformers runs it otherwise."
            )
        raise CheckpointError(f"The model {name} failed on this input: {reason}. {hint}") from error


def _dimension(config: Any, *, projected: bool) -> int:
    """The size of a model's vectors; `projected` if it returns one vector per input."""
    inner = [getattr(config, name, None) for name in ("text_config", *config.sub_configs)]
    for part in (config, *filter(None, inner)):
        for name in (*(["projection_dim"] if projected else []), *_DIMENSIONS):
            size = getattr(part, name, None)
            if size:
                return size[-1] if isinstance(size, list) else size
    raise CheckpointError(f"Cannot tell the dimension of a {type(config).__name__}.")


def keeps_logits(model: PreTrainedModel) -> bool:
    """Whether `keeping_logits` can choose the tokens for which a model computes logits."""
    return _declares_logits_to_keep(model) or model.get_output_embeddings() is not None


@contextlib.contextmanager
def keeping_logits(
    model: PreTrainedModel, given: Mapping[str, Any]
) -> Generator[Mapping[str, Any]]:
    """Compute the logits of the tokens that `logits_to_keep` selects, and of no others.

    A model that does not declare this argument, such as Qwen2.5-Omni's thinker, ignores it and
    computes the logits of every token: gigabytes, of which one token is used. A hook then passes
    only the selected tokens to its head. The model is changed meanwhile, so no other thread may run
    it.

    Args:
        model: A language model.
        given: The arguments of its forward: `logits_to_keep` is a number of last tokens, 0 for all,
            or positions of tokens, shape (tokens,).

    Yields:
        The arguments to call its forward with instead.
    """
    head = None if _declares_logits_to_keep(model) else model.get_output_embeddings()
    if head is None or _LOGITS_TO_KEEP not in given:
        yield given
        return
    kept: int | Tensor = given[_LOGITS_TO_KEEP]
    positions = slice(-kept, None) if isinstance(kept, int) else kept

    def select(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden, *more = inputs
        return hidden[:, positions], *more

    hook = head.register_forward_pre_hook(select)
    try:
        yield {name: value for name, value in given.items() if name != _LOGITS_TO_KEEP}
    finally:
        hook.remove()


def _declares_logits_to_keep(model: PreTrainedModel) -> bool:
    return _LOGITS_TO_KEEP in inspect.signature(model.forward).parameters


def _split_text(tokenizer: Any, text: str, limit: int, overlap: int) -> list[str]:
    """Split a text into pieces of at most `limit` tokens, special ones included.

    Pieces begin where words begin, and share `overlap` tokens, or a few more, with the one before.
    """
    size = limit - tokenizer.num_special_tokens_to_add()
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    spans: list[tuple[int, int]] = encoded["offset_mapping"]
    words: list[int | None] = encoded.word_ids(0)
    pieces: list[str] = []
    start = 0
    while len(spans) - start > size:
        stop = _word_start(words, start + size, after=start)
        pieces.append(text[spans[start][0] : spans[stop - 1][1]])
        start = _word_start(words, stop - overlap, after=start)
    return [*pieces, text[spans[start][0] :] if spans else text]


def _word_start(words: Sequence[int | None], position: int, *, after: int) -> int:
    """The last word start up to `position`, or `position` if there is none `after`."""
    start = max(position, after + 1)
    while start > after + 1 and words[start] == words[start - 1]:
        start -= 1
    return start if start > after + 1 else max(position, after + 1)
