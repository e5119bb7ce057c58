"""A Transformer's own file in a checkpoint: `sentence_bert_config.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from mm_rag.checkpoints.allowed_settings import Loader, allowed_settings
from mm_rag.errors import CheckpointError
from mm_rag.modules.module import LoadOptions, read_json
from mm_rag.preprocessing.settings import ProcessingSettings

_CONFIGS = (
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
)

_TASK_LENGTHS = {"query": "query_length", "document": "document_length"}

_OLD_KEYS: Mapping[Loader, str] = {
    "model_kwargs": "model_args",
    "processor_kwargs": "tokenizer_args",
    "config_kwargs": "config_args",
}


def read_config(folder: Path) -> dict[str, Any]:
    """Its configuration, under the names that it has had; an empty file is passed over."""
    found = (read_json(folder / name, default={}) for name in _CONFIGS)
    return next(filter(None, found), {})


def processing_settings(saved: Mapping[str, Any]) -> ProcessingSettings:
    """What it says about the call of the processor.

    Raises:
        CheckpointError: Something else stands where the settings should.
    """
    settings = _object(saved, "processing_kwargs")
    lengths = {task: _length(saved, key) for task, key in _TASK_LENGTHS.items()}
    return ProcessingSettings(
        by_modality={name: _object(settings, name) for name in settings},
        lower_case=bool(saved.get("do_lower_case", False)),
        task_lengths={task: length for task, length in lengths.items() if length},
    )


def merged_options(options: LoadOptions, saved: Mapping[str, Any], folder: Path) -> LoadOptions:
    """The caller's options, over those of the checkpoint's that a checkpoint may set."""
    found: dict[str, dict[str, Any]] = {}
    for loader, old in _OLD_KEYS.items():
        own = allowed_settings(
            _object(saved, old if old in saved else loader),
            loader,
            str(folder),
            trust_remote_code=options.trust_remote_code,
        )
        asked: dict[str, Any] = getattr(options, loader)
        found[loader] = {**own, **asked}
    if length := _length(saved, "max_seq_length"):
        found["processor_kwargs"].setdefault("model_max_length", length)
    return replace(options, **found)


def _object(saved: Mapping[str, Any], name: str) -> dict[str, Any]:
    value: Any = saved.get(name) or {}
    if not isinstance(value, dict):
        raise CheckpointError(f"{name} of a Transformer is {value!r}; it holds settings by name.")
    return cast("dict[str, Any]", value)


def _length(saved: Mapping[str, Any], name: str) -> int | None:
    value: Any = saved.get(name)
    if value is not None and (not isinstance(value, int) or value < 1):
        raise CheckpointError(f"{name} of a Transformer is {value!r}; it is a number of tokens.")
    return value
