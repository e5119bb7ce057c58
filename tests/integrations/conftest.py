"""A slide deck and a photo, indexed once with the built-in default for all tests of this folder."""

from __future__ import annotations

import asyncio
import inspect
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pymupdf
import pytest
import torch
from PIL import Image as PILImage
from torch import Tensor

from mm_rag import Collection, Encoder, Reranker, Text
from mm_rag.content import Content, Image
from mm_rag.media.image import open_image
from mm_rag.preprocessing.chat_template import PairOrChat
from mm_rag.rerankers.model import RerankerModel, ScoreOptions

# Each slide has a colour of its own, so that a test can tell from a picture which slide it shows.
SLIDES = {
    "blue": ((0, 0, 1), "Revenue by quarter. The fourth quarter was the best with 9.4 million."),
    "green": ((0, 1, 0), "Our team. Twelve engineers work in Lisbon and five in Oslo."),
    "red": ((1, 0, 0), "Risks. The supplier of batteries may deliver late in winter."),
    "grey": ((0.5, 0.5, 0.5), "Roadmap. The mobile application is released in September."),
}


@pytest.fixture(autouse=True)
def _leave_no_loop_open(  # pyright: ignore[reportUnusedFunction]
    request: pytest.FixtureRequest,
) -> None:
    """Close the event loops that LlamaIndex's synchronous methods create and leave open.

    Where they are told that there is none, they close their own.
    """
    if not inspect.iscoroutinefunction(request.function):
        asyncio.set_event_loop(None)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four slides in `deck.pdf`, and `sunset.png`, a picture without words."""
    folder = tmp_path_factory.mktemp("material")
    deck = pymupdf.open()
    for colour, text in SLIDES.values():
        page = deck.new_page(width=480, height=270)
        page.draw_rect(pymupdf.Rect(0, 90, 480, 270), color=colour, fill=colour)
        page.insert_textbox(pymupdf.Rect(20, 10, 460, 85), text, fontsize=18)
    deck.save(folder / "deck.pdf")
    PILImage.new("RGB", (64, 48), (250, 120, 20)).save(folder / "sunset.png")
    return folder


@pytest.fixture(scope="session")
def collection(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    """The folder, indexed."""
    with Collection(tmp_path_factory.mktemp("collection")) as collection:
        collection.sync(folder)
        yield collection


@pytest.fixture(scope="session")
def encoder(collection: Collection) -> Encoder:
    """The built-in default."""
    return collection.encoder


@pytest.fixture(scope="session")
def reranker(collection: Collection) -> Reranker:
    """The built-in default."""
    assert collection.reranker is not None
    return collection.reranker


class Bluest(RerankerModel):
    """A vision reranker: the score is the blueness of a picture; text scores zero."""

    is_cross_encoder = True

    @property
    def modalities(self) -> tuple[str, ...]:
        """Text for queries, pictures for documents."""
        return ("image", "text")

    def score(self, pairs: Sequence[PairOrChat], options: ScoreOptions) -> Tensor:
        """Return the blueness of the documents."""
        return torch.tensor([[_blueness(asked[1])] for asked in pairs if isinstance(asked, tuple)])

    def save(self, folder: Path) -> None:
        """Return no settings."""


@pytest.fixture
def seeing_reranker() -> Reranker:
    """A reranker that receives pictures, not text."""
    return Reranker(modules=[Bluest()], activation_fn=torch.nn.Identity())


def _blueness(document: Content) -> float:
    if isinstance(document, Text):
        return 0.0
    assert isinstance(document, Image)
    red, green, blue = np.asarray(open_image(document.source), dtype=np.float32).mean((0, 1))
    return float(blue - (red + green) / 2)


@pytest.fixture(scope="session")
def slide_of() -> Callable[[bytes], str]:
    """A function that names the slide in a picture file."""
    return lambda data: slide_colour(PILImage.open(io.BytesIO(data)))


def slide_colour(picture: PILImage.Image) -> str:
    """The name of the slide whose colour fills the lower part of a picture."""
    pixel = picture.convert("RGB").getpixel((picture.width // 2, picture.height * 3 // 4))
    assert isinstance(pixel, tuple)
    distances = {
        name: sum(abs(channel * 255 - seen) for channel, seen in zip(colour, pixel, strict=True))
        for name, (colour, _) in SLIDES.items()
    }
    nearest = min(distances, key=lambda name: distances[name])
    assert distances[nearest] < 60, f"no slide has the colour {pixel}"
    return nearest
