"""Replicas of encoders made from Qwen2.5-Omni: text, images, audio and video."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from transformers import (
    Qwen2_5OmniProcessor,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    WhisperFeatureExtractor,
)

from .code.nv_omni_embed.modeling_nvomniembed import NVOmniEmbedConfig, NVOmniEmbedModel
from .common import byte_pairs
from .layout import LAST_OF_ALL, with_special, write_layout
from .nemotron import copy_code

NAMED = {
    "image_token": "<|IMAGE|>",
    "audio_token": "<|AUDIO|>",
    "video_token": "<|VIDEO|>",
    "vision_bos_token": "<|vision_bos|>",
    "vision_eos_token": "<|vision_eos|>",
    "audio_bos_token": "<|audio_bos|>",
    "audio_eos_token": "<|audio_eos|>",
}
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *NAMED.values()]
MEL_BINS = 16
SECONDS = 4  # audio is always padded to this length, and cut at it; the published one has 300

# The processor of Qwen2.5-Omni has limits of its own on the pixels of a video, and so the
# published one is given limits at every call.
PROCESSING = {
    "text": {"max_length": 512},
    "audio": {"max_length": 3 * 16_000},
    "video": {"size": {"shortest_edge": 2 * 32 * 32, "longest_edge": 6 * 48 * 48}},
}

# The shape of the published template: a default system turn, parts of every medium.
TEMPLATE = (
    "{%- if messages[0].role != 'system' -%}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "{%- endif -%}"
    "{%- for message in messages -%}"
    "<|im_start|>{{ message.role }}\n"
    "{%- if message.content is string -%}{{ message.content }}"
    "{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type == 'image' -%}<|vision_bos|><|IMAGE|><|vision_eos|>"
    "{%- elif part.type == 'audio' -%}<|audio_bos|><|AUDIO|><|audio_eos|>"
    "{%- elif part.type == 'video' -%}<|vision_bos|><|VIDEO|><|vision_eos|>"
    "{%- elif 'text' in part -%}{{ part.text }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "<|im_end|>\n"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|im_start|>assistant\n{%- endif -%}"
)


def omni_embed(folder: Path) -> Path:
    """The layout of omni-embed-nemotron-3b: own model, the processor of Qwen2.5-Omni, mean."""
    torch.manual_seed(8)
    tokenizer = omni_tokenizer()
    config = NVOmniEmbedConfig(**omni_settings(tokenizer))
    NVOmniEmbedModel(config).save_pretrained(folder)
    omni_processor(tokenizer, TEMPLATE).save_pretrained(folder)
    copy_code(
        folder,
        "nv_omni_embed",
        {
            "AutoConfig": "modeling_nvomniembed.NVOmniEmbedConfig",
            "AutoModel": "modeling_nvomniembed.NVOmniEmbedModel",
        },
    )
    write_layout(
        folder,
        ("text", "image", "audio", "video", "message"),
        pooling="mean",
        prompts={"query": "query: ", "document": "passage: "},
        output=LAST_OF_ALL,
        processing=PROCESSING,
    )
    return folder


def omni_processor(tokenizer: Qwen2Tokenizer, template: str) -> Qwen2_5OmniProcessor:
    """The processor of Qwen2.5-Omni, for small pictures and short recordings."""
    patches: dict[str, Any] = {"patch_size": 8, "temporal_patch_size": 2, "merge_size": 2}
    picture: dict[str, Any] = {"size": {"shortest_edge": 32 * 32, "longest_edge": 64 * 64}}
    return Qwen2_5OmniProcessor(
        image_processor=Qwen2VLImageProcessor(**patches, **picture),
        video_processor=Qwen2VLVideoProcessor(**patches, **picture),
        feature_extractor=WhisperFeatureExtractor(
            feature_size=MEL_BINS,
            chunk_length=SECONDS,
            return_attention_mask=True,
        ),
        tokenizer=tokenizer,
        chat_template=template,
    )


def omni_settings(tokenizer: Qwen2Tokenizer) -> dict[str, Any]:
    """The configuration of a thinker of width 32."""
    ids: dict[str, Any] = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    return {
        "text_config": _text_config(len(tokenizer)),
        "vision_config": _vision_config(),
        "audio_config": _audio_config(),
        "image_token_index": ids["<|IMAGE|>"],
        "audio_token_index": ids["<|AUDIO|>"],
        "video_token_index": ids["<|VIDEO|>"],
        "audio_start_token_id": ids["<|audio_bos|>"],
        "audio_end_token_id": ids["<|audio_eos|>"],
        # The positions of pictures are counted from this token, which the class does not declare.
        "vision_start_token_id": ids["<|vision_bos|>"],
    }


def _text_config(vocabulary: int) -> dict[str, Any]:
    rope = {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 10_000.0}
    return {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        "initializer_range": 0.1,
        "rope_parameters": rope,
    }


def _vision_config() -> dict[str, Any]:
    return {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 4,
        "out_hidden_size": 32,
        "patch_size": 8,
        "window_size": 32,
        "fullatt_block_indexes": [1],
        "initializer_range": 0.1,
    }


def _audio_config() -> dict[str, Any]:
    return {
        "num_mel_bins": MEL_BINS,
        "encoder_layers": 2,
        "encoder_attention_heads": 4,
        "encoder_ffn_dim": 64,
        "d_model": 32,
        "max_source_positions": 200,
        "n_window": 20,
        "output_dim": 32,
        "initializer_range": 0.1,
    }


@cache  # training breaks ties by chance, and the model's size must fit
def omni_tokenizer() -> Qwen2Tokenizer:
    """Byte pairs, and tokens for media of every kind."""
    words, merges = byte_pairs(end_of_word=None)
    vocabulary = with_special(words, SPECIAL)
    return Qwen2Tokenizer(
        vocab=vocabulary,
        merges=merges,
        model_max_length=512,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        extra_special_tokens=NAMED,
        additional_special_tokens=["<|im_start|>"],
    )
