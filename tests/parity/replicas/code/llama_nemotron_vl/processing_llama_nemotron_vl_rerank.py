"""The reranker's processor: rendered pairs, in which each `<image>` becomes a picture's tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image

from .processing_llama_nemotron_vl import LlamaNemotronVLProcessor


class LlamaNemotronVLRerankProcessor(LlamaNemotronVLProcessor):
    """Takes texts that name their pictures, and those pictures, nested by text or in a row."""

    def __init__(self, tokenizer: Any, chat_template: str | None = None, **kwargs: Any) -> None:
        super().__init__(tokenizer, **kwargs)
        self.chat_template = chat_template

    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        text: list[str] | None = None,
        images: list[Any] | None = None,
        text_kwargs: dict[str, Any] | None = None,
        images_kwargs: dict[str, Any] | None = None,
        common_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        options = {**(common_kwargs or {}), **(text_kwargs or {})}
        tiles = [self._tiles(image.convert("RGB")) for image in _in_a_row(images or [])]
        waiting = iter(tiles)
        prompts = [self._shown(one, waiting) for one in text or []]
        tensors = dict(self._tokens(prompts, options))
        if not tiles:
            return tensors
        flat = np.stack([tile for many in tiles for tile in many])
        return {**tensors, "pixel_values": torch.from_numpy(flat)}

    def _shown(self, text: str, waiting: Any) -> str:
        first, *rest = text.split("<image>")
        pieces = [first]
        for piece in rest:
            pixels = "<IMG_CONTEXT>" * self.num_image_token * len(next(waiting))
            pieces.append(f"<img>{pixels}</img>{piece}")
        return "".join(pieces)

    def _tokens(self, texts: list[str], options: dict[str, Any]) -> Any:
        return self.tokenizer(
            texts,
            padding=options.get("padding", True),
            truncation=options.get("truncation", True),
            max_length=options.get("max_length"),
            return_tensors=options.get("return_tensors"),
        )


def _in_a_row(images: list[Any]) -> list[Image.Image]:
    return [
        image for many in images for image in (many if isinstance(many, list | tuple) else [many])
    ]
