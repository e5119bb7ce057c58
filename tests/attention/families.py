"""Tiny random models of architectures that support tree attention, and of some that do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers as hf

WORDS = 97
SHAPE: dict[str, Any] = {
    "vocab_size": WORDS,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
_RECURRENT = {
    "num_hidden_layers": 4,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
}
_LONG = {"rope_type": "longrope", "short_factor": [1.0] * 8, "long_factor": [2.0] * 8}
_SECTIONS = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]}
_TEXT = SHAPE | {"rope_parameters": _SECTIONS}
_SIGHT = {"depth": 1, "num_heads": 2, "patch_size": 4, "hidden_size": 32, "out_hidden_size": 64}
_GEMMA_SIGHT = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}


def model(kind: Any, config: Any, **changes: Any) -> Any:
    """A tiny model with reproducible random weights."""
    settings = SHAPE | changes if issubclass(config, hf.PreTrainedConfig) else changes
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind._from_config(config(**settings)).eval()


def composite(kind: Any, config: Any, sight: dict[str, Any], text: dict[str, Any]) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind._from_config(config(text_config=text, vision_config=sight)).eval()


def qwen3(**changes: Any) -> Any:
    return model(hf.Qwen3Model, hf.Qwen3Config, **changes)


TAKE: dict[str, Callable[[], Any]] = {
    "Llama": lambda: model(hf.LlamaForCausalLM, hf.LlamaConfig),
    "Llama, classifier": lambda: model(hf.LlamaForSequenceClassification, hf.LlamaConfig),
    "Mistral, window": lambda: model(hf.MistralForCausalLM, hf.MistralConfig, sliding_window=40),
    "Qwen2": lambda: model(hf.Qwen2ForCausalLM, hf.Qwen2Config),
    "Qwen3": lambda: model(hf.Qwen3ForCausalLM, hf.Qwen3Config),
    "Qwen3, bare": qwen3,
    "Qwen3, experts": lambda: model(hf.Qwen3MoeForCausalLM, hf.Qwen3MoeConfig, **_EXPERTS),
    "Gemma": lambda: model(hf.GemmaForCausalLM, hf.GemmaConfig),
    "Gemma 3, window": lambda: model(
        hf.Gemma3ForCausalLM,
        hf.Gemma3TextConfig,
        sliding_window=40,
        layer_types=["sliding_attention", "full_attention"],
    ),
    "Phi-3": lambda: model(hf.Phi3ForCausalLM, hf.Phi3Config),
    "GPT-2": lambda: model(hf.GPT2LMHeadModel, hf.GPT2Config),
    "Qwen2-VL, bare": lambda: composite(
        hf.Qwen2VLModel, hf.Qwen2VLConfig, _SIGHT | {"hidden_size": 64, "embed_dim": 32}, _TEXT
    ),
    "Qwen2.5-VL": lambda: composite(
        hf.Qwen2_5_VLForConditionalGeneration, hf.Qwen2_5_VLConfig, _SIGHT, _TEXT
    ),
    "Qwen3-VL": lambda: composite(
        hf.Qwen3VLForConditionalGeneration,
        hf.Qwen3VLConfig,
        _SIGHT | {"deepstack_visual_indexes": [0]},
        _TEXT,
    ),
}

REFUSE: dict[str, Callable[[], Any]] = {
    "soft caps (Gemma 2)": lambda: model(hf.Gemma2ForCausalLM, hf.Gemma2Config),
    "sinks (GPT-OSS)": lambda: model(
        hf.GptOssForCausalLM, hf.GptOssConfig, num_local_experts=4, num_experts_per_tok=2
    ),
    "recurrent layers (Qwen3.5)": lambda: model(
        hf.Qwen3_5ForCausalLM, hf.Qwen3_5TextConfig, **_RECURRENT
    ),
    "convolutions (LFM2)": lambda: model(hf.Lfm2ForCausalLM, hf.Lfm2Config, full_attn_idxs=[1]),
    "bidirectional by configuration (Gemma 3)": lambda: model(
        hf.Gemma3TextModel, hf.Gemma3TextConfig, use_bidirectional_attention=True
    ),
    "bidirectional pictures (Gemma 3)": lambda: composite(
        hf.Gemma3ForConditionalGeneration, hf.Gemma3Config, _GEMMA_SIGHT, SHAPE
    ),
    "bidirectional by nature (BERT)": lambda: model(hf.BertModel, hf.BertConfig),
    "an encoder and a decoder (T5)": lambda: model(
        hf.T5ForConditionalGeneration, hf.T5Config, d_kv=16, num_layers=2, num_heads=4
    ),
    "rotations by length (Phi-3, longrope)": lambda: model(
        hf.Phi3ForCausalLM,
        hf.Phi3Config,
        original_max_position_embeddings=512,
        rope_parameters=_LONG | {"rope_theta": 1e4, "factor": 1.0},
    ),
    "temperature by length (Llama 4)": lambda: model(
        hf.Llama4ForCausalLM, hf.Llama4TextConfig, num_local_experts=2, intermediate_size_mlp=96
    ),
    "a window that hides the prefix (Mistral)": lambda: model(
        hf.MistralForCausalLM, hf.MistralConfig, sliding_window=8
    ),
}
