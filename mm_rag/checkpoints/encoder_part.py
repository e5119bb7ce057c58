"""Encoder-decoders, of which the encoder alone is loaded: it makes the vectors.

Checkpoints hold the whole model, or the encoder alone, as sentence-t5 does and as `save` writes it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import transformers
from transformers import PretrainedConfig, PreTrainedModel

# Encoders that transformers loads out of the weights of the whole model.
_ENCODER_MODELS: Mapping[str, str] = {
    "longt5": "LongT5EncoderModel",
    "mt5": "MT5EncoderModel",
    "switch_transformers": "SwitchTransformersEncoderModel",
    "t5": "T5EncoderModel",
    "t5gemma": "T5GemmaEncoderModel",
    "udop": "UdopEncoderModel",
    "umt5": "UMT5EncoderModel",
}

# Encoders whose weights have other names in the whole model.
_ENCODERS: Mapping[str, str] = {
    "blenderbot": "BlenderbotEncoder",
    "blenderbot-small": "BlenderbotSmallEncoder",
    "m2m_100": "M2M100Encoder",
    "marian": "MarianEncoder",
    "moonshine": "MoonshineEncoder",
    "nllb-moe": "NllbMoeEncoder",
    "pegasus": "PegasusEncoder",
    "pegasus_x": "PegasusXEncoder",
    "prophetnet": "ProphetNetEncoder",
    "whisper": "WhisperEncoder",
}

# What the encoder calls its words, which it shares with the decoder.
_WORDS: Mapping[str, str] = {"prophetnet": "word_embeddings"}


def encoder_class(config: PretrainedConfig) -> Any:
    """The class that loads the encoder alone; None for models that are used whole."""
    kind = config.model_type
    if kind in _ENCODER_MODELS:
        return getattr(transformers, _ENCODER_MODELS[kind])
    if kind not in _ENCODERS:
        return None
    name = kind.replace("-", "_")
    module = importlib.import_module(f"transformers.models.{name}.modeling_{name}")
    return getattr(module, _ENCODERS[kind])


def encoder_options(config: PretrainedConfig) -> dict[str, Any]:
    """What its `from_pretrained` needs: the encoder's weights under the names of its own."""
    if config.model_type not in _ENCODERS:
        config.is_encoder_decoder = False
        return {}
    words = _WORDS.get(config.model_type, "embed_tokens")
    whole = r"^(?:model\.|prophetnet\.)?"
    return {
        "key_mapping": {
            rf"{whole}encoder\.": "",
            rf"{whole}(?:shared|word_embeddings)\.": f"{words}.",
        }
    }


def forget_whole(model: PreTrainedModel) -> None:
    """Have an encoder saved under its own names, not under those of the whole model."""
    if hasattr(model, "_weight_conversions"):
        del model._weight_conversions
