"""Adapters are applied as sentence-transformers applies them, or refused, and run no code."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from transformers import AutoModel

from mm_rag import Encoder
from mm_rag.errors import CheckpointError, MissingExtra

from .replicas.common import write_json
from .replicas.text import bert, plain_bert

# peft reads an attribute that transformers has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")

TEXTS = ["A cat sat on the mat.", "Invoices are paid within thirty days."]


def add_adapter(base: Path, folder: Path) -> Path:
    """Write a LoRA adapter that changes what the model in `base` makes."""
    peft: Any = pytest.importorskip("peft")
    torch.manual_seed(41)
    settings = peft.LoraConfig(
        r=4, lora_alpha=8, target_modules=["query", "value"], init_lora_weights=False
    )
    model = peft.get_peft_model(AutoModel.from_pretrained(base), settings)
    model.save_pretrained(folder)
    return folder


def change(folder: Path, **settings: Any) -> None:
    path = folder / "adapter_config.json"
    write_json(path, {**json.loads(path.read_text()), **settings})


def encoded(folder: Path) -> Any:
    return Encoder(folder, device="cpu").encode(TEXTS)


@pytest.mark.parametrize("make", [bert, plain_bert])
def test_beside_its_base(make: Any, tmp_path: Path) -> None:
    plain = encoded(make(tmp_path))
    add_adapter(tmp_path, tmp_path)

    made = encoded(tmp_path)
    assert np.abs(made - plain).max() > 0.01
    theirs = SentenceTransformer(str(tmp_path), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(made, theirs, rtol=0, atol=1e-5)


def test_alone(tmp_path: Path) -> None:
    base = plain_bert(tmp_path / "base")
    folder = add_adapter(base, tmp_path / "adapter")

    theirs: Any = SentenceTransformer(str(base), device="cpu")
    theirs[0].model.load_adapter(str(folder))
    made = encoded(folder)
    np.testing.assert_allclose(made, theirs.encode(TEXTS), rtol=0, atol=1e-5)
    assert np.abs(made - encoded(base)).max() > 0.01

    change(folder, base_model_name_or_path="nobody/has-this-model")
    with pytest.raises(CheckpointError, match=r"base of the adapter.*nobody/has-this-model"):
        encoded(folder)


def test_without_peft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_adapter(bert(tmp_path), tmp_path)
    monkeypatch.setitem(sys.modules, "peft", None)

    with pytest.raises(MissingExtra, match="peft"):
        encoded(tmp_path)


@pytest.mark.parametrize(
    "settings",
    [
        {"megatron_config": {"a": 1}, "megatron_core": "evil"},
        {"megatron_core": "evil"},
        {"peft_type": "PROMPT_TUNING"},
        {"init_lora_weights": "pissa"},
        {"r": "4"},
        {"layer_replication": [[0, 1]]},
        {"unheard_of": 1},
    ],
    ids=lambda settings: "+".join(settings),
)
def test_settings_that_an_adapter_may_not_have(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_adapter(bert(tmp_path), tmp_path)
    trace = tmp_path / "trace"
    (tmp_path / "evil.py").write_text(f"import os\nos.mkdir({str(trace)!r})\n")
    monkeypatch.syspath_prepend(tmp_path)
    change(tmp_path, **settings)

    with pytest.raises(CheckpointError, match=next(iter(settings))):
        encoded(tmp_path)
    assert not trace.exists()


def test_damaged_adapters(tmp_path: Path) -> None:
    weights = add_adapter(bert(tmp_path), tmp_path) / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=str(tmp_path)):
        encoded(tmp_path)
    weights.unlink()
    with pytest.raises(CheckpointError, match="no weights"):
        encoded(tmp_path)
