"""A replica of encoders made from language models for text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import processors
from transformers import Qwen2Tokenizer, Qwen3Config, Qwen3Model

from .common import SPREAD, byte_pairs, write_json, write_old_modules, write_pooling, write_versions

END = "<|endoftext|>"
INSTRUCTION = (
    "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
)


def qwen3_embedding(folder: Path) -> Path:
    """Qwen3-Embedding-0.6B: the tokenizer ends each text, and that token's vector is the text's.

    No sentence_bert_config.json, and a configuration that names the class for generation although
    the weights are the bare model's.
    """
    torch.manual_seed(10)
    tokenizer = _tokenizer()
    Qwen3Model(_config(len(tokenizer))).save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    write_json(folder / "config.json", {**config, "architectures": ["Qwen3ForCausalLM"]})
    tokenizer.save_pretrained(folder)
    write_old_modules(folder, ["Transformer", "Pooling", "Normalize"])
    write_pooling(folder, "lasttoken", later=True)
    more = {"prompts": {"query": INSTRUCTION, "document": ""}, "default_prompt_name": None}
    write_versions(folder, "3.0.1", "4.51.2", "2.5.1", **more, similarity_fn_name="cosine")
    return folder


def _config(vocabulary: int) -> Qwen3Config:
    settings: dict[str, Any] = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None}
    return Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        initializer_range=SPREAD,
        **settings,
    )


def _tokenizer() -> Qwen2Tokenizer:
    pairs, merges = byte_pairs(end_of_word=None)
    vocabulary = {token: i for i, token in enumerate([*pairs, END, "<|im_start|>", "<|im_end|>"])}
    tokenizer = Qwen2Tokenizer(
        vocab=vocabulary,
        merges=merges,
        model_max_length=256,
        eos_token="<|im_end|>",
        padding_side="left",
    )
    backend: Any = tokenizer.backend_tokenizer
    byte_level = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    ending = processors.TemplateProcessing(
        single=f"$A {END}", pair=f"$A {END} $B {END}", special_tokens=[(END, vocabulary[END])]
    )
    backend.post_processor = processors.Sequence([byte_level, ending])
    return tokenizer
