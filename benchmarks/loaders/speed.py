"""Pages per second, text and a picture at the model's size: mm-rag beside the usual way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymupdf
import torch
from PIL import Image
from transformers import Qwen2VLImageProcessor

from benchmarks.timing import Run, Times, interleaved
from mm_rag_loaders import AssetStore, LoadOptions, PDFLoader

_DPI = 150
_PATCH = 32


@dataclass(frozen=True)
class Speed:
    """Speed of one way.

    Attributes:
        way: Its name.
        pages: Pages read in each round.
        times: Processor time of the rounds.
    """

    way: str
    pages: int
    times: Times

    @property
    def pages_per_second(self) -> float:
        """Pages per second in the median round."""
        return self.pages / self.times.median


class Ways:
    """Ways from a PDF to its text and to page pictures at the size of a vision model.

    Args:
        pdf: The file.
        assets: Folder for mm-rag's pictures.
    """

    def __init__(self, pdf: Path, assets: Path) -> None:
        self._pdf = pdf
        self._options = LoadOptions(assets=AssetStore(assets))
        self._pixels = self._options.page_pixels
        self._processor: Any = Qwen2VLImageProcessor(
            patch_size=_PATCH // 2, merge_size=2, min_pixels=65_536, max_pixels=self._pixels
        )

    def ours(self) -> list[str]:
        """Text blocks in reading order, tables, word boxes, passages, and a JPEG on disk."""
        return [segment.text for segment in PDFLoader(self._options).load(self._pdf)]

    def ours_then_processor(self) -> list[Any]:
        """Do the same as `ours`, and run the processor on the JPEGs (which need no resizing)."""
        shots: list[str] = []
        for segment in PDFLoader(self._options).load(self._pdf):
            if segment.modality == "image":
                shots.append(str(segment.preview))
        return [self._processed(Image.open(shot)) for shot in shots]

    def usual(self) -> list[Any]:
        """Extract text in file order, and render at 150 dpi for the processor to resize."""
        return [self._processed(picture) for picture in self._rendered()]

    def usual_resized_by_pillow(self) -> list[Image.Image]:
        """Do the same as `usual`, but resize with Pillow and without the processor."""
        return [picture.resize(self._size(picture)) for picture in self._rendered()]

    def _rendered(self) -> Iterator[Image.Image]:
        with pymupdf.open(self._pdf) as document:
            for page in document:
                page.get_text()
                pixels = page.get_pixmap(dpi=_DPI)
                yield Image.frombytes("RGB", (pixels.width, pixels.height), pixels.samples)

    def _processed(self, picture: Image.Image) -> object:
        # Drop the pixels at once, as a model would.
        return self._processor(picture, return_tensors="pt")["image_grid_thw"]

    def _size(self, picture: Image.Image) -> tuple[int, int]:
        scale = min(1.0, (self._pixels / (picture.width * picture.height)) ** 0.5)
        return round(picture.width * scale), round(picture.height * scale)


def speeds(pdf: Path, assets: Path, rounds: int) -> list[Speed]:
    """Time all ways on the same pages, interleaved, on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    ways = Ways(pdf, assets)
    runs = {
        "mm-rag": ways.ours,
        "mm-rag, then the processor": ways.ours_then_processor,
        "150 dpi, resized by the processor": ways.usual,
        "150 dpi, resized by Pillow": ways.usual_resized_by_pillow,
    }
    try:
        for run in runs.values():
            run()
        times = interleaved({name: Run(measured=run) for name, run in runs.items()}, rounds=rounds)
    finally:
        torch.set_num_threads(before)
    with pymupdf.open(pdf) as document:
        pages = document.page_count
    return [Speed(name, pages, taken) for name, taken in times.items()]
