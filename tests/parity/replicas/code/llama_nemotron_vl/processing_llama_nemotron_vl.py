"""The processor of the stand-in: it cuts pictures into tiles and writes their tokens itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import BatchEncoding, PreTrainedTokenizerBase, ProcessorMixin


class LlamaNemotronVLProcessor(ProcessorMixin):
    """Takes texts, pictures or both; it prefixes what has a picture, the caller prefixes texts."""

    attributes = ["tokenizer"]  # noqa: RUF012 - transformers reads it from the class
    tokenizer_class = "AutoTokenizer"

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        image_size: int = 16,
        max_input_tiles: int = 4,
        num_image_token: int = 4,
        p_max_length: int = 256,
        passage_prefix: str = "passage:",
        **kwargs: Any,
    ) -> None:
        tokenizer.padding_side = "left"
        self.image_size = image_size
        self.max_input_tiles = max_input_tiles
        self.num_image_token = num_image_token
        self.p_max_length = p_max_length
        self.passage_prefix = passage_prefix
        super().__init__(tokenizer)

    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        text: list[str] | None = None,
        images: list[Image.Image] | None = None,
        text_kwargs: dict[str, Any] | None = None,
        images_kwargs: dict[str, Any] | None = None,
        common_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        options = {**(common_kwargs or {}), **(text_kwargs or {})}
        if images is None:
            return dict(self._tokens(text or [], options))
        tiles = [self._tiles(image.convert("RGB")) for image in images]
        texts = text or [""] * len(images)
        prompts = [self._prompt(one, len(many)) for one, many in zip(texts, tiles, strict=True)]
        flat = np.stack([tile for many in tiles for tile in many])
        pixels = torch.from_numpy(flat).to(torch.bfloat16)
        return {**self._tokens(prompts, options), "pixel_values": pixels}

    def _tokens(self, texts: list[str], options: dict[str, Any]) -> BatchEncoding:
        return self.tokenizer(
            texts,
            padding=options.get("padding", True),
            truncation=options.get("truncation", True),
            max_length=self.p_max_length,
            return_tensors=options.get("return_tensors", "pt"),
        )

    def _prompt(self, text: str, tiles: int) -> str:
        pixels = "<IMG_CONTEXT>" * self.num_image_token * tiles
        return f"{self.passage_prefix} <img>{pixels}</img> {text}"

    def _tiles(self, image: Image.Image) -> list[np.ndarray[Any, Any]]:
        """Cut a picture into tiles of its own shape, and add the whole of it as a thumbnail."""
        ratio = image.width / image.height
        grids = [
            (x, y) for x in (1, 2, 3, 4) for y in (1, 2, 3, 4) if x * y <= self.max_input_tiles
        ]
        columns, rows = min(grids, key=lambda grid: (abs(grid[0] / grid[1] - ratio), grid))
        size = self.image_size
        large = image.resize((columns * size, rows * size))
        corners = [(x * size, y * size) for y in range(rows) for x in range(columns)]
        cut = [large.crop((x, y, x + size, y + size)) for x, y in corners]
        whole = [image.resize((size, size))] if len(cut) > 1 else []
        return [self._values(tile) for tile in [*cut, *whole]]

    def _values(self, tile: Image.Image) -> np.ndarray[Any, Any]:
        scaled = np.asarray(tile, dtype=np.float32) / 127.5 - 1.0
        return scaled.transpose(2, 0, 1)
