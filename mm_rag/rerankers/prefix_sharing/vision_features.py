"""Vision features of pictures and videos, from the model's vision tower or from the cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL.Image import Image as PILImage
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling

from mm_rag.content import Image, Video
from mm_rag.errors import InputError
from mm_rag.media.access import open_bounded
from mm_rag.modules.chain import Chain
from mm_rag.modules.fingerprint import fingerprint
from mm_rag.modules.transformer import Transformer
from mm_rag.rerankers.feature_cache import FeatureCache, VisionFeatures

# Models whose pictures are causal tokens like the others, and whose forward accepts precomputed
# features as `mm_encoder_outputs`. In other models the tokens of a picture see each other (Gemma
# 3), or features are laid out in another way (LLaVA-NeXT): their pairs are scored padded.
_MODALITIES: dict[str, frozenset[str]] = {
    "qwen2_vl": frozenset({"image", "video"}),
    "qwen2_5_vl": frozenset({"image"}),  # its videos need a time scale of their own
    "qwen3_vl": frozenset({"image", "video"}),
    "qwen3_vl_moe": frozenset({"image", "video"}),
}

VisualMedium: TypeAlias = Image | Video


@dataclass
class MediaOutput(BaseModelOutputWithPooling):
    """Output of a vision tower, as transformers' models accept it in `mm_encoder_outputs`.

    Attributes:
        deepstack_features: For each further layer of DeepStack, the features of every medium.
    """

    # Every model has its own subclass for this, in a module of its own. A subclass of their shared
    # base serves all of them, whichever of its methods a release of transformers calls.
    deepstack_features: list[tuple[Tensor, ...]] | None = None


class VisionTower:
    """The vision tower of a model, with a cache of its features.

    Args:
        chain: A chain that begins with `transformer`; cache keys contain its fingerprint.
        transformer: The model and its processor.
        cache: Where features are kept.
    """

    def __init__(self, chain: Chain, transformer: Transformer, cache: FeatureCache) -> None:
        self._chain = chain
        self._transformer = transformer
        self._processor = transformer.processor
        self._cache = cache

    @property
    def modalities(self) -> frozenset[str]:
        """Modalities whose features can be computed separately; empty for most models."""
        kinds = _MODALITIES.get(self._transformer.model.config.model_type, frozenset())
        return kinds & frozenset(self._transformer.methods)

    def placeholder(self, modality: str) -> tuple[str, int]:
        """The token that stands for a medium in the text, and its id."""
        processor = self._processor.hf_processor
        return getattr(processor, f"{modality}_token"), getattr(processor, f"{modality}_token_id")

    def features(self, medium: VisualMedium) -> VisionFeatures:
        """Features of a picture or video, from the cache if they are there.

        Raises:
            UnreadableMedia: A file is missing or damaged.
        """
        if isinstance(medium, Image) and isinstance(medium.source, PILImage):
            # Upright RGB, so that equal pictures have equal bytes; opened once for both uses.
            medium = Image(self._processor.media.picture(medium))
        key = self._cache_key(medium)
        kept = self._cache.get(key) if key else None
        if kept is not None:
            return kept
        made = self._compute(medium)
        if key:
            self._cache.put(key, made)
        return made

    def _cache_key(self, medium: VisualMedium) -> str | None:
        """Equal for equal bytes processed by the same model; None if the bytes are unknown."""
        content = self._digest(medium)
        if content is None:
            return None
        # The fingerprint of a model does not depend on its precision; its features do.
        model = [self._fingerprint, str(self._transformer.model.dtype)]
        settings = self._processor.media_settings(medium.modality)
        described = json.dumps([content, *model, settings], sort_keys=True, default=str)
        return hashlib.sha256(described.encode()).hexdigest()

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self._chain)

    def _digest(self, medium: VisualMedium) -> str | None:
        """Digest of a medium's bytes and of the span to use; None if the bytes are unknown."""
        match medium.source:
            case Path() as path:
                content = self._file_digest(path)
            case bytes() as held:
                content = _bytes_digest("file", held)
            case np.ndarray() as array:
                content = _bytes_digest(f"{array.dtype}{array.shape}", array.tobytes())
            case PILImage() as picture:
                content = _bytes_digest(f"{picture.mode}{picture.size}", picture.tobytes())
            case _:
                return None  # an address, whose content may change, or a decoder
        if content is None or isinstance(medium, Image):
            return content
        metadata = sorted((name, repr(value)) for name, value in (medium.metadata or {}).items())
        return json.dumps([content, medium.start, medium.end, metadata])

    def _file_digest(self, path: Path) -> str | None:
        """Digest of the bytes; a date would not do, because clocks tick too coarsely."""
        try:
            with open_bounded(path, self._processor.media.policy) as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except (InputError, OSError):
            return None  # opening the medium reports what is wrong

    def _compute(self, medium: VisualMedium) -> VisionFeatures:
        kind = medium.modality
        tensors = self._processor.medium_tensors(medium)
        grid, device = tensors[f"{kind}_grid_thw"], self._transformer.device
        pixels = tensors["pixel_values" if kind == "image" else "pixel_values_videos"]
        run = getattr(self._transformer.model, f"get_{kind}_features")
        with torch.inference_mode():
            made = run(pixels.to(device), grid.to(device), return_dict=True)
        levels: Sequence[Any] = getattr(made, "deepstack_features", None) or ()
        tokenizer: Any = self._processor.tokenizer
        ids = tensors["input_ids"][0]
        return VisionFeatures(
            placeholder=tokenizer.decode(ids, clean_up_tokenization_spaces=False),
            grid=grid,
            features=_joined(made.pooler_output),
            deepstack=tuple(_joined(level) for level in levels),
        )

    def as_model_inputs(self, media: Sequence[tuple[str, VisionFeatures]]) -> dict[str, Any]:
        """Features of several media, in order, as the model's `mm_encoder_outputs`.

        Args:
            media: Modality and features of each medium.
        """
        device = self._transformer.device
        outputs: dict[str, Any] = {}
        for kind in dict.fromkeys(kind for kind, _ in media):
            same = [features for other, features in media if other == kind]
            levels = zip(*(one.deepstack for one in same), strict=True)
            features: Any = tuple(one.features.to(device) for one in same)
            stacked = [tuple(one.to(device) for one in level) for level in levels]
            outputs[kind] = MediaOutput(pooler_output=features, deepstack_features=stacked)
        return outputs


def _joined(parts: Any) -> Tensor:
    """Features of one medium, which models return whole, or split by picture or by frame."""
    return parts if torch.is_tensor(parts) else torch.cat(tuple(parts))


def _bytes_digest(form: str, content: bytes) -> str:
    return hashlib.sha256(form.encode() + content).hexdigest()
