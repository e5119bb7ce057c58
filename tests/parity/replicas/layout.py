"""The files that sentence-transformers 5.4 and later keep beside a model's weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from .common import write_json, write_modules

LAST_STATE = "last_hidden_state"
# Models made for generation name no last state; it is the last of those they give when asked.
LAST_OF_ALL = ("hidden_states", -1)

_BASE = "sentence_transformers.base.modules"
_SENTENCE = "sentence_transformers.sentence_transformer.modules"


def write_layout(
    folder: Path,
    modalities: tuple[str, ...],
    *,
    pooling: str,
    prompts: dict[str, str],
    output: str | tuple[str | int, ...] = LAST_STATE,
    processing: dict[str, Any] | None = None,
) -> None:
    """Write a chain of Transformer, Pooling and Normalize over a model of width 32.

    Args:
        folder: The checkpoint; its weights and its processor are written by others.
        modalities: What the model takes: "text", "image+text", "message" (chat messages) and so on.
        pooling: The mode of the pooling module.
        prompts: The prompts by name.
        output: The way to the token vectors in the model's output.
        processing: Options of the processor, by modality.
    """
    forward = {"method": "forward", "method_output_name": output}
    config: dict[str, Any] = {name: dict(forward) for name in modalities}
    if "message" in config:
        config["message"]["format"] = "structured"
    transformer = {
        "transformer_task": "feature-extraction",
        "modality_config": config,
        "module_output_name": "token_embeddings",
        **({"processing_kwargs": processing} if processing else {}),
        "unpad_inputs": False,
    }
    write_json(folder / "sentence_bert_config.json", transformer)
    _write_chain(folder, pooling, prompts)


def _write_chain(folder: Path, pooling: str, prompts: dict[str, str]) -> None:
    settings = {"embedding_dimension": 32, "pooling_mode": pooling, "include_prompt": True}
    write_json(folder / "1_Pooling/config.json", settings)
    paths = [
        ("", f"{_BASE}.transformer.Transformer"),
        ("1_Pooling", f"{_SENTENCE}.pooling.Pooling"),
        ("2_Normalize", f"{_SENTENCE}.normalize.Normalize"),
    ]
    write_modules(folder, paths)
    model = {
        "model_type": "SentenceTransformer",
        "prompts": prompts,
        "default_prompt_name": None,
        "similarity_fn_name": "cosine",
    }
    write_json(folder / "config_sentence_transformers.json", model)


def with_special(words: dict[str, int], special: list[str]) -> dict[str, int]:
    """Give a vocabulary that has the special tokens after the words."""
    return {**words, **{token: len(words) + i for i, token in enumerate(special)}}


def rename_weights(folder: Path, old: str, new: str) -> None:
    """Give the weights whose names begin with `old` the prefix that the published file has."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    named = {
        new + name.removeprefix(old) if name.startswith(old) else name: weight
        for name, weight in weights.items()
    }
    save_file(named, path, metadata={"format": "pt"})
