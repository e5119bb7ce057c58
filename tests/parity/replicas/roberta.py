"""Replicas of RoBERTa-type encoders, whose positions begin after the padding's id."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    RobertaConfig,
    RobertaModel,
    RobertaTokenizer,
    XLMRobertaConfig,
    XLMRobertaModel,
    XLMRobertaTokenizer,
)

from .common import (
    CORPUS,
    SPREAD,
    byte_pairs,
    pickle_weights,
    write_json,
    write_old_modules,
    write_pooling,
    write_versions,
)
from .pieces import learn_merges

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


def all_roberta(folder: Path) -> Path:
    """all-roberta-large-v1: byte pairs, pickled weights, and texts cut well below the limit."""
    torch.manual_seed(6)
    tokenizer = roberta_tokenizer()
    RobertaModel(RobertaConfig(**roberta_sizes(len(tokenizer)))).save_pretrained(folder)
    pickle_weights(folder)
    tokenizer.save_pretrained(folder)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 24, "do_lower_case": False})
    write_old_modules(folder, ["Transformer", "Pooling", "Normalize"])
    write_pooling(folder, "mean_tokens")
    write_versions(folder, "2.0.0", "4.6.1", "1.8.1")
    return folder


def multilingual_e5(folder: Path) -> Path:
    """multilingual-e5-base: XLM-RoBERTa; prompts are the caller's, the checkpoint names none."""
    _xlm_roberta(folder, seed=7)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 64, "do_lower_case": False})
    write_pooling(folder, "mean_tokens")
    return folder


def arctic_embed(folder: Path) -> Path:
    """snowflake-arctic-embed-l-v2.0: XLM-RoBERTa, the first token, a prompt for queries."""
    _xlm_roberta(folder, seed=8)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 64, "do_lower_case": False})
    write_pooling(folder, "cls_token", later=True)
    more = {"prompts": {"query": "query: "}, "default_prompt_name": None}
    write_versions(folder, "3.3.1", "4.46.3", "2.5.1+cu124", **more, similarity_fn_name="cosine")
    return folder


def _xlm_roberta(folder: Path, *, seed: int) -> None:
    torch.manual_seed(seed)
    tokenizer = unigram_tokenizer()
    XLMRobertaModel(XLMRobertaConfig(**roberta_sizes(len(tokenizer)))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_old_modules(folder, ["Transformer", "Pooling", "Normalize"])


def roberta_sizes(vocabulary: int) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 66,  # the tokenizer's 64, and the two that are never used
        "type_vocab_size": 1,
        "pad_token_id": 1,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "initializer_range": SPREAD,
    }


def roberta_tokenizer() -> RobertaTokenizer:
    pairs, merges = byte_pairs(end_of_word=None)
    vocabulary = {token: i for i, token in enumerate([*SPECIAL, *pairs, "<mask>"])}
    return RobertaTokenizer(vocab=vocabulary, merges=merges, model_max_length=64)


def unigram_tokenizer() -> XLMRobertaTokenizer:
    """Frequent pieces score better than rare ones, and any better than its letters."""
    words = [tuple(f"▁{word}") for text in CORPUS for word in text.split()]
    letters = sorted({letter for word in words for letter in word})
    pieces = [first + second for first, second in learn_merges(words, 150)]
    scores = {piece: -2 - i / 100 for i, piece in enumerate(dict.fromkeys(pieces))}
    ends: dict[str, float] = dict.fromkeys(SPECIAL, 0.0)
    vocabulary = {**ends, **dict.fromkeys(letters, -10.0), **scores, "<mask>": 0.0}
    return XLMRobertaTokenizer(vocab=list(vocabulary.items()), model_max_length=64)
