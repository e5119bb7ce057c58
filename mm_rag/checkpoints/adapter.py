"""Adapters (LoRA): small weights that peft adds to a base model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from mm_rag._optional import require
from mm_rag.checkpoints.config_files import read_json
from mm_rag.checkpoints.locate import find_model
from mm_rag.errors import CheckpointError

_FILE = "adapter_config.json"
_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")

_Kinds: TypeAlias = type | tuple[type, ...]
_NAMES: _Kinds = (str, list)

# The settings that an adapter may have, with their types. peft knows others, some of which import
# modules by name. Any other setting may change the result, so it is refused, not ignored.
_ALLOWED: Mapping[str, _Kinds] = {
    "alpha_pattern": dict,
    "base_model_name_or_path": str,
    "bias": str,
    "ensure_weight_tying": bool,
    "exclude_modules": _NAMES,
    "fan_in_fan_out": bool,
    "inference_mode": bool,
    "init_lora_weights": bool,
    "layers_pattern": _NAMES,
    "layers_to_transform": (int, list),
    "lora_alpha": (int, float),
    "lora_bias": bool,
    "lora_dropout": (int, float),
    "modules_to_save": list,
    "peft_type": str,
    "peft_version": str,
    "qalora_group_size": int,
    "r": int,
    "rank_pattern": dict,
    "revision": str,
    "target_modules": _NAMES,
    "target_parameters": list,
    "task_type": str,
    "use_dora": bool,
    "use_rslora": bool,
}


def is_adapter(folder: Path) -> bool:
    """Whether a model's folder contains an adapter, with its base model or alone."""
    return (folder / _FILE).is_file()


def base_folder(folder: Path) -> Path:
    """Find an adapter's base model: in its own folder, or the model that it names.

    Raises:
        CheckpointError: A setting of the adapter is not supported, or its base is missing.
        MissingExtra: peft is not installed.
    """
    settings = read_json(folder / _FILE, default={})
    _check(folder, settings)
    require("peft", extra="peft", feature="Loading a model with an adapter")
    if (folder / "config.json").is_file():
        return folder
    base = settings.get("base_model_name_or_path")
    if not base:
        raise CheckpointError(f"{folder / _FILE} does not name the adapter's base model.")
    try:
        return find_model(str(base))
    except CheckpointError as error:
        raise CheckpointError(f"The base of the adapter in {folder}: {error}") from error


def apply_adapter(model: Any, folder: Path) -> None:
    """Add an adapter to its base model.

    Raises:
        CheckpointError: Weights of the adapter are missing.
    """
    if not getattr(model, "_hf_peft_config_loaded", False):  # transformers may have applied it
        info: Any = model.load_adapter(str(folder))
        if missing := sorted(info.missing_keys):
            raise CheckpointError(
                f"The adapter in {folder} lacks weights: {', '.join(missing[:3])}."
            )


def _check(folder: Path, settings: Mapping[str, Any]) -> None:
    wrong = [f"{name}={value!r:.60}" for name, value in settings.items() if not _fits(name, value)]
    if settings.get("peft_type") != "LORA":
        wrong.append(f"peft_type={settings.get('peft_type')!r}")
    if wrong:
        raise CheckpointError(
            f"The adapter in {folder} has settings that mm_rag does not apply: {', '.join(wrong)}. "
            "Merge it into its base with peft's merge_and_unload(), save that, and load what was "
            "saved."
        )
    if not any((folder / name).is_file() for name in _WEIGHTS):
        raise CheckpointError(f"The adapter in {folder} has no weights: {_WEIGHTS[0]} is missing.")


def _fits(name: str, value: Any) -> bool:
    """Whether a setting is allowed, switched off, or read by other loaders only."""
    if value is None or value is False or value == {} or name == "auto_mapping":
        return True
    if name == "megatron_core":  # always written, but imported only with a megatron_config
        return value == "megatron.core"
    return name in _ALLOWED and isinstance(value, _ALLOWED[name])
