"""Load transformers models and processors from a folder, and check that nothing is missing."""

from __future__ import annotations

import contextlib
import importlib
import pickle
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoConfig,
    AutoProcessor,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from mm_rag.checkpoints.adapter import apply_adapter, base_folder, is_adapter
from mm_rag.checkpoints.config_files import read_json
from mm_rag.checkpoints.modality import AUTO_MODELS, GENERATIVE
from mm_rag.checkpoints.options import PretrainedOptions
from mm_rag.checkpoints.transformer_config import restrict_config
from mm_rag.checkpoints.weights import listed
from mm_rag.errors import CheckpointError, MissingExtra

# Errors of transformers on damaged files and invalid settings.
_FAULTS = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    pickle.UnpicklingError,
    SafetensorError,
    StrictDataclassError,
)

# Parts of models that checkpoints may lack: vectors do not depend on them.
_NEVER_READ = frozenset({"pooler", "masked_spec_embed", "logit_scale", "logit_bias"})

# One of these files is beside every tokenizer and processor.
_PROCESSORS = ("tokenizer_config.json", "processor_config.json", "preprocessor_config.json")

# Files that contain a tokenizer's vocabulary.
_VOCABULARIES = ("tokenizer.json", "vocab.*", "*.model", "*.spm", "*.tiktoken", "tekken.json")

# Encoder-decoders, of which only the encoder is loaded. Checkpoints hold the whole model, or only
# the encoder, as sentence-t5 does and as `save` writes it. transformers loads these encoders from
# the weights of the whole model:
_ENCODER_MODELS: Mapping[str, str] = {
    "longt5": "LongT5EncoderModel",
    "mt5": "MT5EncoderModel",
    "switch_transformers": "SwitchTransformersEncoderModel",
    "t5": "T5EncoderModel",
    "t5gemma": "T5GemmaEncoderModel",
    "udop": "UdopEncoderModel",
    "umt5": "UMT5EncoderModel",
}

# The weights of these have other names in the whole model:
_ENCODERS: Mapping[str, str] = {
    "blenderbot": "BlenderbotEncoder",
    "blenderbot-small": "BlenderbotSmallEncoder",
    "m2m_100": "M2M100Encoder",
    "marian": "MarianEncoder",
    "moonshine": "MoonshineEncoder",
    "nllb-moe": "NllbMoeEncoder",
    "pegasus": "PegasusEncoder",
    "pegasus_x": "PegasusXEncoder",
    "prophetnet": "ProphetNetEncoder",
    "whisper": "WhisperEncoder",
}

# The encoder's name of the word embeddings that it shares with the decoder; else `embed_tokens`.
_WORDS: Mapping[str, str] = {"prophetnet": "word_embeddings"}


def load_pretrained(
    folder: Path, task: str, options: PretrainedOptions
) -> tuple[PreTrainedModel, Any]:
    """Load the model in `folder` for `task`, in evaluation mode, and its processor or tokenizer.

    Raises:
        CheckpointError: Weights or vocabulary are missing, or transformers cannot load the model.
        MissingExtra: The model, or an option, needs a package that is not installed.
    """
    if not isinstance(task, str) or task not in AUTO_MODELS:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise CheckpointError(f"{folder} is for {task!r}; mm_rag loads {', '.join(AUTO_MODELS)}.")
    adapter = is_adapter(folder)
    base = base_folder(folder) if adapter else folder
    _check_files(base)
    trust = {"trust_remote_code": options.trust_remote_code}
    dtype = {"dtype": options.dtype} if options.dtype else {}
    try:
        with no_progress_bar():
            config = AutoConfig.from_pretrained(base, **trust, **options.config_kwargs)
            restrict_config(config, {**options.config_kwargs, **options.model_kwargs})
            _adjust(config, task, options)
            encoder: Any = _encoder_class(config) if task == "feature-extraction" else None
            more = _encoder_options(config) if encoder else {}
            model, loaded = (encoder or AUTO_MODELS[task]).from_pretrained(
                base,
                config=config,
                output_loading_info=True,
                **trust,
                **{**more, **options.model_kwargs, **dtype},
            )
            _forget_whole(model)
            if adapter:
                apply_adapter(model, folder)
            _check_codec(folder, options)
            own = any((folder / name).is_file() for name in _PROCESSORS)
            processor: Any = AutoProcessor.from_pretrained(
                folder if own else base, **trust, **options.processor_kwargs
            )
    except ImportError as error:
        raise MissingExtra(
            f"Loading the model in {folder} needs a package that is missing: {error}"
        ) from error
    except _FAULTS as error:
        raise CheckpointError(
            f"Cannot load the model in {folder}: {str(error) or type(error).__name__}"
        ) from error
    _check_weights(base, model, loaded["missing_keys"])
    _zero_unread(model, loaded["missing_keys"])
    _check_vocabulary(folder if own else base, getattr(processor, "tokenizer", processor))
    _limit_length(processor, model, asked="model_max_length" in options.processor_kwargs)
    if task in GENERATIVE:  # the last position of every row must be a real token
        getattr(processor, "tokenizer", processor).padding_side = "left"
    return model.eval(), processor


def _encoder_class(config: PretrainedConfig) -> Any:
    """The class that loads only the encoder; None for models that are used whole."""
    kind = config.model_type
    if kind in _ENCODER_MODELS:
        return getattr(transformers, _ENCODER_MODELS[kind])
    if kind not in _ENCODERS:
        return None
    name = kind.replace("-", "_")
    module = importlib.import_module(f"transformers.models.{name}.modeling_{name}")
    return getattr(module, _ENCODERS[kind])


def _encoder_options(config: PretrainedConfig) -> dict[str, Any]:
    """The arguments of its `from_pretrained` that map the encoder's weights to its own names."""
    if config.model_type not in _ENCODERS:
        config.is_encoder_decoder = False
        return {}
    words = _WORDS.get(config.model_type, "embed_tokens")
    whole = r"^(?:model\.|prophetnet\.)?"
    return {
        "key_mapping": {
            rf"{whole}encoder\.": "",
            rf"{whole}(?:shared|word_embeddings)\.": f"{words}.",
        }
    }


def _forget_whole(model: PreTrainedModel) -> None:
    """Make `save_pretrained` write an encoder's weights under its own names."""
    if hasattr(model, "_weight_conversions"):
        del model._weight_conversions


def _adjust(config: PretrainedConfig, task: str, options: PretrainedOptions) -> None:
    _no_cache(config, options.config_kwargs)
    names: list[str] = config.architectures or []
    trained = any(name.endswith("ForSequenceClassification") for name in names)
    asked = "num_labels" in options.config_kwargs
    if task == "sequence-classification" and not trained and not asked:
        config.num_labels = 1  # a new reranker


def _no_cache(config: PretrainedConfig, asked: Mapping[str, Any], default: bool = False) -> None:
    """Disable the cache of keys and values, which only text generation uses, unless asked for."""
    use_cache = asked.get("use_cache", default)
    if hasattr(config, "use_cache"):
        config.use_cache = use_cache
    for name in config.sub_configs:
        part = getattr(config, name, None)
        if part is not None:
            _no_cache(part, asked.get(name) or {}, use_cache)


def _check_files(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder} is not a model: config.json is missing.")
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("pytorch_model*.bin")):
        raise CheckpointError(
            f"{folder} has no weights: neither model.safetensors nor pytorch_model.bin exists. "
            "Was the download interrupted?"
        )


def _check_codec(folder: Path, options: PretrainedOptions) -> None:
    """Refuse a processor that would load another model from a repository it names."""
    settings = read_json(folder / "processor_config.json", default={})
    codec = "audio_tokenizer" in settings or (folder / "audio_tokenizer_config.json").is_file()
    if codec and not options.trust_remote_code:
        raise CheckpointError(
            f"The processor in {folder} has an audio_tokenizer, which is loaded from another "
            "repository. If you trust both, pass trust_remote_code=True."
        )


def _check_weights(folder: Path, model: PreTrainedModel, missing: Iterable[str]) -> None:
    """Refuse a model whose weights are incomplete: the missing ones would be random."""
    # peft wraps the layers that an adapter changes.
    parameters = {name.replace(".base_layer.", "."): name for name, _ in model.named_parameters()}
    needed = {
        name
        for name in parameters.keys() & set(missing)
        if _NEVER_READ.isdisjoint(name.split(".")) and not _is_computed(model, parameters[name])
    }
    if needed:
        raise CheckpointError(
            f"The weights in {folder} are not all that {type(model).__name__} has; missing: "
            f"{listed(needed)}. Is this another kind of model, or another one's config.json?"
        )


def _zero_unread(model: PreTrainedModel, missing: Iterable[str]) -> None:
    """Set missing weights that no vector depends on to 0: random ones would change fingerprints."""
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name in set(missing) & parameters.keys():
            if not _NEVER_READ.isdisjoint(name.split(".")) and not parameters[name].is_meta:
                parameters[name].zero_()


def _is_computed(model: PreTrainedModel, name: str) -> bool:
    """Whether a weight is a table of sines, which is computed: Marian does not save it."""
    holder = model.get_submodule(name.rpartition(".")[0])
    return "Sinusoidal" in type(holder).__name__


def _check_vocabulary(folder: Path, tokenizer: Any) -> None:
    """Refuse a tokenizer without a vocabulary: it would map all words to one token."""
    if not isinstance(tokenizer, PreTrainedTokenizerBase) or not tokenizer.vocab_files_names:
        return  # pictures only, or bytes for tokens
    names = {*_VOCABULARIES, *tokenizer.vocab_files_names.values()}
    if not any(True for name in names for _ in folder.glob(name)):
        raise CheckpointError(
            f"{folder} has no tokenizer: neither tokenizer.json nor another vocabulary exists. "
            "Was the download interrupted, or only the model fetched?"
        )


def _limit_length(processor: Any, model: PreTrainedModel, *, asked: bool) -> None:
    """Truncate texts at the model's positions, unless the tokenizer truncates them earlier."""
    tokenizer, positions = getattr(processor, "tokenizer", processor), positions_of(model)
    if not asked and positions is not None and hasattr(tokenizer, "model_max_length"):
        tokenizer.model_max_length = min(tokenizer.model_max_length, positions)


def positions_of(model: PreTrainedModel) -> int | None:
    """The number of tokens that a model has positions for; None if it has no limit."""
    inner = getattr(model.config, "text_config", None)
    # XLNet says -1 for no limit.
    positions = getattr(model.config, "max_position_embeddings", None) or getattr(
        inner, "max_position_embeddings", -1
    )
    return None if positions == -1 else positions - _first_position(model)


def _first_position(model: PreTrainedModel) -> int:
    """The first position of a text: RoBERTa's follow the id of the padding token."""
    for module in model.modules():
        table = getattr(module, "position_embeddings", None)
        if isinstance(table, nn.Embedding) and table.padding_idx is not None:
            return table.padding_idx + 1
    return 0


@contextlib.contextmanager
def no_progress_bar() -> Generator[None]:
    """Disable the progress bar that transformers draws for every load."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()
