"""Replicas of rerankers that classify: a pair of texts goes in, a logit comes out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import (
    BertForSequenceClassification,
    LlamaConfig,
    LlamaForSequenceClassification,
    LlamaTokenizer,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

from .common import SPREAD, bert_config, byte_fallback, word_pieces, write_json
from .roberta import roberta_sizes, unigram_tokenizer
from .text import write_old_word_pieces

IDENTITY = "torch.nn.modules.linear.Identity"
_ONE_LABEL: dict[str, Any] = {"num_labels": 1}  # which no configuration declares


def cross_encoder(folder: Path, *, labels: int = 1, **config: Any) -> Path:
    """The layout of ms-marco-MiniLM-L6-v2."""
    torch.manual_seed(2)
    settings = bert_config(num_labels=labels, **config)
    BertForSequenceClassification(settings).save_pretrained(folder)
    word_pieces().save_pretrained(folder)
    return folder


def ms_marco_minilm(folder: Path) -> Path:
    """ms-marco-MiniLM-L6-v2: no modules.json; what becomes of the logit lies in config.json."""
    cross_encoder(folder)
    write_old_word_pieces(folder)
    settings = {"activation_fn": IDENTITY, "version": "4.1.0.dev0"}
    _add_to_config(folder, sentence_transformers=settings)
    return folder


def ms_marco_older(folder: Path) -> Path:
    """ms-marco-MiniLM-L6-v2 as it was before version 4: the same under an older name."""
    cross_encoder(folder)
    _add_to_config(folder, sbert_ce_default_activation_function=IDENTITY)
    return folder


def bge_reranker_m3(folder: Path) -> Path:
    """bge-reranker-v2-m3: XLM-RoBERTa; it names no activation, so a sigmoid follows."""
    torch.manual_seed(22)
    tokenizer = unigram_tokenizer()
    tokenizer.model_max_length = 128
    sizes: dict[str, Any] = {**roberta_sizes(len(tokenizer)), "max_position_embeddings": 130}
    config = XLMRobertaConfig(**sizes, **_ONE_LABEL)
    XLMRobertaForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def rankllama(folder: Path) -> Path:
    """rankllama-v1-7b-lora-passage, merged: the last token's vector gives the logit.

    Each side of a pair begins with the token of a beginning; padding is on the right.
    """
    torch.manual_seed(23)
    tokenizer = _llama_tokenizer()
    LlamaForSequenceClassification(_llama_config(len(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _llama_tokenizer() -> LlamaTokenizer:
    vocabulary, merges = byte_fallback(["<unk>", "<s>", "</s>"])
    settings: dict[str, Any] = {
        "model_max_length": 128,
        "padding_side": "right",
        "pad_token": "<unk>",
    }
    return LlamaTokenizer(vocab=vocabulary, merges=merges, add_bos_token=True, **settings)


def _llama_config(vocabulary: int) -> LlamaConfig:
    ids: dict[str, Any] = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        initializer_range=SPREAD,
        **ids,
        **_ONE_LABEL,
    )


def _add_to_config(folder: Path, **settings: Any) -> None:
    saved = json.loads((folder / "config.json").read_text())
    write_json(folder / "config.json", {**saved, **settings})
