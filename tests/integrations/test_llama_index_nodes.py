"""MultimodalReader, and nodes as LlamaIndex's own components use them."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import chromadb
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from llama_index.core import MockEmbedding, SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.base.llms.types import ImageBlock, TextBlock
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.readers.base import BaseReader, ReaderConfig
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageNode,
    MetadataMode,
    Node,
    QueryBundle,
    TextNode,
)
from llama_index.core.vector_stores import VectorStoreQuery
from llama_index.embeddings.mm_rag import MultimodalEmbedding
from llama_index.readers.mm_rag import MultimodalReader
from llama_index.utils.mm_rag.nodes import node_to_content, segment_to_node
from llama_index.utils.mm_rag.queries import MultimodalQuery, query_to_content
from llama_index.vector_stores.chroma import ChromaVectorStore

from mm_rag import Audio, Encoder, Image, Mixed, Segment, Text, Video
from mm_rag.content import Chat
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


def test_pictures_survive_chroma(
    reader: MultimodalReader, folder: Path, encoder: Encoder, slide_of: Callable[[bytes], str]
) -> None:
    loaded = reader.load_data(folder / "deck.pdf")
    nodes = MultimodalEmbedding(encoder=encoder)(loaded)
    client = chromadb.EphemeralClient()
    chroma = client.get_or_create_collection("survive", embedding_function=None)
    store = ChromaVectorStore(chroma_collection=chroma)
    store.add(list(nodes))
    query = VectorStoreQuery(query_embedding=[1.0] * encoder.dimension, similarity_top_k=99)
    again = {node.node_id: node for node in store.query(query).nodes or []}
    pages = [node for node in nodes if node.metadata["modality"] == "image"]
    shown = [block for page in pages for block in _content_of(again[page.node_id])]
    pictures = [block for block in shown if isinstance(block, ImageBlock)]
    slides = [slide_of(block.resolve_image().read()) for block in pictures]
    assert slides == ["blue", "green", "red", "grey"]


def _content_of(node: BaseNode) -> list[Any]:
    assert isinstance(node, Node)
    return list(node.get_content_blocks(MetadataMode.LLM))


def test_simple_directory_reader_uses_it(reader: MultimodalReader, folder: Path) -> None:
    extractor: dict[str, BaseReader] = {".pdf": reader, ".png": reader}
    nodes = SimpleDirectoryReader(folder, file_extractor=extractor).load_data()
    assert all(isinstance(node, Document) for node in nodes)
    files = {node.metadata["file_name"] for node in nodes}
    assert files == {"deck.pdf", "sunset.png"}
    assert {node.metadata.get("page") for node in nodes} == {1, 2, 3, 4, None}


async def test_files_are_read_async(
    reader: MultimodalReader, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def watched(*args: Any) -> Iterator[Segment]:
        threads.append(threading.get_ident())
        return load(*args)

    monkeypatch.setattr("llama_index.readers.mm_rag.base.load", watched)
    nodes = await reader.aload_data(folder / "deck.pdf")
    assert {node.metadata["page"] for node in nodes} == {1, 2, 3, 4}
    assert threads
    assert threading.get_ident() not in threads


def test_more_metadata_do_not_hide_the_segments_own(reader: MultimodalReader, folder: Path) -> None:
    more = {"author": "Ada", "sha256": "forged"}
    nodes = reader.load_data(folder / "deck.pdf", extra_info=more)
    plain = reader.load_data(folder / "deck.pdf")
    assert [node.metadata["sha256"] for node in nodes] == [n.metadata["sha256"] for n in plain]
    assert {node.metadata["author"] for node in nodes} == {"Ada"}
    assert all("author" in node.excluded_llm_metadata_keys for node in nodes)


def test_a_pipeline_reads_with_it(folder: Path) -> None:
    config = ReaderConfig(
        reader=MultimodalReader(), reader_kwargs={"file": str(folder / "sunset.png")}
    )
    pipeline = IngestionPipeline(readers=[config], transformations=[MockEmbedding(embed_dim=4)])
    [node] = pipeline.run()
    assert isinstance(node, Document)
    assert node.embedding is not None


def test_reader_round_trips() -> None:
    reader = MultimodalReader()
    saved = reader.to_dict()
    assert saved["class_name"] == MultimodalReader.class_name()
    assert MultimodalReader.from_dict(saved) == reader


def test_reader_with_options_is_pickled_but_not_written_down(tmp_path: Path) -> None:
    options = LoadOptions(assets=AssetStore(tmp_path), password="secret", page_pixels=9)
    reader = MultimodalReader(options)
    assert pickle.loads(pickle.dumps(reader)).options == options
    assert "secret" not in repr(reader)
    for save in (reader.to_dict, reader.to_json):
        with pytest.raises(InputError, match=r"MultimodalReader\(options\)"):
            save()


def test_files_of_other_file_systems_are_refused(reader: MultimodalReader) -> None:
    with pytest.raises(InputError, match=r"deck\.pdf is on a MemoryFileSystem"):
        reader.load_data("deck.pdf", fs=MemoryFileSystem())


def test_missing_file_is_named(reader: MultimodalReader, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.pdf"):
        reader.load_data(tmp_path / "gone.pdf")


def test_what_is_no_file_is_refused(reader: MultimodalReader) -> None:
    with pytest.raises(InputError, match="got 3"):
        reader.load_data(3)


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


def test_queries_become_content(folder: Path) -> None:
    picture = str(folder / "sunset.png")
    assert query_to_content(QueryBundle("words")) == Text("words")
    assert isinstance(query_to_content(QueryBundle("", image_path=picture)), Image)
    both = query_to_content(QueryBundle("words", image_path=picture))
    assert isinstance(both, Mixed)
    assert [part.modality for part in both.parts] == ["text", "image"]
    spoken = MultimodalQuery("words", image_path=picture, content=Audio(Path("a.wav")))
    all_of_it = query_to_content(spoken)
    assert isinstance(all_of_it, Mixed)
    assert [part.modality for part in all_of_it.parts] == ["text", "image", "audio"]
    several = query_to_content(MultimodalQuery("words", content=all_of_it))
    assert isinstance(several, Mixed)
    assert len(several.parts) == 4


def test_a_chat_asks_alone() -> None:
    chat = [{"role": "user", "content": "words"}]
    assert isinstance(query_to_content(MultimodalQuery(content=chat)), Chat)
    with pytest.raises(InputError, match="Chat"):
        query_to_content(MultimodalQuery("words", content=chat))
