"""A replica of encoders made from ModernBERT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import ModernBertConfig, ModernBertModel, PreTrainedTokenizerFast

from .common import SPREAD, byte_pairs, write_json, write_old_modules, write_pooling, write_versions

SPECIAL = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]


def modernbert_embed(folder: Path) -> Path:
    """modernbert-embed-base: layers that see 8 tokens beside layers that see all."""
    torch.manual_seed(9)
    tokenizer = _tokenizer()
    ModernBertModel(_config(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 96, "do_lower_case": False})
    write_old_modules(folder, ["Transformer", "Pooling", "Normalize"])
    write_pooling(folder, "mean_tokens", later=True)
    more: dict[str, Any] = {"prompts": {}, "default_prompt_name": None}
    write_versions(folder, "3.3.1", "4.48.0.dev0", "2.5.1", **more, similarity_fn_name="cosine")
    return folder


def _config(tokenizer: PreTrainedTokenizerFast) -> ModernBertConfig:
    ids: dict[str, Any] = {
        f"{name}_token_id": tokenizer.convert_tokens_to_ids(token)
        for name, token in [("pad", "[PAD]"), ("cls", "[CLS]"), ("bos", "[CLS]"), ("sep", "[SEP]")]
    }
    return ModernBertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,  # the first sees all, the others do not
        num_attention_heads=4,
        max_position_embeddings=128,
        local_attention=8,
        initializer_range=SPREAD,
        initializer_cutoff_factor=3 * SPREAD,
        **ids,
        eos_token_id=ids["sep_token_id"],
    )


def _tokenizer() -> PreTrainedTokenizerFast:
    pairs, merges = byte_pairs(end_of_word=None)
    vocabulary = {token: i for i, token in enumerate([*pairs, *SPECIAL])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    ends = [(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")]
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=ends
    )
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "cls", "sep", "pad", "mask")}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=128,
        model_input_names=["input_ids", "attention_mask"],
        **names,
    )
