"""Loading transformers models and processors from a folder, with errors that say what is wrong."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

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
from mm_rag.checkpoints.allowed_settings import restrict_config
from mm_rag.checkpoints.encoder_part import encoder_class, encoder_options, forget_whole
from mm_rag.checkpoints.modality import AUTO_MODELS, GENERATIVE
from mm_rag.checkpoints.weights import listed
from mm_rag.errors import CheckpointError, MissingExtra
from mm_rag.modules.module import LoadOptions, read_json

# What transformers raises on damaged files, and on settings that make no sense.
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

# Parts of models that checkpoints may lack: no vector is made with them, or only in training.
_NEVER_READ = frozenset({"pooler", "masked_spec_embed", "logit_scale", "logit_bias"})

# One of these lies beside every tokenizer and processor.
_PROCESSORS = ("tokenizer_config.json", "processor_config.json", "preprocessor_config.json")

# Where tokenizers keep their vocabulary, whatever class they are of.
_VOCABULARIES = ("tokenizer.json", "vocab.*", "*.model", "*.spm", "*.tiktoken", "tekken.json")


def load_pretrained(folder: Path, task: str, options: LoadOptions) -> tuple[PreTrainedModel, Any]:
    """Load the model in `folder` for `task`, in evaluation mode, and its processor or tokenizer.

    Raises:
        CheckpointError: The folder has no weights or no vocabulary, or transformers does not
            understand it.
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
            encoder: Any = encoder_class(config) if task == "feature-extraction" else None
            more = encoder_options(config) if encoder else {}
            model, loaded = (encoder or AUTO_MODELS[task]).from_pretrained(
                base,
                config=config,
                output_loading_info=True,
                **trust,
                **{**more, **options.model_kwargs, **dtype},
            )
            forget_whole(model)
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
    _check_vocabulary(folder if own else base, getattr(processor, "tokenizer", processor))
    _limit_length(processor, model, asked="model_max_length" in options.processor_kwargs)
    if task in GENERATIVE:  # the last position of every row must be a real token
        getattr(processor, "tokenizer", processor).padding_side = "left"
    return model.eval(), processor


def _adjust(config: PretrainedConfig, task: str, options: LoadOptions) -> None:
    _no_cache(config, options.config_kwargs)
    names: list[str] = config.architectures or []
    trained = any(name.endswith("ForSequenceClassification") for name in names)
    asked = "num_labels" in options.config_kwargs
    if task == "sequence-classification" and not trained and not asked:
        config.num_labels = 1  # a new reranker


def _no_cache(config: PretrainedConfig, asked: Mapping[str, Any], default: bool = False) -> None:
    """Do not keep keys and values that only generating text would use, unless asked to."""
    use_cache = asked.get("use_cache", default)
    if hasattr(config, "use_cache"):
        config.use_cache = use_cache
    for name in config.sub_configs:
        part = getattr(config, name, None)
        if part is not None:
            _no_cache(part, asked.get(name) or {}, use_cache)


def _check_files(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder} is no model: it has no config.json.")
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("pytorch_model*.bin")):
        raise CheckpointError(
            f"{folder} has no weights: neither model.safetensors nor pytorch_model.bin is there. "
            "Was the download interrupted?"
        )


def _check_codec(folder: Path, options: LoadOptions) -> None:
    """Refuse a processor that would load a further model from a place that the checkpoint names."""
    settings = read_json(folder / "processor_config.json", default={})
    codec = "audio_tokenizer" in settings or (folder / "audio_tokenizer_config.json").is_file()
    if codec and not options.trust_remote_code:
        raise CheckpointError(
            f"The processor in {folder} has an audio_tokenizer, which is loaded from another "
            "repository. If you trust both, pass trust_remote_code=True."
        )


def _check_weights(folder: Path, model: PreTrainedModel, missing: Iterable[str]) -> None:
    """Refuse a model of which a part stayed random: what it makes would mean nothing."""
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


def _is_computed(model: PreTrainedModel, name: str) -> bool:
    """Whether a weight is a table of sines, which is made and not learnt: Marian saves none."""
    holder = model.get_submodule(name.rpartition(".")[0])
    return "Sinusoidal" in type(holder).__name__


def _check_vocabulary(folder: Path, tokenizer: Any) -> None:
    """Refuse a tokenizer that was made without its files: all words would be one to it."""
    if not isinstance(tokenizer, PreTrainedTokenizerBase) or not tokenizer.vocab_files_names:
        return  # pictures only, or bytes for tokens
    names = {*_VOCABULARIES, *tokenizer.vocab_files_names.values()}
    if not any(True for name in names for _ in folder.glob(name)):
        raise CheckpointError(
            f"{folder} has no tokenizer: neither tokenizer.json nor another vocabulary is there. "
            "Was the download interrupted, or only the model fetched?"
        )


def _limit_length(processor: Any, model: PreTrainedModel, *, asked: bool) -> None:
    """Cut texts at the positions that the model has, if the tokenizer does not cut them before."""
    tokenizer, positions = getattr(processor, "tokenizer", processor), positions_of(model)
    if not asked and positions is not None and hasattr(tokenizer, "model_max_length"):
        tokenizer.model_max_length = min(tokenizer.model_max_length, positions)


def positions_of(model: PreTrainedModel) -> int | None:
    """How many tokens a model has positions for; None where it has no limit."""
    inner = getattr(model.config, "text_config", None)
    # XLNet says -1 for no limit.
    positions = getattr(model.config, "max_position_embeddings", None) or getattr(
        inner, "max_position_embeddings", -1
    )
    return None if positions == -1 else positions - _first_position(model)


def _first_position(model: PreTrainedModel) -> int:
    """Where the positions of a text begin: RoBERTa's follow the id of the padding."""
    for module in model.modules():
        table = getattr(module, "position_embeddings", None)
        if isinstance(table, nn.Embedding) and table.padding_idx is not None:
            return table.padding_idx + 1
    return 0


@contextlib.contextmanager
def no_progress_bar() -> Generator[None]:
    """A library does not draw on the terminal; transformers would, for every load."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()
