"""Replicas of rerankers that listen."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
)

from .common import SPREAD
from .omni import PROCESSING, omni_processor, omni_settings, omni_tokenizer
from .visual_rerankers import write_logit_score, write_transformer
from .visual_templates import OMNI_TEMPLATE


def qwen2_5_omni_reranker(folder: Path) -> Path:
    """Qwen2.5-Omni's thinker as a reranker: the log-odds of two tokens."""
    torch.manual_seed(14)
    tokenizer = omni_tokenizer()
    settings = omni_settings(tokenizer)
    settings["text_config"]["initializer_range"] = SPREAD
    config = Qwen2_5OmniThinkerConfig(**settings, initializer_range=SPREAD)
    Qwen2_5OmniThinkerForConditionalGeneration(config).save_pretrained(folder)
    omni_processor(tokenizer, OMNI_TEMPLATE).save_pretrained(folder)
    write_transformer(
        folder,
        "any-to-any",
        ("text", "image", "audio", "video", "message"),
        processing={
            "chat_template": {"add_generation_prompt": True},
            "video": PROCESSING["video"],
        },
    )
    write_logit_score(folder, tokenizer, "y", "n")
    return folder
