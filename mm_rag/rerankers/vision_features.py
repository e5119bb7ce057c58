"""Sight: the pictures and videos of a language model, each processed and looked at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL.Image import Image as PILImage
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling

from mm_rag.content import Image, Video
from mm_rag.errors import InputError
from mm_rag.media.access import open_bounded
from mm_rag.modules.transformer import Transformer
from mm_rag.preprocessing.processor import Processing
from mm_rag.rerankers.feature_cache import FeatureCache
from mm_rag.rerankers.seen_medium import SeenMedium

# Models whose pictures are causal tokens among the others, and which take what their vision tower
# made before as `mm_encoder_outputs`. Elsewhere the tokens of a picture may see each other (Gemma
# 3), or features are laid out in another way (LLaVA-NeXT): those go the plain way.
_FAMILIES: dict[str, frozenset[str]] = {
    "qwen2_vl": frozenset({"image", "video"}),
    "qwen2_5_vl": frozenset({"image"}),  # its videos have a clock of their own
    "qwen3_vl": frozenset({"image", "video"}),
    "qwen3_vl_moe": frozenset({"image", "video"}),
}

Medium = Image | Video


@dataclass
class MediaOutput(BaseModelOutputWithPooling):
    """The output of a vision tower, as transformers' models take it in `mm_encoder_outputs`.

    Attributes:
        deepstack_features: Of DeepStack: for each further layer, the features of every medium.
    """

    # Every model has its own subclass for this, in a module of its own; a subclass of the shared
    # base does for all of them, whichever methods of it a release of transformers calls.
    deepstack_features: list[tuple[Tensor, ...]] | None = None


class Sight:
    """Look at pictures and videos with a model's vision tower, and remember what was seen.

    Args:
        transformer: The model with its processor.
        cache: Where what was seen is kept.
        fingerprint: Of the model, for keys that outlive this process.
    """

    def __init__(
        self, transformer: Transformer, cache: FeatureCache, fingerprint: Callable[[], str]
    ) -> None:
        self._transformer = transformer
        self._processing: Processing = transformer.processing
        self._cache = cache
        self._fingerprint = fingerprint

    @property
    def modalities(self) -> frozenset[str]:
        """What it can look at; empty for models without eyes, or with others."""
        kinds = _FAMILIES.get(self._transformer.model.config.model_type, frozenset())
        return kinds & frozenset(self._transformer.methods)

    def placeholder(self, kind: str) -> tuple[str, int]:
        """The token that stands for a medium in the text, and its id."""
        processor = self._processing.processor
        return getattr(processor, f"{kind}_token"), getattr(processor, f"{kind}_token_id")

    def see(self, medium: Medium) -> SeenMedium:
        """What the model sees of it, from the cache where it was seen before.

        Raises:
            UnreadableMedia: A file is missing or damaged.
        """
        if isinstance(medium, Image) and isinstance(medium.source, PILImage):
            # Upright RGB, so that the same picture has the same bytes; opened once for both uses.
            medium = Image(self._processing.opener.picture(medium))
        key = self._key(medium)
        kept = self._cache.get(key) if key else None
        if kept is not None:
            return kept
        seen = self._look(medium)
        if key:
            self._cache.put(key, seen)
        return seen

    def outputs(self, seen: Sequence[tuple[str, SeenMedium]]) -> dict[str, Any]:
        """The features of several media, by kind, as the model's `mm_encoder_outputs`."""
        device = self._transformer.device
        outputs: dict[str, Any] = {}
        for kind in dict.fromkeys(kind for kind, _ in seen):
            same = [medium for other, medium in seen if other == kind]
            levels = zip(*(medium.levels for medium in same), strict=True)
            features: Any = tuple(medium.features.to(device) for medium in same)
            stacked = [tuple(one.to(device) for one in level) for level in levels]
            outputs[kind] = MediaOutput(pooler_output=features, deepstack_features=stacked)
        return outputs

    def _look(self, medium: Medium) -> SeenMedium:
        kind = medium.modality
        tensors = self._processing.alone(medium)
        grid, device = tensors[f"{kind}_grid_thw"], self._transformer.device
        pixels = tensors["pixel_values" if kind == "image" else "pixel_values_videos"]
        look = getattr(self._transformer.model, f"get_{kind}_features")
        with torch.inference_mode():
            made = look(pixels.to(device), grid.to(device), return_dict=True)
        levels: Sequence[Any] = getattr(made, "deepstack_features", None) or ()
        tokenizer: Any = self._processing.tokenizer
        ids = tensors["input_ids"][0]
        return SeenMedium(
            replacement=tokenizer.decode(ids, clean_up_tokenization_spaces=False),
            grid=grid,
            features=_joined(made.pooler_output),
            levels=tuple(_joined(level) for level in levels),
        )

    def _key(self, medium: Medium) -> str | None:
        """Equal for the same bytes seen with the same settings; None for what has no bytes."""
        content = self._digest(medium)
        if content is None:
            return None
        # A model has the same fingerprint in another precision, but sees less or more precisely.
        seeing = [self._fingerprint(), str(self._transformer.model.dtype)]
        settings = [*seeing, self._processing.described(medium.modality)]
        told = json.dumps([content, *settings], sort_keys=True, default=str)
        return hashlib.sha256(told.encode()).hexdigest()

    def _digest(self, medium: Medium) -> str | None:
        """Of what a picture or video holds, and of which part of it is meant."""
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
                return None  # an address, whose content may change; a decoder
        if content is None or isinstance(medium, Image):
            return content
        metadata = sorted((name, repr(value)) for name, value in (medium.metadata or {}).items())
        return json.dumps([content, medium.start, medium.end, metadata])

    def _file_digest(self, path: Path) -> str | None:
        """Of its bytes, and not its date: a file may be written twice within a tick of a clock."""
        try:
            with open_bounded(path, self._processing.opener.policy) as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except (InputError, OSError):
            return None  # opening it says what is wrong with it


def _joined(parts: Any) -> Tensor:
    """One medium's features, which models give split by picture, or by frame."""
    return parts if torch.is_tensor(parts) else torch.cat(tuple(parts))


def _bytes_digest(told: str, content: bytes) -> str:
    return hashlib.sha256(told.encode() + content).hexdigest()
