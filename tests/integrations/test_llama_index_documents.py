"""The reader's Documents keep their media through splitters, pipelines and stores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import chromadb
import pytest
from llama_index.core import SimpleDirectoryReader, StorageContext, VectorStoreIndex
from llama_index.core.base.llms.types import ImageBlock, TextBlock
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter, TokenTextSplitter
from llama_index.core.readers.base import BaseReader
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageNode,
    MetadataMode,
    Node,
    NodeWithScore,
    TextNode,
)
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.embeddings.mm_rag import MultimodalEmbedding
from llama_index.postprocessor.mm_rag import MultimodalRerank
from llama_index.readers.mm_rag import MultimodalReader, nodes_to_blocks
from llama_index.utils.mm_rag.nodes import (
    node_to_content,
    segment_to_document,
    segment_to_node,
    with_picture,
)
from llama_index.vector_stores.chroma import ChromaVectorStore

from mm_rag import Audio, Encoder, Image, Reranker, Segment, Text, Video
from mm_rag_loaders import AssetStore, LoadOptions
from tests.integrations.glancing import glancing_encoder

QUESTION = "How many engineers work in Oslo?"


@pytest.fixture(scope="module")
def documents(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    """Four slides, each as a page and a passage, and a photo without text."""
    options = LoadOptions(assets=AssetStore(tmp_path_factory.mktemp("assets")), workers=0)
    return MultimodalReader(options).load_data(folder)


@pytest.fixture
def clips(folder: Path) -> list[Segment]:
    """A recording with its transcript, and a video with its frame."""
    talk = {"source": "/talks/a.mp3", "media": "/talks/a.mp3", "mime_type": "audio/mpeg"}
    tour = {"source": "/films/b.mp4", "media": "/films/b.mp4", "mime_type": "video/mp4"}
    span: dict[str, Any] = {"start": 30.0, "end": 60.0}
    frame = str(folder / "sunset.png")
    return [
        Segment(modality="audio", sha256="1" * 64, text="Welcome aboard.", **talk, **span),
        Segment(modality="video", sha256="2" * 64, preview=frame, **tour, **span),
    ]


def in_memory(_: Path) -> StorageContext:
    return StorageContext.from_defaults()


def in_chroma(folder: Path) -> StorageContext:
    client = chromadb.PersistentClient(str(folder))
    records = client.get_or_create_collection("slides", embedding_function=None)
    return StorageContext.from_defaults(vector_store=ChromaVectorStore(chroma_collection=records))


def index_of(
    documents: Sequence[Document], embedding: MultimodalEmbedding, storage: StorageContext
) -> Any:
    """The index of LlamaIndex's introductory tutorials."""
    return VectorStoreIndex.from_documents(  # pyright: ignore[reportUnknownMemberType]
        documents, embed_model=embedding, storage_context=storage
    )


def picture_in(blocks: Sequence[Any]) -> bytes:
    [picture] = [block for block in blocks if isinstance(block, ImageBlock)]
    return picture.resolve_image().read()


@pytest.mark.parametrize("storage", [in_memory, in_chroma])
def test_an_index_of_documents_gives_the_page_and_the_photo_back(
    storage: Callable[[Path], StorageContext],
    documents: list[Document],
    folder: Path,
    encoder: Encoder,
    slide_of: Callable[[bytes], str],
    tmp_path: Path,
) -> None:
    embedding = MultimodalEmbedding(encoder=encoder)
    retriever = index_of(documents, embedding, storage(tmp_path)).as_retriever(similarity_top_k=1)
    [page] = retriever.retrieve(QUESTION)
    assert "five in Oslo" in " ".join(page.get_content().split())
    assert page.metadata["page"] == 2
    assert slide_of(picture_in(nodes_to_blocks([page]))) == "green"
    [photo] = retriever.retrieve("sunset")
    assert photo.metadata["source"] == str(folder / "sunset.png")
    assert picture_in(nodes_to_blocks([photo])) == (folder / "sunset.png").read_bytes()


def test_a_reranker_looks_at_what_was_split_and_gives_words_and_picture(
    documents: list[Document], seeing_reranker: Reranker, slide_of: Callable[[bytes], str]
) -> None:
    found = [NodeWithScore(node=node) for node in SentenceSplitter()(documents)]
    rerank = MultimodalRerank(reranker=seeing_reranker, top_n=2)
    for best in rerank.postprocess_nodes(found, query_str="blue"):
        blocks = best.node.get_content_blocks(MetadataMode.LLM)
        assert slide_of(picture_in(blocks)) == "blue"
        words = "\n".join(block.text for block in blocks if isinstance(block, TextBlock))
        assert "The fourth quarter was the best" in words
        assert "page: 1" in words


@pytest.mark.parametrize("splitter", [SentenceSplitter(), TokenTextSplitter()])
def test_splitters_lose_nothing(
    splitter: SentenceSplitter | TokenTextSplitter,
    documents: list[Document],
    clips: list[Segment],
) -> None:
    given = [*documents, *map(segment_to_document, clips)]
    nodes = splitter(given)
    assert [node.metadata["id"] for node in nodes] == [document.id_ for document in given]
    kinds = {node.metadata["modality"]: type(node) for node in nodes}
    assert kinds == {"text": TextNode, "image": ImageNode, "audio": TextNode, "video": ImageNode}
    assert all(node.get_content(MetadataMode.EMBED) for node in nodes)


def test_a_pipeline_embeds_what_split_documents_show(
    documents: list[Document], clips: list[Segment]
) -> None:
    embedding = MultimodalEmbedding(encoder=glancing_encoder())
    given = [*documents, *map(segment_to_document, clips)]
    pipeline = IngestionPipeline(transformations=[SentenceSplitter(), embedding])
    nodes = pipeline.run(documents=given)
    expected = [
        Text(document.get_content(MetadataMode.EMBED))
        if document.metadata["modality"] == "text"
        else Image(Path(document.metadata["media"]))
        for document in documents
    ]
    expected += [Audio(Path("/talks/a.mp3")), Video(Path("/films/b.mp4"))]
    assert embedding.encoder is not None
    assert [n.embedding for n in nodes] == embedding.encoder.encode_document(expected).tolist()


def test_an_index_keeps_the_vectors_of_a_pipeline(documents: list[Document]) -> None:
    embedding = MultimodalEmbedding(encoder=glancing_encoder())
    index = VectorStoreIndex.from_documents(  # pyright: ignore[reportUnknownMemberType]
        documents, embed_model=embedding, transformations=[SentenceSplitter(), embedding]
    )
    [photo] = [
        node for node in index.docstore.docs.values() if not node.get_content(MetadataMode.NONE)
    ]
    store: Any = index.vector_store
    assert store.get(photo.node_id) == embedding.get_image_embedding(photo.metadata["media"])


def test_a_clip_keeps_its_span(clips: list[Segment], encoder: Encoder) -> None:
    sound, film = SentenceSplitter()([segment_to_document(clip) for clip in clips])
    heard, seen = (node_to_content(node, encoder) for node in (sound, film))
    assert isinstance(heard, Audio)
    assert (heard.source, heard.start, heard.end) == (Path("/talks/a.mp3"), 30.0, 60.0)
    assert heard.text == "a.mp3\nWelcome aboard."
    assert isinstance(seen, Video)
    assert (seen.source, seen.start, seen.end) == (Path("/films/b.mp4"), 30.0, 60.0)


def test_a_directory_reader_and_an_index(
    folder: Path, encoder: Encoder, slide_of: Callable[[bytes], str], tmp_path: Path
) -> None:
    reader = MultimodalReader(LoadOptions(assets=AssetStore(tmp_path), workers=0))
    extractor: dict[str, BaseReader] = {".pdf": reader, ".png": reader}
    documents = SimpleDirectoryReader(folder, file_extractor=extractor).load_data()
    index = index_of(
        documents, MultimodalEmbedding(encoder=encoder), StorageContext.from_defaults()
    )
    [page] = index.as_retriever(similarity_top_k=1).retrieve(QUESTION)
    assert page.metadata["file_name"] == "deck.pdf"
    assert slide_of(picture_in(nodes_to_blocks([page]))) == "green"


def test_stores_of_documents_give_their_pictures_back(documents: list[Document]) -> None:
    store = SimpleDocumentStore()
    store.add_documents(documents)
    kept = SimpleDocumentStore.from_dict(store.to_dict())
    for document in documents:
        again = kept.get_document(document.id_)
        assert isinstance(again, Document)
        assert again.image_resource == document.image_resource
        assert again.metadata == document.metadata


def test_documents_have_the_id_of_their_segment_in_their_metadata(
    documents: list[Document],
) -> None:
    assert [document.metadata["id"] for document in documents] == [d.id_ for d in documents]


def gone(folder: Path) -> Segment:
    picture = str(folder / "gone.png")
    return Segment(
        modality="image",
        source=picture,
        sha256="3" * 64,
        text="A red bus",
        media=picture,
        mime_type="image/png",
    )


def split(segment: Segment) -> BaseNode:
    return SentenceSplitter()([segment_to_document(segment)])[0]


@pytest.mark.parametrize("made", [segment_to_node, segment_to_document, split])
def test_a_node_whose_picture_is_gone_is_shown_by_its_words(
    made: Callable[[Segment], BaseNode], tmp_path: Path
) -> None:
    picture = tmp_path / "gone.png"
    picture.touch()
    node = made(gone(tmp_path))
    picture.unlink()
    words = with_picture(node)
    assert isinstance(words, Node)
    assert [type(block) for block in words.get_content_blocks()] == [TextBlock]
    label, reason = nodes_to_blocks([node])
    assert isinstance(label, TextBlock)
    assert label.text == "[1] gone.png\nA red bus"
    assert reason == TextBlock(text="[picture cannot be shown: its file is missing or damaged]")
