"""A fingerprint of what a model computes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch

from mm_rag.device import weights_of
from mm_rag.modules.chain import Chain
from mm_rag.modules.module import Module
from mm_rag.modules.static_embedding import StaticEmbedding
from mm_rag.modules.transformer import Transformer
from mm_rag.preprocessing.processor import Processor

# Values sampled from each tensor, evenly spread. Training changes nearly all values of a tensor, so
# a sample distinguishes models, in milliseconds and without reading gigabytes.
_SAMPLE = 64

# Tokenizers are compared by their output: their serialisation changes with the version of
# `tokenizers`, and takes seconds for a large vocabulary. The text has case, accents, digits,
# punctuation, white space, other scripts, compatibility forms, an emoji and control characters.
_PROBE = (
    "The QUICK brown-fox's 12,345.67 (naïve) café \u2013 e-mail: a_b@c.org\n\tdef f(x): return x**2"
    "  Straße Ærø İstanbul Привет κόσμε שלום مرحبا नमस्ते 日本語 漢字 한국어 ไทย ﬁ \uff12 ½ ™ 🎉 "
    "\u00ad\u200b\x00"
)
_VOCABULARY_SAMPLE = 512

# The parts for media in a processor of several modalities.
_PARTS = ("image_processor", "feature_extractor", "video_processor")

# Settings without effect on the output, which only some checkpoints have.
_ORIGIN = {"auto_map", "processor_class"}


def fingerprint(chain: Chain, **settings: Any) -> str:
    """Hash a chain's modules with their settings, a sample of its weights, and `settings`.

    Weights are compared as bfloat16, so that the fingerprint of a model does not depend on the
    precision or the device it is loaded with: its vectors differ in rounding only.

    Returns:
        16 hex digits.
    """
    digest = hashlib.sha256()
    # All of them, not only the chain's own: a Router has modules in its routes.
    found = [(name, m) for name, m in chain.named_modules() if isinstance(m, Module)]
    modules = [(name, module.type_name, module.config()) for name, module in found]
    with chain.lock:
        inputs = [_module_inputs(module) for _, module in found]
    described = [modules, inputs, settings]
    digest.update(json.dumps(described, sort_keys=True, default=str).encode())
    for name, tensor in sorted(weights_of(chain).items()):
        flat = tensor.detach().flatten()
        sample = flat[:: max(1, flat.numel() // _SAMPLE)].to(torch.bfloat16)
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(sample.float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def _module_inputs(module: Module) -> Any:
    match module:
        case Transformer():
            return _inputs(module.processor)
        case StaticEmbedding():
            return module.tokenizer.encode(_PROBE).ids
        case _:
            return None


def _inputs(processor: Processor) -> dict[str, Any]:
    """The settings that a batch's tensors depend on."""
    hf_processor, tokenizer = processor.hf_processor, processor.tokenizer
    parts: list[Any] = []
    if processor.is_multimodal:
        parts = [getattr(hf_processor, name, None) for name in _PARTS]
    elif hf_processor is not tokenizer:
        parts = [hf_processor]
    return {
        "max_length": processor.tokenizer_limit,
        "tokenizer": _tokenizer(tokenizer) if tokenizer else None,
        "template": getattr(hf_processor, "chat_template", None),
        "media": [_settings(part) for part in parts if part is not None],
    }


def _tokenizer(tokenizer: Any) -> list[Any]:
    size, texts = len(tokenizer), ["a", _PROBE]
    pads = tokenizer.pad_token is not None
    ids = list(range(0, size, max(1, size // _VOCABULARY_SAMPLE)))
    return [
        size,
        tokenizer.convert_ids_to_tokens(ids),
        tokenizer.get_added_vocab(),
        tokenizer(_PROBE, padding=False, truncation=False, verbose=False)["input_ids"],
        tokenizer(texts, padding=pads, truncation=False, verbose=False)["input_ids"],
    ]


def _settings(part: Any) -> dict[str, Any]:
    """The settings of a media processor, without unset ones, which depend on the version."""
    settings: dict[str, Any] = part.to_dict()
    return {
        name: value for name, value in settings.items() if value is not None and name not in _ORIGIN
    }
