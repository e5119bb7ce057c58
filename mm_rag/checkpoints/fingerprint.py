"""A short name for what a model computes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch

from mm_rag.checkpoints.placement import weights_of
from mm_rag.modules.chain import Chain
from mm_rag.modules.module import Module
from mm_rag.modules.static_embedding import StaticEmbedding
from mm_rag.modules.transformer import Transformer
from mm_rag.preprocessing.processor import Processing

# Values looked at in each tensor, evenly spread. Any training changes nearly all values of a
# tensor, so a sample tells models apart, in milliseconds and without reading gigabytes.
_SAMPLE = 64

# Tokenizers are told apart by what they do: what `tokenizers` writes of one changes with its
# version, and takes seconds for a large vocabulary. Here are case, accents, digits, punctuation,
# white space, other scripts, compatibility forms, an emoji and control characters.
_PROBE = (
    "The QUICK brown-fox's 12,345.67 (naïve) café \u2013 e-mail: a_b@c.org\n\tdef f(x): return x**2"
    "  Straße Ærø İstanbul Привет κόσμε שלום مرحبا नमस्ते 日本語 漢字 한국어 ไทย ﬁ \uff12 ½ ™ 🎉 "
    "\u00ad\u200b\x00"
)
_VOCABULARY_SAMPLE = 512

# What looks, listens and watches in a processor of several modalities.
_PARTS = ("image_processor", "feature_extractor", "video_processor")

# Where a processor's code lies says nothing of what it does, and is told by some checkpoints only.
_ORIGIN = {"auto_map", "processor_class"}


def fingerprint(chain: Chain, **settings: Any) -> str:
    """16 hex digits over a chain's modules and their settings, a sample of its weights, `settings`.

    Values are compared as bfloat16, so that a model has the same fingerprint when it is loaded
    with another precision or on another device: the vectors are the same but for rounding.
    """
    digest = hashlib.sha256()
    # Not only the chain's own: a Router holds the modules of its routes.
    found = [(name, m) for name, m in chain.named_modules() if isinstance(m, Module)]
    modules = [(name, module.type_name, module.config()) for name, module in found]
    with chain.lock:
        inputs = [_module_inputs(module) for _, module in found]
    told = [modules, inputs, settings]
    digest.update(json.dumps(told, sort_keys=True, default=str).encode())
    for name, tensor in sorted(weights_of(chain).items()):
        flat = tensor.detach().flatten()
        sample = flat[:: max(1, flat.numel() // _SAMPLE)].to(torch.bfloat16)
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(sample.float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def _module_inputs(module: Module) -> Any:
    match module:
        case Transformer():
            return _inputs(module.processing)
        case StaticEmbedding():
            return module.tokenizer.encode(_PROBE).ids
        case _:
            return None


def _inputs(processing: Processing) -> dict[str, Any]:
    """What tensors depend on besides the content."""
    processor = processing.processor
    parts = [getattr(processor, name, None) for name in _PARTS] if processing.several else []
    if processor is not processing.tokenizer and not processing.several:
        parts = [processor]
    return {
        "max_length": processing.max_length,
        "tokenizer": _tokenizer(processing.tokenizer) if processing.tokenizer else None,
        "template": getattr(processor, "chat_template", None),
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
    """Of a media processor; what is unset is left out, as versions differ in what they list."""
    settings: dict[str, Any] = part.to_dict()
    return {
        name: value for name, value in settings.items() if value is not None and name not in _ORIGIN
    }
