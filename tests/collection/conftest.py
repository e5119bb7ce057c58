from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from mm_rag import Collection, Encoder, Segment
from mm_rag.content import Chat, Content, Mixed
from mm_rag.modules import Features, InputModule
from tests.media_made import make_pdf

DIMENSION = 64


class BagOfWords(InputModule):
    """A model without weights: every word has a random direction of its own."""

    type_name = "tests.BagOfWords"

    @property
    def modalities(self) -> tuple[str, ...]:
        return ("text",)

    @property
    def out_dim(self) -> int:
        return DIMENSION

    def preprocess(self, contents: Sequence[Content], *, prompt: str = "") -> Features:
        vectors = np.stack([_bag(content) for content in contents])
        return Features({"sentence_embedding": torch.from_numpy(vectors)})

    def forward(self, features: Features) -> Features:
        return features


def _bag(content: Content) -> np.ndarray:
    assert not isinstance(content, Mixed | Chat)
    total = np.full(DIMENSION, 1e-3, dtype=np.float32)
    for word in (content.text or "").lower().split():
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
        total += np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
    return total / np.linalg.norm(total)


@pytest.fixture
def encoder() -> Encoder:
    return Encoder(modules=[BagOfWords()])


@pytest.fixture
def collection(tmp_path: Path, encoder: Encoder) -> Iterator[Collection]:
    with Collection(tmp_path / "collection", encoder=encoder) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two documents with a text layer: nothing in it needs OCR."""
    made = tmp_path / "documents"
    made.mkdir()
    make_pdf(
        made / "ferry.pdf",
        [
            "The ferry to the northern island leaves at seven in the morning.",
            "Bicycles travel free of charge on weekdays.",
        ],
    )
    make_pdf(made / "bakery.pdf", ["Our sourdough bread rests for eighteen hours before baking."])
    return made


def segment(text: str, number: int = 0, **more: object) -> Segment:
    """A passage out of nowhere."""
    sha256 = hashlib.sha256(str(number).encode()).hexdigest()
    fields = {"modality": "text", "source": f"/nowhere/{number}.txt", "sha256": sha256} | more
    return Segment(text=text, **fields)  # pyright: ignore[reportArgumentType]
