"""What a checkpoint may set by itself: the loader arguments that its own files may give.

`sentence_bert_config.json` can hold arguments for transformers' `from_pretrained`. Some of these
run code that lies in the checkpoint (`weights_only=False` unpickles anything), fetch other
repositories, or write to the disk. So this is a list of what is allowed, each with its type.
Everything else is ignored with a warning. What a caller passes is not filtered.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias, cast

import torch
from transformers import PretrainedConfig

logger = logging.getLogger(__name__)

Loader: TypeAlias = Literal["model_kwargs", "processor_kwargs", "config_kwargs"]
_Check: TypeAlias = Callable[[Any], bool]

# Implementations that are part of torch or transformers. Any other name may stand for a kernel on
# the hub, which transformers downloads and runs.
_ATTENTION = ("eager", "sdpa", "flex_attention")
_EXPERTS = ("eager", "batched_mm", "grouped_mm")


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

# Where the code of a checkpoint is trusted, it may have settings that no list can know. What says
# where files come from and how they are read is never among them.
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
    """Those of a checkpoint's loader arguments that it may set; the others are logged.

    Args:
        saved: What its file holds.
        loader: Whose arguments they are.
        source: Where they are written, for the warning.
        trust_remote_code: Whether its own code may run: then settings for that code pass, too.
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
    """Undo what a `config.json` may not decide: which kernels run, and which code.

    Args:
        config: As loaded; changed in place, with the configurations in it.
        asked: The caller's own `config_kwargs`, which stand.
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
