"""documents_to_blocks: what a chat model is shown."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from PIL import Image as PILImage

from langchain_mm_rag import documents_to_blocks
from mm_rag.errors import UnreadableMedia


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    PILImage.effect_noise((400, 200), 50).convert("RGB").save(path)
    return path


def _picture(metadata: dict[str, Any], **settings: Any) -> tuple[PILImage.Image, str]:
    _, block = documents_to_blocks([Document("words", metadata=metadata)], **settings)
    assert block["type"] == "image"
    data = base64.b64decode(block.get("base64", ""))
    return PILImage.open(io.BytesIO(data)), block.get("mime_type", "")


def test_small_picture_is_sent_as_it_is(photo: Path) -> None:
    metadata = {"modality": "image", "media": str(photo), "mime_type": "image/png"}
    picture, mime_type = _picture(metadata)
    assert (picture.size, picture.format, mime_type) == ((400, 200), "PNG", "image/png")


def test_large_picture_is_made_smaller(photo: Path) -> None:
    metadata = {"modality": "image", "media": str(photo), "mime_type": "image/png"}
    picture, mime_type = _picture(metadata, max_pixels=20_000)
    assert (picture.size, picture.format, mime_type) == ((200, 100), "JPEG", "image/jpeg")


def test_format_that_chat_models_refuse_is_converted(photo: Path) -> None:
    tiff = photo.with_suffix(".tiff")
    PILImage.open(photo).save(tiff)
    picture, mime_type = _picture({"media": str(tiff), "mime_type": "image/tiff"})
    assert (picture.size, picture.format, mime_type) == ((400, 200), "JPEG", "image/jpeg")


def test_clip_is_shown_by_its_frame_and_words(photo: Path) -> None:
    metadata = {
        "modality": "video",
        "source": "/films/tour.mp4",
        "media": "/films/tour.mp4",
        "mime_type": "video/mp4",
        "preview": str(photo),
        "start": 61.0,
        "end": 90.4,
    }
    words, picture = documents_to_blocks([Document("To your left", metadata=metadata)])
    assert words == {"type": "text", "text": "[1] tour.mp4, 1:01-1:30\nTo your left"}
    assert picture["type"] == "image"


def test_shared_picture_is_shown_once(photo: Path) -> None:
    metadata = {"modality": "image", "media": str(photo), "mime_type": "image/png"}
    documents = [Document(text, metadata=metadata) for text in ("one", "two")]
    kinds = [block["type"] for block in documents_to_blocks(documents)]
    assert kinds == ["text", "image", "text"]


def test_document_of_another_loader_is_text() -> None:
    document = Document("plain", metadata={"source": "/notes/a.txt", "page": 0})
    blocks = documents_to_blocks([document])
    assert blocks == [{"type": "text", "text": "[1] a.txt, page 0\nplain"}]


def test_moved_picture_is_named(tmp_path: Path) -> None:
    metadata = {"media": str(tmp_path / "gone.png"), "mime_type": "image/png"}
    with pytest.raises(UnreadableMedia, match=r"gone\.png"):
        documents_to_blocks([Document("", metadata=metadata)])
