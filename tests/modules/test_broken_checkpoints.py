"""Checkpoints whose files are damaged, or say what makes no sense: one error that names them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mm_rag import Encoder
from mm_rag.errors import CheckpointError
from tests.parity.replicas.common import write_json, write_modules
from tests.parity.replicas.text import bert


def change(path: Path, **settings: Any) -> None:
    write_json(path, {**json.loads(path.read_text()), **settings})


@pytest.mark.parametrize("value", ["[1]", "3", '"x"', "null", "{", '{"a":' * 5000])
@pytest.mark.parametrize(
    "file",
    [
        "modules.json",
        "config.json",
        "config_sentence_transformers.json",
        "sentence_bert_config.json",
        "tokenizer_config.json",
        "tokenizer.json",
        "1_Pooling/config.json",
    ],
)
def test_files_that_hold_something_else(tmp_path: Path, file: str, value: str) -> None:
    (bert(tmp_path) / file).write_text(value)

    with pytest.raises(CheckpointError, match=str(tmp_path)):
        Encoder(tmp_path, device="cpu")


@pytest.mark.parametrize(
    "settings",
    [
        {"transformer_task": ["feature-extraction"]},
        {"modality_config": ["text"]},
        {"modality_config": {"text": {"method": 3, "method_output_name": None}}},
        {"modality_config": {"text": {"method": "forward", "method_output_name": 1.5}}},
        {"modality_config": {"text": {"method": "forward", "method_output_name": "no_such"}}},
        {"processing_kwargs": [1]},
        {"processing_kwargs": {"text": [1]}},
        {"model_args": [1]},
        {"max_seq_length": "32"},
        {"max_seq_length": -1},
        {"max_seq_length": 640},
        {"query_length": "32"},
    ],
)
def test_settings_that_make_no_sense(tmp_path: Path, settings: dict[str, Any]) -> None:
    change(bert(tmp_path) / "sentence_bert_config.json", **settings)

    with pytest.raises(CheckpointError):
        Encoder(tmp_path, device="cpu").encode("light " * 100)


@pytest.mark.parametrize("name", ["hidden_size", "num_attention_heads", "dtype"])
@pytest.mark.parametrize("value", [0, "x"])
def test_an_architecture_that_makes_no_sense(tmp_path: Path, name: str, value: Any) -> None:
    change(bert(tmp_path) / "config.json", **{name: value})

    with pytest.raises(CheckpointError, match=str(tmp_path)):
        Encoder(tmp_path, device="cpu")


@pytest.mark.parametrize("weights", [b"", b"garbage " * 20])
def test_damaged_old_weights(tmp_path: Path, weights: bytes) -> None:
    (bert(tmp_path) / "model.safetensors").unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(weights)

    with pytest.raises(CheckpointError, match=str(tmp_path)):
        Encoder(tmp_path, device="cpu")


@pytest.mark.parametrize("place", ["../other", "/tmp", "\0", None, 3])
def test_places_outside_of_the_checkpoint(tmp_path: Path, place: Any) -> None:
    kind = "sentence_transformers.models"
    write_modules(bert(tmp_path), [("", f"{kind}.Transformer"), (place, f"{kind}.Pooling")])

    with pytest.raises(CheckpointError, match=str(tmp_path)):
        Encoder(tmp_path, device="cpu")
