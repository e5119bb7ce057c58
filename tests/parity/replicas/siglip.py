"""A replica of SigLIP 2 for pictures of a fixed resolution."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, cast

import torch
from tokenizers import processors
from transformers import (
    GemmaTokenizer,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
    SiglipProcessor,
)

from .common import CORPUS, split_processor, write_json
from .pieces import Merge, learn_merges

SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
WIDTH = 24


def siglip2(folder: Path) -> Path:
    """siglip2-base-patch16-224: a plain checkpoint; SigLIP's classes, and Gemma's tokenizer.

    Published with the tokenizer's class set to GemmaTokenizer, which does not lower the case, and
    with no limit to a text's tokens, although the model has 64 positions; without attention mask.
    """
    torch.manual_seed(12)
    tokenizer = _gemma_tokenizer()
    SiglipModel(_config(len(tokenizer))).save_pretrained(folder)
    picture: dict[str, Any] = {"size": {"height": 32, "width": 32}, "resample": 2}
    middle: dict[str, Any] = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    SiglipProcessor(SiglipImageProcessor(**picture, **middle), tokenizer).save_pretrained(folder)
    split_processor(folder, "image_processor")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    write_json(folder / "tokenizer_config.json", {**settings, "tokenizer_class": "GemmaTokenizer"})
    return folder


def _config(vocabulary: int) -> SiglipConfig:
    tower = {
        "hidden_size": WIDTH,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    return SiglipConfig(
        text_config={
            **tower,
            "vocab_size": vocabulary,
            "max_position_embeddings": 64,
            "projection_size": WIDTH,
            "pad_token_id": 0,
            "bos_token_id": 2,
            "eos_token_id": 1,
        },
        vision_config={**tower, "image_size": 32, "patch_size": 8},
    )


def _gemma_tokenizer() -> GemmaTokenizer:
    vocabulary, merges = _learnt()
    tokenizer = GemmaTokenizer(
        vocab=dict(vocabulary),
        merges=cast(Any, list(merges)),
        padding_side="right",
        model_max_length=int(1e30),
        model_input_names=["input_ids"],
    )
    backend: Any = tokenizer.backend_tokenizer
    backend.post_processor = processors.TemplateProcessing(
        single="$A <eos>", pair="$A <eos> $B <eos>", special_tokens=[("<eos>", vocabulary["<eos>"])]
    )
    return tokenizer


@cache
def _learnt() -> tuple[dict[str, int], list[Merge]]:
    words = [(*word, "▁") for text in CORPUS for word in text.lower().split()]
    letters = sorted({letter for word in words for letter in word})
    octets = [f"<0x{octet:02X}>" for octet in range(256)]
    merges = learn_merges(words, 200)
    tokens = [*SPECIAL, *octets, *letters, *(first + second for first, second in merges)]
    return {token: i for i, token in enumerate(dict.fromkeys(tokens))}, merges
