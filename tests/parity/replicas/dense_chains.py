"""Replicas with trained modules after the pooling, whose weights are pickled."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from transformers import BertModel

from .common import (
    bert_config,
    pickle_weights,
    write_json,
    write_old_modules,
    write_pooling,
    write_versions,
)
from .text import write_old_word_pieces


def labse(folder: Path) -> Path:
    """LaBSE: the first token through a dense layer and a tanh, all weights pickled."""
    _write_bert(folder, seed=16)
    _write_dense(folder / "2_Dense", 32)
    write_old_modules(folder, ["Transformer", "Pooling", "Dense", "Normalize"])
    write_pooling(folder, "cls_token")
    return folder


def every_module(folder: Path) -> Path:
    """What may follow a pooling: to fewer dimensions, layer norm, dropout, to length 1."""
    _write_bert(folder, seed=17)
    _write_dense(folder / "2_Dense", 20)
    write_json(folder / "3_LayerNorm/config.json", {"dimension": 20})
    scale, shift = torch.rand(20) + 0.5, torch.randn(20)
    _pickle(folder / "3_LayerNorm", {"norm.weight": scale, "norm.bias": shift})
    write_json(folder / "4_Dropout/config.json", {"dropout": 0.5})
    names = ["Transformer", "Pooling", "Dense", "LayerNorm", "Dropout", "Normalize"]
    write_old_modules(folder, names)
    write_pooling(folder, "mean_tokens")
    return folder


def _write_bert(folder: Path, *, seed: int) -> None:
    torch.manual_seed(seed)
    BertModel(bert_config()).save_pretrained(folder)
    pickle_weights(folder)
    write_old_word_pieces(folder)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 32, "do_lower_case": False})
    write_versions(folder, "2.0.0", "4.7.0", "1.9.0+cu102")


def _write_dense(folder: Path, width: int) -> None:
    sizes = {"in_features": 32, "out_features": width, "bias": True}
    tanh = {"activation_function": "torch.nn.modules.activation.Tanh"}
    write_json(folder / "config.json", {**sizes, **tanh})
    weights = {"linear.weight": torch.randn(width, 32) * 0.3, "linear.bias": torch.randn(width)}
    _pickle(folder, weights)


def _pickle(folder: Path, weights: dict[str, Tensor]) -> None:
    torch.save(weights, folder / "pytorch_model.bin")
