"""Replicas of encoders made from Qwen models."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from transformers import (
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from .common import byte_pairs
from .layout import with_special, write_layout

QWEN_SPECIAL = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
]

# The shape of the published template: a default instruction, typed parts, the assistant's turn.
QWEN_TEMPLATE = (
    "{%- if messages[0].role != 'system' -%}"
    "<|im_start|>system\nRepresent the user's input.<|im_end|>\n"
    "{%- endif -%}"
    "{%- for message in messages -%}"
    "<|im_start|>{{ message.role }}\n"
    "{%- if message.content is string -%}{{ message.content }}"
    "{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type == 'image' -%}<|vision_start|><|image_pad|><|vision_end|>"
    "{%- elif part.type == 'video' -%}<|vision_start|><|video_pad|><|vision_end|>"
    "{%- elif 'text' in part -%}{{ part.text }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "<|im_end|>\n"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|im_start|>assistant\n{%- endif -%}"
)


def qwen3_vl(folder: Path, *, max_length: int = 256) -> Path:
    """The layout of Qwen3-VL-Embedding-2B: chat template, last token, instructions.

    The weights have the names of the model with its language head, as the published ones do.
    """
    torch.manual_seed(4)
    tokenizer = qwen_tokenizer(max_length)
    Qwen3VLForConditionalGeneration(_config(tokenizer)).save_pretrained(folder)
    patches: dict[str, Any] = {"patch_size": 8, "temporal_patch_size": 2, "merge_size": 2}
    picture: dict[str, Any] = {"size": {"shortest_edge": 32 * 32, "longest_edge": 64 * 64}}
    clip: dict[str, Any] = {"size": {"shortest_edge": 4 * 32 * 32, "longest_edge": 8 * 48 * 48}}
    processor = Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(**patches, **picture),
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(**patches, **clip),
        chat_template=QWEN_TEMPLATE,
    )
    processor.save_pretrained(folder)
    write_layout(
        folder,
        ("text", "image", "video", "message"),
        pooling="lasttoken",
        prompts={"query": "Find pages that answer the question.", "document": ""},
        processing={"chat_template": {"add_generation_prompt": True}},
    )
    return folder


def qwen3_vl_trained(folder: Path) -> Path:
    """The layout of Qwen3-VL-Embedding-2B-vdr: what sentence-transformers saves after a training.

    It saves the model without its head, so the weights have other names than the published base.
    """
    with TemporaryDirectory() as base:
        model = SentenceTransformer(str(qwen3_vl(Path(base))), device="cpu")
        model.save(str(folder), create_model_card=False)
    return folder


def _config(tokenizer: Qwen2Tokenizer) -> Qwen3VLConfig:
    ids: dict[str, Any] = {token: tokenizer.convert_tokens_to_ids(token) for token in QWEN_SPECIAL}
    return Qwen3VLConfig(
        text_config=_text_config(len(tokenizer)),
        vision_config=_vision_config(),
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )


def _text_config(vocabulary: int) -> dict[str, Any]:
    rope = {"rope_type": "default", "mrope_section": [2, 1, 1], "mrope_interleaved": True}
    return {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 1024,
        "initializer_range": 0.1,
        "rope_parameters": {**rope, "rope_theta": 10_000.0},
    }


def _vision_config() -> dict[str, Any]:
    return {
        "depth": 3,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 4,
        "out_hidden_size": 32,
        "patch_size": 8,
        "temporal_patch_size": 2,
        "spatial_merge_size": 2,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0, 1],
        "initializer_range": 0.1,
    }


def qwen_tokenizer(max_length: int) -> Qwen2Tokenizer:
    words, merges = byte_pairs(end_of_word=None)
    vocabulary = with_special(words, QWEN_SPECIAL)
    return Qwen2Tokenizer(
        vocab=vocabulary,
        merges=merges,
        model_max_length=max_length,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        additional_special_tokens=QWEN_SPECIAL,
    )
