"""Pages in a second: text and a picture at the model's size, ours beside the usual way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymupdf
import torch
from PIL import Image
from transformers import Qwen2VLImageProcessor

from benchmarks.rerankers.interleaved import Run, Times, interleaved
from mm_rag_loaders import AssetStore, LoadOptions, PDFLoader

_DPI = 150
_PATCH = 32


@dataclass(frozen=True)
class Speed:
    """How fast one way was.

    Attributes:
        way: What it does.
        pages: That were read in each round.
        times: Of the rounds, in seconds of processor time.
    """

    way: str
    pages: int
    times: Times

    @property
    def pages_per_second(self) -> float:
        """In the middle round."""
        return self.pages / self.times.median


class Ways:
    """The ways from a PDF to its text and to pictures of at most so many pixels.

    Args:
        pdf: What is read.
        assets: Where our pictures are written.
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
        """As `ours`; then the processor takes the JPEGs, which have the size that it wants."""
        shots: list[str] = []
        for segment in PDFLoader(self._options).load(self._pdf):
            if segment.modality == "image":
                shots.append(str(segment.preview))
        return [self._processed(Image.open(shot)) for shot in shots]

    def usual(self) -> list[Any]:
        """Text as it lies in the file, and a picture at 150 dpi that the processor resizes."""
        return [self._processed(picture) for picture in self._rendered()]

    def usual_resized_by_pillow(self) -> list[Image.Image]:
        """As `usual`, but Pillow resizes, and nothing is made of the pixels."""
        return [picture.resize(self._size(picture)) for picture in self._rendered()]

    def _rendered(self) -> Iterator[Image.Image]:
        with pymupdf.open(self._pdf) as document:
            for page in document:
                page.get_text()
                pixels = page.get_pixmap(dpi=_DPI)
                yield Image.frombytes("RGB", (pixels.width, pixels.height), pixels.samples)

    def _processed(self, picture: Image.Image) -> object:
        # The pixels are dropped at once, as they would be after the model.
        return self._processor(picture, return_tensors="pt")["image_grid_thw"]

    def _size(self, picture: Image.Image) -> tuple[int, int]:
        scale = min(1.0, (self._pixels / (picture.width * picture.height)) ** 0.5)
        return round(picture.width * scale), round(picture.height * scale)


def speeds(pdf: Path, assets: Path, rounds: int) -> list[Speed]:
    """Time every way on the same pages, in turns, on one thread."""
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
