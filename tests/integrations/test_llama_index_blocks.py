"""nodes_to_blocks: nodes of mm_rag and others as the content of a chat message."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock
from llama_index.core.schema import ImageNode, MediaResource, Node, NodeWithScore, TextNode
from llama_index.readers.mm_rag import MultimodalReader, nodes_to_blocks
from PIL import Image as PILImage

from mm_rag.errors import InputError
from mm_rag.media import MediaPolicy
from mm_rag.prompt_content import Budget


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    PILImage.effect_noise((400, 200), 50).convert("RGB").save(path)
    return path


def _shown(block: TextBlock | ImageBlock) -> PILImage.Image:
    assert isinstance(block, ImageBlock)
    return PILImage.open(io.BytesIO(block.resolve_image().read()))


def test_pages_are_shown_with_where_they_come_from(folder: Path) -> None:
    nodes = list(MultimodalReader().lazy_load_data(folder / "deck.pdf"))
    pages = [node for node in nodes if node.metadata["modality"] == "image"]
    blocks = nodes_to_blocks([NodeWithScore(node=page, score=0.5) for page in pages])
    assert [block.block_type for block in blocks] == ["text", "image"] * 4
    assert isinstance(blocks[0], TextBlock)
    assert blocks[0].text.startswith("[1] deck.pdf, page 1\nRevenue by quarter.")
    assert ChatMessage(blocks=list(blocks)).blocks == blocks


def test_blocks_stay_within_the_budget(folder: Path) -> None:
    nodes = list(MultimodalReader().lazy_load_data(folder / "deck.pdf"))
    taken = 0
    for block in nodes_to_blocks(nodes, 900):
        if isinstance(block, TextBlock):
            taken += Budget().tokens_of_text(block.text)
        else:
            taken += Budget().tokens_of_picture(*_shown(block).size)
    assert 500 < taken <= 900


def test_pictures_of_other_readers_count(photo: Path) -> None:
    encoded = base64.b64encode(photo.read_bytes())
    nodes = [
        ImageNode(text="words", image_path=str(photo)),
        ImageNode(text="words", image=encoded.decode()),
        Node(image_resource=MediaResource(path=photo)),
        Node(image_resource=MediaResource(data=encoded)),
    ]
    for node in nodes:
        words, picture = nodes_to_blocks([node])
        assert isinstance(words, TextBlock)
        assert words.text.startswith("[1]")
        assert isinstance(picture, ImageBlock)
        assert picture.image_mimetype == "image/png"
        assert picture.resolve_image().read() == photo.read_bytes()


def test_a_picture_at_an_address_is_not_fetched() -> None:
    resource = MediaResource.model_validate({"url": "http://192.0.2.1/a.png"})
    blocks = nodes_to_blocks(
        [Node(text_resource=MediaResource(text="hi"), image_resource=resource)]
    )
    assert blocks == [TextBlock(text="[1]\nhi")]


def test_a_text_of_another_reader_is_words() -> None:
    node = TextNode(text="plain", metadata={"file_name": "a.pdf", "page_label": "3"})
    assert nodes_to_blocks([node]) == [TextBlock(text="[1] a.pdf, page 3\nplain")]


@pytest.mark.parametrize("source", [{"image_path": "/gone.png"}, {"image": "!!!"}])
def test_a_picture_that_is_gone_or_damaged_is_said_to_be(
    photo: Path, source: dict[str, str]
) -> None:
    nodes = [ImageNode(text="words", **source), ImageNode(image_path=str(photo))]
    label, reason, _, picture = nodes_to_blocks(nodes)
    assert label == TextBlock(text="[1]\nwords")
    assert reason == TextBlock(text="[picture cannot be shown: its file is missing or damaged]")
    assert _shown(picture).size == (400, 200)


def test_the_policy_is_asked(tmp_path: Path, photo: Path) -> None:
    policy = MediaPolicy(roots=(tmp_path / "inside",))
    blocks = nodes_to_blocks([ImageNode(image_path=str(photo))], policy=policy)
    said = ["[1]", "[picture cannot be shown: it may not be opened]"]
    assert blocks == [TextBlock(text=text) for text in said]


def test_what_is_no_node_is_refused() -> None:
    with pytest.raises(InputError, match="got a str"):
        nodes_to_blocks(["words"])  # pyright: ignore[reportArgumentType]
