"""A collection with everything that a path may name, made without reading files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PILImage

from mm_rag import Collection, Encoder, Segment
from mm_rag.agent_tools import Toolbox
from tests.collection.conftest import BagOfWords

PAGES = (
    "Timetable of the ferry.\nFirst departure 07:00.\nBicycles travel free on weekdays.",
    "Fares. A single ticket costs 4.20 and children pay half.",
    "Lost property is kept in the office for ninety days.",
)


def segment(source: str, text: str, modality: str = "text", **more: Any) -> Segment:
    """A Segment of a file that need not exist."""
    sha256 = hashlib.sha256(source.encode()).hexdigest()
    fields: dict[str, Any] = {"modality": modality, "source": source, "sha256": sha256} | more
    return Segment(text=text, **fields)


@pytest.fixture
def page_picture(tmp_path: Path) -> Path:
    picture = tmp_path / "page.png"
    PILImage.new("RGB", (600, 800), "white").save(picture)
    return picture


@pytest.fixture
def collection(tmp_path: Path, page_picture: Path) -> Iterator[Collection]:
    picture = {"media": str(page_picture), "preview": str(page_picture), "mime_type": "image/png"}
    home = "/home/ada/papers"
    segments = [
        segment(f"{home}/2024/ferry.pdf", text, "image", page=number, **picture)
        for number, text in enumerate(PAGES, start=1)
    ]
    segments += [
        segment(f"{home}/2024/ferry.pdf", "A single ticket costs 4.20", page=2, **picture),
        segment(f"{home}/notes.txt", "Ask Grace about the mooring rope.", part=0),
        segment(f"{home}/notes.txt", "about the mooring rope. It is too short.", part=1),
        segment(f"{home}/quay.jpg", "QUAY 4", "image", **picture),
        segment(
            "https://example.org/talk.mp3",
            "welcome aboard",
            "audio",
            start=0.0,
            end=30.2,
            media="/gone/talk.mp3",
        ),
        segment(
            "https://example.org/talk.mp3",
            "mind the gap",
            "audio",
            start=30.2,
            end=61.0,
            media="/gone/talk.mp3",
        ),
    ]
    with Collection(tmp_path / "made", encoder=Encoder(modules=[BagOfWords()])) as made:
        made.add(segments)
        yield made


@pytest.fixture
def toolbox(collection: Collection) -> Toolbox:
    return Toolbox(collection)
