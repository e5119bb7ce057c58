"""The settings of a Transformer's checkpoint, and which of them it may make by itself.

`sentence_bert_config.json` can contain arguments for transformers' `from_pretrained`. Some of those
run code in the checkpoint (`weights_only=False` unpickles anything), download other repositories,
or write to the disk. Therefore the allowed ones are listed here with their types; others are
ignored with a warning. Arguments from a caller are not filtered.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import torch
from transformers import PretrainedConfig

from mm_rag.checkpoints.config_files import read_json
from mm_rag.checkpoints.options import PretrainedOptions
from mm_rag.errors import CheckpointError

logger = logging.getLogger(__name__)

Loader: TypeAlias = Literal["model_kwargs", "processor_kwargs", "config_kwargs"]
_Check: TypeAlias = Callable[[Any], bool]

# Implementations that are part of torch or transformers. Any other name may be a kernel on the hub,
# which transformers downloads and runs.
_ATTENTION = ("eager", "sdpa", "flex_attention")
_EXPERTS = ("eager", "batched_mm", "grouped_mm")

# The names that a Transformer's configuration file has had.
_CONFIG_FILES = (
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
)

# The keys of loader arguments before sentence-transformers 5.4.
_OLD_KEYS: Mapping[Loader, str] = {
    "model_kwargs": "model_args",
    "processor_kwargs": "tokenizer_args",
    "config_kwargs": "config_args",
}


def read_config(folder: Path) -> dict[str, Any]:
    """Read a Transformer's configuration, under any name it has had; empty files are skipped."""
    found = (read_json(folder / name, default={}) for name in _CONFIG_FILES)
    return next(filter(None, found), {})


def merged_options(
    options: PretrainedOptions, saved: Mapping[str, Any], folder: Path
) -> PretrainedOptions:
    """Add the loader arguments that a checkpoint may set to the caller's, which take precedence."""
    merged: dict[str, dict[str, Any]] = {}
    for loader, old in _OLD_KEYS.items():
        own = allowed_settings(
            object_in(saved, old if old in saved else loader),
            loader,
            str(folder),
            trust_remote_code=options.trust_remote_code,
        )
        merged[loader] = {**own, **getattr(options, loader)}
    if length := length_in(saved, "max_seq_length"):
        merged["processor_kwargs"].setdefault("model_max_length", length)
    return replace(options, **merged)


def object_in(saved: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A JSON object in a Transformer's configuration; empty if it is absent.

    Raises:
        CheckpointError: Another value is in its place.
    """
    value: Any = saved.get(name) or {}
    if not isinstance(value, dict):
        raise CheckpointError(f"{name} of a Transformer is {value!r}; it holds settings by name.")
    return cast("dict[str, Any]", value)


def length_in(saved: Mapping[str, Any], name: str) -> int | None:
    """A number of tokens in a Transformer's configuration; None if it is absent.

    Raises:
        CheckpointError: It is not a positive integer.
    """
    value: Any = saved.get(name)
    if value is not None and (not isinstance(value, int) or value < 1):
        raise CheckpointError(f"{name} of a Transformer is {value!r}; it is a number of tokens.")
    return value


def _switch(value: Any) -> bool:
    return isinstance(value, bool)


def _count(value: Any) -> bool:
    return type(value) is int and value > 0


def _number(value: Any) -> bool:
    return type(value) in (int, float)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _one_of(*names: str) -> _Check:
    return lambda value: isinstance(value, str) and value in names


def _dtype(value: Any) -> bool:
    name = str(value).removeprefix("torch.")
    return _text(value) and (value == "auto" or isinstance(getattr(torch, name, None), torch.dtype))


def _size(value: Any) -> bool:
    """A number of pixels, or several by name: `{"height": 224, "width": 224}`."""
    sizes = list(value.values()) if isinstance(value, dict) else [value]
    return all(map(_count, sizes))


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and all(map(_number, cast("list[Any]", value)))


_ALLOWED: Mapping[Loader, Mapping[str, _Check]] = {
    "model_kwargs": {
        "add_pooling_layer": _switch,
        "attn_implementation": _one_of(*_ATTENTION),
        "dtype": _dtype,
        "torch_dtype": _dtype,
    },
    "processor_kwargs": {
        **dict.fromkeys(
            [
                "add_bos_token",
                "add_eos_token",
                "add_prefix_space",
                "clean_up_tokenization_spaces",
                "do_center_crop",
                "do_convert_rgb",
                "do_image_splitting",
                "do_lower_case",
                "do_normalize",
                "do_pad",
                "do_rescale",
                "do_resize",
                "do_sample_frames",
                "fix_mistral_regex",
                "keep_accents",
                "legacy",
                "split_special_tokens",
                "strip_accents",
                "tokenize_chinese_chars",
                "use_fast",
            ],
            _switch,
        ),
        **dict.fromkeys(
            [
                "max_frames",
                "max_num_patches",
                "max_pixels",
                "min_frames",
                "min_pixels",
                "model_max_length",
                "num_frames",
                "num_image_tokens",
                "sampling_rate",
            ],
            _count,
        ),
        **dict.fromkeys(
            [
                "bos_token",
                "chat_template",
                "cls_token",
                "eos_token",
                "mask_token",
                "pad_token",
                "sep_token",
                "unk_token",
            ],
            _text,
        ),
        **dict.fromkeys(["padding_side", "truncation_side"], _one_of("left", "right")),
        **dict.fromkeys(["crop_size", "longest_edge", "shortest_edge", "size"], _size),
        **dict.fromkeys(["fps", "rescale_factor"], _number),
        **dict.fromkeys(["image_mean", "image_std"], _numbers),
    },
    "config_kwargs": {
        **dict.fromkeys(
            [
                "is_causal",
                "is_decoder",
                "unpad_inputs",
                "use_cache",
                "use_memory_efficient_attention",
            ],
            _switch,
        ),
        **dict.fromkeys(["max_position_embeddings", "num_hidden_layers", "num_labels"], _count),
        **dict.fromkeys(
            ["attention_dropout", "classifier_dropout", "rope_theta", "rotary_scaling_factor"],
            _number,
        ),
    },
}

# A checkpoint with trusted code may set other arguments, too, but never those that say where files
# come from and how they are read.
_RESERVED = frozenset(
    {
        "allow_all_kernels",
        "attn_implementation",
        "cache_dir",
        "code_revision",
        "config",
        "device_map",
        "distributed_config",
        "experts_implementation",
        "force_download",
        "gguf_file",
        "kernel_config",
        "key_mapping",
        "local_files_only",
        "offload_folder",
        "proxies",
        "quantization_config",
        "revision",
        "subfolder",
        "token",
        "trust_remote_code",
        "use_kernels",
        "use_safetensors",
        "variant",
        "weights_only",
    }
)


def allowed_settings(
    saved: Mapping[str, Any], loader: Loader, source: str, *, trust_remote_code: bool
) -> dict[str, Any]:
    """Select the loader arguments that a checkpoint may set; others are logged and ignored.

    Args:
        saved: The arguments in the checkpoint.
        loader: The loader they are for.
        source: The checkpoint, for the warning.
        trust_remote_code: Whether its code is trusted: then arguments for that code are allowed.
    """
    checks = _ALLOWED[loader]
    kept: dict[str, Any] = {}
    for name, value in saved.items():
        if name in checks:
            passes = checks[name](value)
        else:
            passes = trust_remote_code and name not in _RESERVED and not name.startswith("_")
        if passes:
            kept[name] = value
    if ignored := sorted(saved.keys() - kept.keys()):
        logger.warning(
            "%s sets %s, which a checkpoint may not set: ignored. If you trust it, pass %s "
            "yourself.",
            source,
            ", ".join(f"{name}={saved[name]!r:.60}" for name in ignored),
            loader,
        )
    return kept


def restrict_config(config: PretrainedConfig, asked: Mapping[str, Any]) -> None:
    """Reset the kernels that a `config.json` chooses, if they are not built in.

    Args:
        config: The loaded configuration; changed in place, with its sub-configurations.
        asked: The caller's own `config_kwargs` and `model_kwargs`, which are kept.
    """
    for attribute, allowed in (
        ("attn_implementation", _ATTENTION),
        ("experts_implementation", _EXPERTS),
    ):
        name: Any = getattr(config, f"_{attribute}", None)
        if name is not None and name not in allowed and attribute not in asked:
            logger.warning(
                "%s sets %s=%r, which a checkpoint may not set: ignored. If you want it, pass it "
                "in model_kwargs.",
                config.name_or_path or type(config).__name__,
                attribute,
                name,
            )
            setattr(config, f"_{attribute}", None)
    for name in config.sub_configs:
        part = getattr(config, name, None)
        if isinstance(part, PretrainedConfig):
            restrict_config(part, asked)
