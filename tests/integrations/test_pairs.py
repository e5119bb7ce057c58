"""Whoever wrote a collection, everybody reads it: a test of each pair."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import chromadb
import pytest
from langchain_chroma import Chroma
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.embeddings.mm_rag import MultimodalEmbedding
from llama_index.readers.mm_rag import MultimodalReader
from llama_index.retrievers.mm_rag import MultimodalRetriever as LlamaRetriever
from llama_index.vector_stores.chroma import ChromaVectorStore
from typer.testing import CliRunner

from langchain_mm_rag import MultimodalEmbeddings, MultimodalLoader, MultimodalRetriever
from mm_rag import Collection, Encoder
from mm_rag.cli import app
from mm_rag.errors import CollectionError
from mm_rag_loaders import AssetStore, LoadOptions

QUESTION = "How many engineers work in Oslo?"


class Found(NamedTuple):
    """What a reader makes of the best hit."""

    text: str
    metadata: dict[str, Any]


@contextmanager
def chroma_in(home: Path) -> Generator[Any]:
    """Chroma as the frameworks open it."""
    client: Any = chromadb.PersistentClient(str(home / "chroma"))
    yield client
    client.close()


def by_mm_rag_index(folder: Path, home: Path, encoder: Encoder) -> None:
    command = ["index", str(folder), "--collection", str(home)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output


def by_langchain(folder: Path, home: Path, encoder: Encoder) -> None:
    options = LoadOptions(assets=AssetStore(home / "pictures"))
    with chroma_in(home) as client:
        store = Chroma("default", MultimodalEmbeddings(encoder=encoder), client=client)
        store.add_documents(MultimodalLoader(folder, options=options).load())


def by_llama_index(folder: Path, home: Path, encoder: Encoder) -> None:
    options = LoadOptions(assets=AssetStore(home / "pictures"))
    with chroma_in(home) as client:
        records = client.get_or_create_collection("default", embedding_function=None)
        store = ChromaVectorStore(chroma_collection=records)
        VectorStoreIndex(
            MultimodalReader(options=options).load_data(folder),
            storage_context=StorageContext.from_defaults(vector_store=store),
            embed_model=MultimodalEmbedding(encoder=encoder),
        )


def in_langchain(home: Path, encoder: Encoder) -> Found:
    with Collection(home, encoder=encoder, create=False) as collection:
        best = MultimodalRetriever(collection=collection, k=1).invoke(QUESTION)[0]
    return Found(best.page_content, best.metadata)


def in_llama_index(home: Path, encoder: Encoder) -> Found:
    with Collection(home, encoder=encoder, create=False) as collection:
        best = LlamaRetriever(collection, similarity_top_k=1).retrieve(QUESTION)[0].node
    return Found(best.get_content(), best.metadata)


def in_langchain_chroma(home: Path, encoder: Encoder) -> Found:
    with chroma_in(home) as client:
        store = Chroma("default", MultimodalEmbeddings(encoder=encoder), client=client)
        [best] = store.similarity_search(QUESTION, k=1)
    return Found(best.page_content, best.metadata)


def in_chroma_vector_store(home: Path, encoder: Encoder) -> Found:
    with chroma_in(home) as client:
        store = ChromaVectorStore(chroma_collection=client.get_collection("default", None))
        index = VectorStoreIndex.from_vector_store(  # pyright: ignore[reportUnknownMemberType]
            store, embed_model=MultimodalEmbedding(encoder=encoder)
        )
        best = index.as_retriever(similarity_top_k=1).retrieve(QUESTION)[0].node
    return Found(best.get_content(), best.metadata)


WRITERS = (by_mm_rag_index, by_langchain, by_llama_index)
READERS = (in_langchain, in_llama_index, in_langchain_chroma, in_chroma_vector_store)


@pytest.fixture(scope="module")
def homes(
    folder: Path, encoder: Encoder, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The same folder, written by each."""
    homes: dict[str, Path] = {}
    for write in WRITERS:
        homes[write.__name__] = tmp_path_factory.mktemp(write.__name__)
        write(folder, homes[write.__name__], encoder)
    return homes


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("writer", WRITERS)
def test_each_reads_what_each_wrote(
    writer: Callable[..., None],
    reader: Callable[[Path, Encoder], Found],
    homes: dict[str, Path],
    encoder: Encoder,
    folder: Path,
    slide_of: Callable[[bytes], str],
) -> None:
    found = reader(homes[writer.__name__], encoder)
    assert "five in Oslo" in " ".join(found.text.split())
    assert found.metadata["source"] == str(folder / "deck.pdf")
    assert found.metadata["page"] == 2
    assert len(found.metadata["sha256"]) == 64
    assert slide_of(Path(found.metadata["preview"]).read_bytes()) == "green"


@pytest.mark.parametrize("writer", WRITERS[1:])
def test_a_repair_takes_in_what_the_frameworks_wrote(
    writer: Callable[..., None], folder: Path, tmp_path: Path, encoder: Encoder
) -> None:
    writer(folder, tmp_path, encoder)
    with Collection(tmp_path, encoder=encoder, create=False) as collection:
        assert len(collection) == 0
        assert collection.verify().strays
        assert not collection.repair().strays
        assert collection.segment_counts() == {"image": 5, "text": 4}
        best = collection.search(QUESTION)[0]
        assert "lexical" in best.scores
        assert not any(name.startswith("_node") for name in best.segment.metadata)


def test_a_folder_without_such_a_collection_is_none(tmp_path: Path, encoder: Encoder) -> None:
    with chroma_in(tmp_path) as client:
        client.create_collection("default", embedding_function=None)
    with pytest.raises(CollectionError, match="no collection 'slides'"):
        Collection(tmp_path, encoder=encoder, name="slides", create=False)
    assert not (tmp_path / "slides").exists()
