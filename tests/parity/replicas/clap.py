"""A replica of CLAP, for text and sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, ClapProcessor

from .common import pickle_weights, split_processor
from .roberta import roberta_tokenizer

RATE = 48_000  # samples a second
SECONDS = 2  # longer clips are cut, at a place chosen by chance; shorter ones repeated


def clap_unfused(folder: Path) -> Path:
    """clap-htsat-unfused: a plain checkpoint; windows over a mel spectrogram beside RoBERTa."""
    torch.manual_seed(13)
    tokenizer = roberta_tokenizer()
    ClapModel(_config(len(tokenizer))).save_pretrained(folder)
    pickle_weights(folder)
    extractor = ClapFeatureExtractor(
        feature_size=64,
        sampling_rate=RATE,
        max_length_s=SECONDS,
        frequency_min=50,
        truncation="rand_trunc",
    )
    ClapProcessor(extractor, tokenizer).save_pretrained(folder)
    split_processor(folder, "feature_extractor")
    return folder


def _config(vocabulary: int) -> ClapConfig:
    text: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 66,
        "initializer_factor": 10.0,
    }
    audio: dict[str, Any] = {
        "spec_size": 128,
        "num_mel_bins": 64,
        "window_size": 4,
        "depths": [1, 1],
        "num_attention_heads": [2, 4],
        "num_hidden_layers": 2,
        "patch_embeds_hidden_size": 16,
        "hidden_size": 32,
        "initializer_factor": 3.0,
    }
    return ClapConfig(text_config=text, audio_config=audio, projection_dim=24)
