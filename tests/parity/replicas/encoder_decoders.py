"""Replicas of encoder-decoders for texts and for speech, of BLIP-2 and of FLAVA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    BlenderbotConfig,
    BlenderbotForConditionalGeneration,
    BlenderbotSmallConfig,
    BlenderbotSmallForConditionalGeneration,
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    BlipImageProcessor,
    FlavaConfig,
    FlavaImageProcessor,
    FlavaModel,
    FlavaProcessor,
    M2M100Config,
    M2M100ForConditionalGeneration,
    MarianConfig,
    MarianMTModel,
    MoonshineConfig,
    MoonshineForConditionalGeneration,
    PegasusConfig,
    PegasusForConditionalGeneration,
    PegasusXConfig,
    PegasusXForConditionalGeneration,
    ProphetNetConfig,
    ProphetNetForConditionalGeneration,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Processor,
)

from .common import SPREAD, word_pieces

_SIZES: dict[str, Any] = {
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "d_model": 32,
    "max_position_embeddings": 64,
    "init_std": SPREAD,
}
_PROPHET: dict[str, Any] = {
    **{name: size for name, size in _SIZES.items() if not name.endswith(("heads", "layers"))},
    "hidden_size": 32,
    "num_encoder_attention_heads": 4,
    "num_decoder_attention_heads": 4,
    "num_encoder_layers": 2,
    "num_decoder_layers": 1,
}
_TINY: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "initializer_range": SPREAD,
}
_PATCHES: dict[str, Any] = {"image_size": 16, "patch_size": 8}
_PICTURE: dict[str, Any] = {"size": {"height": 16, "width": 16}}

TEXT_MODELS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "pegasus": (PegasusForConditionalGeneration, PegasusConfig, _SIZES),
    "pegasus_x": (
        PegasusXForConditionalGeneration,
        PegasusXConfig,
        {**_SIZES, "num_global_tokens": 4, "block_size": 8},
    ),
    "m2m_100": (M2M100ForConditionalGeneration, M2M100Config, _SIZES),
    "marian": (MarianMTModel, MarianConfig, _SIZES),
    "blenderbot": (BlenderbotForConditionalGeneration, BlenderbotConfig, _SIZES),
    "blenderbot-small": (BlenderbotSmallForConditionalGeneration, BlenderbotSmallConfig, _SIZES),
    "prophetnet": (ProphetNetForConditionalGeneration, ProphetNetConfig, _PROPHET),
}
"""By model type: the class of the whole model, that of its configuration, and its sizes."""


def text_model(folder: Path, kind: str) -> Path:
    """A whole encoder-decoder, as published."""
    torch.manual_seed(31)
    tokenizer = word_pieces()
    model, config, sizes = TEXT_MODELS[kind]
    tokens = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    settings = config(vocab_size=len(tokenizer), decoder_start_token_id=2, **tokens, **sizes)
    model(settings).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def moonshine(folder: Path) -> Path:
    """moonshine-tiny: a speech recogniser that takes the waveform."""
    torch.manual_seed(32)
    tokenizer = word_pieces()
    sizes: dict[str, Any] = {
        "encoder_num_hidden_layers": 1,
        "decoder_num_hidden_layers": 1,
        "encoder_num_attention_heads": 2,
        "decoder_num_attention_heads": 2,
    }
    config = MoonshineConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        initializer_range=SPREAD,
        pad_token_id=0,
        **sizes,
    )
    MoonshineForConditionalGeneration(config).save_pretrained(folder)
    Wav2Vec2Processor(Wav2Vec2FeatureExtractor(), tokenizer).save_pretrained(folder)
    return folder


def flava(folder: Path) -> Path:
    """flava-full: vectors of tokens and of patches, by a method for each modality."""
    torch.manual_seed(33)
    tokenizer = word_pieces()
    text = {**_TINY, "vocab_size": len(tokenizer), "max_position_embeddings": 64}
    towers: dict[str, Any] = {
        "text_config": text,
        "image_config": {**_TINY, **_PATCHES},
        "multimodal_config": _TINY,
    }
    FlavaModel(FlavaConfig(**towers, hidden_size=32, projection_dim=32)).save_pretrained(folder)
    pictures = FlavaImageProcessor(**_PICTURE, crop_size=_PICTURE["size"])
    FlavaProcessor(pictures, tokenizer).save_pretrained(folder)
    return folder


def blip_2(folder: Path) -> Path:
    """blip2-opt: the tokens of a language model, the patches of a vision tower."""
    torch.manual_seed(34)
    tokenizer = word_pieces()
    words = {"vocab_size": len(tokenizer)}
    language = {
        "model_type": "opt",
        "hidden_size": 32,
        "word_embed_proj_dim": 32,
        "ffn_dim": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": 64,
        "init_std": SPREAD,
        "pad_token_id": 0,
    }
    towers: dict[str, Any] = {
        "vision_config": {**_TINY, **_PATCHES},
        "qformer_config": {**_TINY, **words, "encoder_hidden_size": 32},
        "text_config": {**language, **words},
    }
    config = Blip2Config(**towers, num_query_tokens=4)
    Blip2ForConditionalGeneration(config).save_pretrained(folder)
    processor = Blip2Processor(BlipImageProcessor(**_PICTURE), tokenizer, num_query_tokens=4)
    processor.save_pretrained(folder)
    return folder
