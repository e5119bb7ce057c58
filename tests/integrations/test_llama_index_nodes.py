"""MultimodalReader, and nodes as LlamaIndex's own parts see them."""

from __future__ import annotations

from pathlib import Path

import pytest
from llama_index.core import MockEmbedding, SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.base.llms.types import ImageBlock, TextBlock
from llama_index.core.readers.base import BaseReader
from llama_index.core.schema import ImageNode, MetadataMode, Node, QueryBundle, TextNode
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict
from llama_index.readers.mm_rag import MultimodalReader
from llama_index.readers.mm_rag.nodes import node_to_content, query_to_content, segment_to_node

from mm_rag import Encoder, Image, Mixed, Segment, Text, Video
from mm_rag.errors import InputError
from mm_rag_loaders import AssetStore, LoadOptions, load


@pytest.fixture
def options(tmp_path: Path) -> LoadOptions:
    return LoadOptions(assets=AssetStore(tmp_path / "assets"))


@pytest.fixture
def reader(options: LoadOptions) -> MultimodalReader:
    return MultimodalReader(options)


def test_nodes_are_the_segments(
    reader: MultimodalReader, folder: Path, options: LoadOptions
) -> None:
    nodes = list(reader.lazy_load_data(folder / "deck.pdf"))
    segments = list(load(folder / "deck.pdf", options))
    assert [node.id_ for node in nodes] == [segment.id for segment in segments]
    assert [node.get_content() for node in nodes] == [segment.text for segment in segments]
    assert nodes[0].metadata["page"] == 1
    assert nodes[0].metadata["sha256"] == segments[0].sha256


def test_page_is_sent_as_text_and_picture(reader: MultimodalReader, folder: Path) -> None:
    pages = [n for n in reader.load_data(folder / "deck.pdf") if n.metadata["modality"] == "image"]
    source, words, picture = pages[1].get_content_blocks(MetadataMode.LLM)
    assert isinstance(source, TextBlock)
    assert "page: 2" in source.text
    assert "sha256" not in source.text
    assert isinstance(words, TextBlock)
    assert words.text.startswith("Our team.")
    assert isinstance(picture, ImageBlock)
    assert picture.image_mimetype == "image/jpeg"


def test_wordless_picture_survives_an_index(reader: MultimodalReader, folder: Path) -> None:
    [node] = reader.load_data(folder / "sunset.png")
    assert node.get_content() == ""
    assert node.get_content(MetadataMode.EMBED) == "title: sunset"
    index = VectorStoreIndex([node], embed_model=MockEmbedding(embed_dim=4))
    assert list(index.docstore.docs) == [node.id_]


def test_picture_survives_a_vector_store(reader: MultimodalReader, folder: Path) -> None:
    [node] = reader.load_data(folder / "sunset.png")
    again = metadata_dict_to_node(node_to_metadata_dict(node, flat_metadata=True))
    assert isinstance(again, Node)
    assert again.image_resource is not None
    assert again.image_resource.path == folder / "sunset.png"


def test_simple_directory_reader_uses_it(reader: MultimodalReader, folder: Path) -> None:
    extractor: dict[str, BaseReader] = {".pdf": reader, ".png": reader}
    nodes = SimpleDirectoryReader(folder, file_extractor=extractor).load_data()
    assert all(type(node) is Node for node in nodes)
    files = {node.metadata["file_name"] for node in nodes}
    assert files == {"deck.pdf", "sunset.png"}
    assert {node.metadata.get("page") for node in nodes} == {1, 2, 3, 4, None}


def test_missing_file_is_named(reader: MultimodalReader, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.pdf"):
        reader.load_data(tmp_path / "gone.pdf")


def test_clip_is_shown_by_its_frame_and_refers_to_its_video(encoder: Encoder, folder: Path) -> None:
    frame = str(folder / "sunset.png")
    segment = Segment(
        modality="video",
        source="/films/tour.mp4",
        sha256="0" * 64,
        text="To your left",
        media="/films/tour.mp4",
        mime_type="video/mp4",
        preview=frame,
        start=30.0,
        end=60.0,
    )
    node = segment_to_node(segment)
    assert [type(block) for block in node.get_content_blocks()] == [TextBlock, ImageBlock]
    content = node_to_content(node, encoder)
    assert isinstance(content, Video)
    assert (content.source, content.start, content.end) == (Path("/films/tour.mp4"), 30.0, 60.0)


def test_nodes_of_others_go_back_to_content(encoder: Encoder, folder: Path) -> None:
    picture = folder / "sunset.png"
    content = node_to_content(ImageNode(image_path=str(picture), text="dusk"), encoder)
    assert isinstance(content, Image)
    assert (content.source, content.text) == (picture, "dusk")
    assert node_to_content(TextNode(text="words"), encoder) == Text("words")
    assert node_to_content(ImageNode(text="only words"), encoder) == Text("only words")


def test_unread_picture_of_others_is_to_be_read(encoder: Encoder, folder: Path) -> None:
    content = node_to_content(ImageNode(image_path=str(folder / "sunset.png")), encoder)
    assert isinstance(content, Image)
    assert content.text is None


def test_queries_become_content() -> None:
    assert query_to_content(QueryBundle("words")) == Text("words")
    assert isinstance(query_to_content(QueryBundle("", image_path="a.png")), Image)
    both = query_to_content(QueryBundle("words", image_path="a.png"))
    assert isinstance(both, Mixed)
    assert [part.modality for part in both.parts] == ["text", "image"]
