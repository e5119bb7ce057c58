"""The modalities that a transformers model takes, and the method for each of them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias, get_args, get_type_hints

from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForMultimodalLM,
    AutoModelForSequenceClassification,
    BaseVideoProcessor,
    FeatureExtractionMixin,
    ImageProcessingMixin,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    ProcessorMixin,
)
from transformers.utils.generic import ModelOutput

from mm_rag.content import MODALITIES
from mm_rag.errors import CheckpointError

Task: TypeAlias = Literal[
    "feature-extraction", "sequence-classification", "text-generation", "any-to-any", "fill-mask"
]

# The class that loads a model for a task; below, its output, and the name of that in the features.
AUTO_MODELS: Mapping[str, Any] = {
    "feature-extraction": AutoModel,
    "sequence-classification": AutoModelForSequenceClassification,
    "text-generation": AutoModelForCausalLM,
    "any-to-any": AutoModelForMultimodalLM,
    "fill-mask": AutoModelForMaskedLM,
}

# Tasks of generative models: their last token is read, so texts are padded on the left.
GENERATIVE = frozenset({"text-generation", "any-to-any"})
_OUTPUTS: Mapping[str, tuple[str, str]] = {
    "feature-extraction": ("last_hidden_state", "token_embeddings"),
    "sequence-classification": ("logits", "scores"),
    "text-generation": ("logits", "causal_logits"),
    "any-to-any": ("logits", "causal_logits"),
    "fill-mask": ("logits", "token_embeddings"),
}
# Models whose modalities differ from those of their processors.
_TAKEN: Mapping[str, list[str]] = {
    "blip": ["text", "image", "image+text"],
    "git": ["text", "image+text"],
    "grounding-dino": ["image+text"],
    "hubert": ["audio"],
    "kosmos-2": ["image+text"],
    "moonshine": ["audio"],
    "paligemma": ["image+text"],
    "sew": ["audio"],
    "sew-d": ["audio"],
    "unispeech": ["audio"],
    "unispeech-sat": ["audio"],
    "vilt": ["image+text"],
    "wav2vec2": ["audio"],
    "wav2vec2-conformer": ["audio"],
    "wavlm": ["audio"],
    "whisper": ["audio"],
}
# Models whose methods for one modality return a vector per token or patch; its name.
_TOKEN_METHODS: Mapping[str, str] = {"blip-2": "last_hidden_state", "flava": "pooler_output"}
# Models that sentence-transformers loads, but whose inputs are not supported here.
_REFUSED: Mapping[str, str] = {
    "layoutlmv3": "the words of a page with their places on it, as OCR finds them",
    "t5gemma2": "a text for its decoder, as its encoder is not loaded alone",
    "udop": "the words of a page with their places on it, as OCR finds them",
}
# Models whose chat templates take bare values, although `message_format` would say otherwise.
_FLAT_MODELS = frozenset({"apertus", "deepseek_v3", "gpt_oss", "seed_oss"})
# Methods of transformers' models that make vectors of one modality.
_FEATURES = re.compile(r"get_\w+_features")
_KNOWN = frozenset({*MODALITIES, "message"})
_PROCESSOR_PARTS = {
    "tokenizer": "text",
    "image_processor": "image",
    "feature_extractor": "audio",
    "video_processor": "video",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method:
    """How a model takes one modality.

    Attributes:
        name: The model's method.
        output: The path to the result inside its return value, by names and positions:
            `("hidden_states", -1)`; empty for the return value itself.
        format: Of chat messages: content as a list of typed parts, or as a bare value.
    """

    name: str
    output: tuple[str | int, ...] = ()
    format: Literal["structured", "flat"] | None = None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Method:
        """Read an entry of `modality_config`.

        Raises:
            CheckpointError: The method or the name of its output is missing.
        """
        try:
            name, output = config["method"], config["method_output_name"]
            path = (output,) if isinstance(output, str) else tuple(output or ())
            return cls(name=str(name), output=path, format=config.get("format"))
        except (KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"An entry of modality_config is {config!r}; it needs 'method' and "
                "'method_output_name'."
            ) from error

    def config(self) -> dict[str, Any]:
        """Write an entry of `modality_config`."""
        output = self.output[0] if len(self.output) == 1 else list(self.output) or None
        entry: dict[str, Any] = {"method": self.name, "method_output_name": output}
        return entry | ({"format": self.format} if self.format else {})


Methods: TypeAlias = dict[str, Method]


def text_methods(task: str) -> tuple[Methods, str]:
    """The methods of checkpoints from before sentence-transformers 5.4, which take text only."""
    output, name = _OUTPUTS[task]
    return {"text": Method(name="forward", output=(output,))}, name


def read_methods(entries: Mapping[str, Any], model: PreTrainedModel, processor: Any) -> Methods:
    """Read the `modality_config` of a checkpoint; entries of unknown modalities are skipped.

    Raises:
        CheckpointError: It is not a dict, or names a method that the model lacks.
    """
    if not isinstance(entries, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise CheckpointError(f"modality_config is {entries!r}; it needs an entry per modality.")
    methods: Methods = {}
    for name, entry in entries.items():
        kinds = sorted(name.split("+"))
        if not _KNOWN.issuperset(kinds):
            continue
        method = Method.from_config(entry)
        if not _may_call(method, model):
            raise CheckpointError(
                f"modality_config names {method.name!r} and {method.output!r} for {name}. A "
                "checkpoint may have 'forward' called, and methods such as 'get_text_features'."
            )
        if not hasattr(model, method.name):
            raise CheckpointError(
                f"modality_config names the method {method.name!r} for {name}, but "
                f"{type(model).__name__} has none of this name."
            )
        if kinds == ["message"] and method.format not in ("structured", "flat"):  # or "auto"
            method = dataclasses.replace(method, format=message_format(model, processor))
        methods["+".join(kinds)] = method
    return methods


def _may_call(method: Method, model: PreTrainedModel) -> bool:
    """Whether a checkpoint may choose this method; others could change or save the model."""
    if any(str(step).startswith("_") for step in (method.name, *method.output)):
        return False
    own_code = not type(model).__module__.startswith("transformers.models.")  # trusted
    return own_code or method.name == "forward" or bool(_FEATURES.fullmatch(method.name))


def infer_methods(model: PreTrainedModel, processor: Any, task: str) -> tuple[Methods, str]:
    """Infer the modalities of a plain transformers checkpoint.

    Returns:
        The method of each modality, and the name of their result in the features.

    Raises:
        CheckpointError: The model's inputs or outputs are not supported.
    """
    output, name = _OUTPUTS[task]
    modalities = _modalities(processor)
    if task == "feature-extraction":
        modalities = _TAKEN.get(model.config.model_type, modalities)
    if why := _REFUSED.get(model.config.model_type):
        raise CheckpointError(f"{type(model).__name__} takes {why}: mm_rag does not load it.")
    fields = _output_fields(model.forward)
    tokens = _TOKEN_METHODS.get(model.config.model_type)
    if task == "feature-extraction" and tokens:
        names = {kind: f"get_{kind}_features" for kind in modalities}
        return {kind: Method(name=names[kind], output=(tokens,)) for kind in names}, name
    own = _own_methods(model, modalities) if task == "feature-extraction" else {}
    if fields is not None and output not in fields and own:
        return own, "sentence_embedding"
    methods = {modality: Method(name="forward", output=(output,)) for modality in modalities}
    if getattr(processor, "chat_template", None):
        style = message_format(model, processor)
        methods["message"] = Method(name="forward", output=(output,), format=style)
    if not methods or (fields is not None and output not in fields and name == "token_embeddings"):
        raise CheckpointError(
            f"{type(model).__name__} gives no {output}, and has no method such as "
            "get_text_features: mm_rag cannot make vectors with it."
        )
    return methods, name


def _own_methods(model: PreTrainedModel, modalities: list[str]) -> Methods:
    """The methods of models that return one vector per input: `get_image_features`, ..."""
    kinds = {modality: "multimodal" if "+" in modality else modality for modality in modalities}
    return {
        modality: _features_method(getattr(model, f"get_{kind}_features"))
        for modality, kind in kinds.items()
        if hasattr(model, f"get_{kind}_features")
    }


def message_format(model: PreTrainedModel, processor: Any) -> Literal["structured", "flat"]:
    """Infer from the code of a chat template whether it takes typed parts or bare values."""
    if model.config.model_type in _FLAT_MODELS:
        return "flat"
    template = getattr(processor, "chat_template", None)
    marks = ("content[0]", ".type", "'type'", '"type"', "message.content[")
    known = isinstance(template, str) and not any(mark in template for mark in marks)
    return "flat" if known else "structured"


def _modalities(processor: Any) -> list[str]:
    if isinstance(processor, ProcessorMixin):
        parts = processor.get_attributes()
        return [modality for part, modality in _PROCESSOR_PARTS.items() if part in parts]
    kinds = {
        "text": PreTrainedTokenizerBase,
        "audio": FeatureExtractionMixin,
        "video": BaseVideoProcessor,
        "image": ImageProcessingMixin,
    }
    return [modality for modality, kind in kinds.items() if isinstance(processor, kind)][:1]


def _features_method(method: Callable[..., Any]) -> Method:
    fields = _output_fields(method) or ()
    return Method(
        name=method.__name__, output=("pooler_output",) if "pooler_output" in fields else ()
    )


def _output_fields(method: Callable[..., Any]) -> list[str] | None:
    """The fields of the ModelOutput in a method's return annotation; None without one."""
    try:
        promised = get_type_hints(method).get("return")
    except (NameError, TypeError, AttributeError):  # annotations of custom code may not resolve
        return None
    for kind in (promised, *get_args(promised)):
        if isinstance(kind, type) and issubclass(kind, ModelOutput):
            return [field.name for field in dataclasses.fields(kind)]  # pyright: ignore[reportArgumentType]
    return None
