"""documents_to_blocks: the content of a chat message."""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.messages import HumanMessage, ToolMessage, convert_to_openai_messages
from PIL import Image as PILImage

from langchain_mm_rag import documents_to_blocks
from mm_rag.errors import InputError
from mm_rag.media import MediaPolicy
from mm_rag.prompt_content import Budget
from tests.av_made import colours, make_video


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
    large = photo.with_name("large.png")
    PILImage.open(photo).resize((1600, 800)).save(large)
    metadata = {"modality": "image", "media": str(large), "mime_type": "image/png"}
    picture, mime_type = _picture(metadata, budget=600)
    assert (picture.format, mime_type) == ("JPEG", "image/jpeg")
    assert 190_000 < picture.width * picture.height < 600 * 750
    assert picture.width == pytest.approx(2 * picture.height, abs=2)


def test_format_that_chat_models_refuse_is_converted(photo: Path) -> None:
    tiff = photo.with_suffix(".tiff")
    PILImage.open(photo).save(tiff)
    picture, mime_type = _picture({"media": str(tiff), "mime_type": "image/tiff"})
    assert (picture.size, picture.format, mime_type) == ((400, 200), "JPEG", "image/jpeg")


def test_clip_is_shown_by_frames_and_words(tmp_path: Path) -> None:
    film = make_video(tmp_path / "tour.mp4", colours("red", "blue", each=10))
    known = {"modality": "video", "source": str(film), "media": str(film)}
    metadata = {**known, "mime_type": "video/mp4", "start": 0.0, "end": 2.0}
    blocks = documents_to_blocks([Document("To your left", metadata=metadata)])
    assert blocks[0] == {"type": "text", "text": "[1] tour.mp4, 0:00-0:02\nTo your left"}
    assert [block["type"] for block in blocks[1:]] == ["text", "image"] * 4


def test_a_turn_with_five_pages_stays_within_its_budget(tmp_path: Path) -> None:
    documents: list[Document] = []
    for number in range(5):
        page = tmp_path / f"{number}.png"
        PILImage.effect_noise((1000, 1300), 50).save(page)
        metadata = {"modality": "image", "media": str(page), "mime_type": "image/png"}
        documents.append(Document("word " * 500, metadata=metadata))
    blocks = documents_to_blocks(documents, Budget(tokens=5000, bytes=500_000))
    taken = size = 0
    for block in blocks:
        if block["type"] == "text":
            taken += Budget().tokens_of_text(block["text"])
        else:
            assert block["type"] == "image"
            data = base64.b64decode(block.get("base64", ""))
            width, height = PILImage.open(io.BytesIO(data)).size
            taken += max(width * height // 750, math.ceil(width / 28) * math.ceil(height / 28))
            size += len(data)
    assert [block["type"] for block in blocks] == ["text", "image"] * 5
    assert 3500 < taken <= 5000
    assert size <= 500_000


def test_the_policy_is_asked(tmp_path: Path) -> None:
    metadata = {"modality": "image", "media": "/etc/passwd", "mime_type": "image/png"}
    blocks = documents_to_blocks(
        [Document("", metadata=metadata)], policy=MediaPolicy(roots=(tmp_path,))
    )
    said = ["[1]", "[picture cannot be shown: it may not be opened]"]
    assert blocks == [{"type": "text", "text": text} for text in said]


def test_shared_picture_is_shown_once(photo: Path) -> None:
    metadata = {"modality": "image", "media": str(photo), "mime_type": "image/png"}
    documents = [Document(text, metadata=metadata) for text in ("one", "two")]
    kinds = [block["type"] for block in documents_to_blocks(documents)]
    assert kinds == ["text", "image", "text"]


def test_document_of_another_loader_is_text() -> None:
    document = Document("plain", metadata={"source": "/notes/a.txt", "page": 0})
    blocks = documents_to_blocks([document])
    assert blocks == [{"type": "text", "text": "[1] a.txt, page 0\nplain"}]


def test_a_picture_that_is_gone_is_said_to_be_and_the_rest_is_shown(
    tmp_path: Path, photo: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sources = (tmp_path / "gone.png", photo)
    documents = [
        Document("words", metadata={"media": str(source), "mime_type": "image/png"})
        for source in sources
    ]
    label, reason, _, picture = documents_to_blocks(documents)
    assert label == {"type": "text", "text": "[1]\nwords"}
    said = "[picture cannot be shown: its file is missing or damaged]"
    assert reason == {"type": "text", "text": said}
    assert picture["type"] == "image"
    assert "gone.png" in caplog.text


@pytest.mark.parametrize(
    ("metadata", "label"),
    [
        ({"source": "talk.txt", "start": "00:01:30", "end": "00:02:00"}, "[1] talk.txt"),
        ({"source": "talk.txt", "start": math.inf}, "[1] talk.txt"),
        ({"source": None, "page": None}, "[1]"),
        ({"source": "/notes/caf\udce9.txt"}, "[1] caf?.txt"),
    ],
)
def test_labels_of_odd_metadata(metadata: dict[str, Any], label: str) -> None:
    """They raised a Python error, or became `None` or a lone surrogate, which cannot be sent."""
    [block] = documents_to_blocks([Document("words", metadata=metadata)])
    assert block == {"type": "text", "text": f"{label}\nwords"}


@pytest.mark.parametrize("given", [None, "words", ["words"], Document("words")])
def test_what_is_no_list_of_documents_is_refused(given: Any) -> None:
    with pytest.raises(InputError, match=r"Expected (a list of )?Documents"):
        documents_to_blocks(given)


@pytest.mark.parametrize("message_type", [HumanMessage, ToolMessage])
def test_chat_models_of_openai_are_given_pictures(photo: Path, message_type: Any) -> None:
    metadata = {"modality": "image", "media": str(photo), "mime_type": "image/png"}
    blocks = documents_to_blocks([Document("words", metadata=metadata)])
    message = message_type(content_blocks=blocks, tool_call_id="1")
    [translated] = convert_to_openai_messages([message])
    words, picture = translated["content"]
    assert words == {"type": "text", "text": "[1]\nwords"}
    sent = base64.b64decode(picture["image_url"]["url"].removeprefix("data:image/png;base64,"))
    assert sent == photo.read_bytes()
