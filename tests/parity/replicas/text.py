"""Replicas of BERT-type encoders for text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import BertModel

from .common import (
    bert_config,
    word_pieces,
    write_json,
    write_old_modules,
    write_pooling,
    write_versions,
)


def bert(folder: Path, *, pooling: dict[str, Any] | None = None, max_length: int = 32) -> Path:
    """The layout of all-MiniLM-L6-v2 and bge-base-en-v1.5, in the format before version 5.4."""
    torch.manual_seed(0)
    BertModel(bert_config()).save_pretrained(folder)
    word_pieces().save_pretrained(folder)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": max_length})
    modules = ["Transformer", "Pooling", "Normalize"]
    write_old_modules(folder, modules[: 2 if pooling else 3])
    flags = pooling or {"pooling_mode_mean_tokens": True}
    write_json(folder / "1_Pooling/config.json", {"word_embedding_dimension": 32, **flags})
    prompts = {"query": "find pages that answer: ", "document": "page: "}
    write_json(folder / "config_sentence_transformers.json", {"prompts": prompts})
    return folder


def plain_bert(folder: Path) -> Path:
    """A transformers checkpoint that nobody prepared for sentence-transformers."""
    torch.manual_seed(1)
    BertModel(bert_config()).save_pretrained(folder)
    word_pieces().save_pretrained(folder)
    return folder


def bge(folder: Path) -> Path:
    """bge-base-en-v1.5: the first token, and a second lower-casing before the tokenizer's own."""
    torch.manual_seed(5)
    BertModel(bert_config()).save_pretrained(folder)
    write_old_word_pieces(folder)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 32, "do_lower_case": True})
    write_old_modules(folder, ["Transformer", "Pooling", "Normalize"])
    write_pooling(folder, "cls_token")
    write_versions(folder, "2.2.2", "4.28.1", "1.13.0+cu117")
    return folder


def write_old_word_pieces(folder: Path) -> None:
    """The files of a BERT tokenizer, as they were written before transformers 5."""
    tokenizer = word_pieces()
    tokenizer.save_pretrained(folder)
    vocabulary = tokenizer.get_vocab()
    (folder / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.__getitem__)))
    special = {
        f"{name}_token": f"[{name.upper()}]" for name in ("unk", "sep", "pad", "cls", "mask")
    }
    write_json(folder / "special_tokens_map.json", special)
    settings = {"do_lower_case": True, "tokenize_chinese_chars": True, "strip_accents": None}
    kind = {"tokenizer_class": "BertTokenizer", "model_max_length": 64}
    write_json(folder / "tokenizer_config.json", {**settings, **special, **kind})
