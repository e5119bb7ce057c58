"""A replica of Whisper: a speech recogniser with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)

from .common import byte_pairs

_LANGUAGES = ("en", "de")
_TASKS = ("<|translate|>", "<|transcribe|>")
_OTHERS = ("<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>")


def whisper(folder: Path, *, seed: int = 15, multilingual: bool = True) -> Path:
    """openai/whisper-tiny: mel features, an encoder and a decoder, time stamps among the tokens."""
    torch.manual_seed(seed)
    tokenizer = _tokenizer()
    config = _config(tokenizer)
    model = WhisperForConditionalGeneration(config)
    model.generation_config = _generation(tokenizer, multilingual=multilingual)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=16).save_pretrained(folder)
    return folder


def _tokenizer() -> WhisperTokenizer:
    vocabulary, merges = byte_pairs(end_of_word=None)
    vocabulary["<|endoftext|>"] = len(vocabulary)
    tokenizer = WhisperTokenizer(vocab=vocabulary, merges=merges)
    languages = [f"<|{language}|>" for language in _LANGUAGES]
    times = [f"<|{n * 0.02:.2f}|>" for n in range(1501)]
    specials = ["<|startoftranscript|>", *languages, *_TASKS, *_OTHERS]
    tokenizer.add_special_tokens({"additional_special_tokens": specials})
    tokenizer.add_tokens(times)
    return tokenizer


def _config(tokenizer: WhisperTokenizer) -> WhisperConfig:
    number: Any = tokenizer.convert_tokens_to_ids
    end = number("<|endoftext|>")
    return WhisperConfig(
        vocab_size=len(tokenizer),
        num_mel_bins=16,
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_target_positions=48,
        init_std=0.5,
        decoder_start_token_id=number("<|startoftranscript|>"),
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
    )


def _generation(tokenizer: WhisperTokenizer, *, multilingual: bool) -> GenerationConfig:
    number: Any = tokenizer.convert_tokens_to_ids
    end = number("<|endoftext|>")
    languages = {f"<|{name}|>": number(f"<|{name}|>") for name in _LANGUAGES}
    tasks = {"translate": number(_TASKS[0]), "transcribe": number(_TASKS[1])}
    return GenerationConfig(
        decoder_start_token_id=number("<|startoftranscript|>"),
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        no_timestamps_token_id=number("<|notimestamps|>"),
        prev_sot_token_id=number("<|startofprev|>"),
        max_initial_timestamp_index=50,
        max_length=40,
        is_multilingual=multilingual,
        return_timestamps=False,
        **({"lang_to_id": languages, "task_to_id": tasks} if multilingual else {}),
    )
