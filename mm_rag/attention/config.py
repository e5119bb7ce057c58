"""What a model's configuration says about its attention."""

from __future__ import annotations

from typing import Any, cast

from transformers import PreTrainedModel

__all__ = ["decoder_config", "longest_path", "refused_by_config"]

_LAYERS = {"full_attention", "sliding_attention", "chunked_attention"}


def decoder_config(model: PreTrainedModel) -> Any:
    """The configuration that the text decoder's layers read; a vision tower has another."""
    decoder: Any = model.get_decoder()
    return getattr(decoder, "config", model.config).get_text_config()


def longest_path(model: PreTrainedModel) -> int | None:
    """How long a path may be: prefix and branch together.

    Args:
        model: The model, or its decoder alone.

    Returns:
        Tokens, up to which sliding windows and chunks hide nothing; None where there are none.
    """
    config = decoder_config(model)
    windows = {
        "sliding_attention": getattr(config, "sliding_window", None),
        "chunked_attention": getattr(config, "attention_chunk_size", None),
    }
    present = set(getattr(config, "layer_types", None) or windows)
    sizes = [size for kind, size in windows.items() if size is not None and kind in present]
    return min(sizes, default=None)


def refused_by_config(model: PreTrainedModel) -> bool:
    """Whether a model's kind of attention rules trees out, whatever a probe would say.

    Recurrent layers and convolutions run across the branches; tokens that see later ones make a
    prefix depend on what follows it; some rotations and temperatures depend on how many tokens a
    row has, which a short probe does not show.
    """
    config = decoder_config(model)
    return (
        model.config.is_encoder_decoder
        or config._attn_implementation != "sdpa"
        or not getattr(config, "is_causal", True)
        or bool(getattr(config, "use_bidirectional_attention", None))
        or bool(getattr(config, "attn_temperature_tuning", None))
        or not set(getattr(config, "layer_types", None) or ()) <= _LAYERS
        or any(kind == "longrope" or "dynamic" in kind for kind in _rotations(config))
    )


def _rotations(config: Any) -> list[str]:
    """The kinds of rotary embeddings: one for all layers, or one for each kind of layer."""
    found: object = getattr(config, "rope_parameters", None)
    if not isinstance(found, dict):
        return []
    rope = cast("dict[str, Any]", found)
    each = [rope, *(value for value in rope.values() if isinstance(value, dict))]
    return [str(one["rope_type"]) for one in each if "rope_type" in one]
