"""Collections are interchangeable: each writer is tested with each reader."""

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
from PIL import Image
from typer.testing import CliRunner

from langchain_mm_rag import MultimodalEmbeddings, MultimodalLoader, MultimodalRetriever, ShownStore
from mm_rag import Collection, Encoder, Segment
from mm_rag.cli import app
from mm_rag.errors import CollectionError, CollectionMismatch, InputError
from mm_rag_loaders import AssetStore, LoadOptions

QUESTION = "How many engineers work in Oslo?"


class Found(NamedTuple):
    """The best hit as a reader returns it."""

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


def by_langchain_as_shown(folder: Path, home: Path, encoder: Encoder) -> None:
    options = LoadOptions(assets=AssetStore(home / "pictures"))
    with chroma_in(home) as client:
        store = Chroma("default", MultimodalEmbeddings(encoder=encoder), client=client)
        ShownStore(store).add_documents(MultimodalLoader(folder, options=options).load())


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


def by_llama_index_from_documents(folder: Path, home: Path, encoder: Encoder) -> None:
    options = LoadOptions(assets=AssetStore(home / "pictures"))
    with chroma_in(home) as client:
        records = client.get_or_create_collection("default", embedding_function=None)
        store = ChromaVectorStore(chroma_collection=records)
        VectorStoreIndex.from_documents(  # pyright: ignore[reportUnknownMemberType]
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


WHOLE = (by_langchain, by_langchain_as_shown, by_llama_index)
"""Writers that store whole Segments under their ids; splitters assign new ids."""

WRITERS = (by_mm_rag_index, *WHOLE, by_llama_index_from_documents)
READERS = (in_langchain, in_llama_index, in_langchain_chroma, in_chroma_vector_store)


@pytest.fixture(scope="module")
def homes(
    folder: Path, encoder: Encoder, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The same folder, written by each writer."""
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


@pytest.mark.parametrize("writer", WHOLE)
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


@pytest.fixture
def noted(tmp_path: Path, encoder: Encoder) -> Path:
    """A collection with notes and a picture that LangChain wrote beside our Segments."""
    with Collection(tmp_path, encoder=encoder) as collection:
        ours = Segment(modality="text", source="/a", sha256="a" * 64, text="Five in Oslo.")
        collection.add([ours])
    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    with chroma_in(tmp_path) as client:
        store = Chroma("default", MultimodalEmbeddings(encoder=encoder), client=client)
        store.add_texts(["How many engineers work in Oslo"], ids=["note"])
        store.add_images([str(tmp_path / "red.png")], ids=["picture"])
    return tmp_path


def test_what_langchain_keeps_beside_our_records_stays_and_is_not_ours(
    noted: Path, encoder: Encoder, folder: Path
) -> None:
    with Collection(noted, encoder=encoder) as collection:
        collection.sync(folder)
        assert collection.verify().foreign == 2
        assert collection.repair().foreign == 2
        found = [hit.segment.text for hit in collection.search("How many engineers work in Oslo")]
        assert found
        assert "How many engineers work in Oslo" not in found
    with chroma_in(noted) as client:
        store = Chroma("default", MultimodalEmbeddings(encoder=encoder), client=client)
        [first, second] = store.similarity_search("How many engineers work in Oslo", k=2)
        assert first.id == "note"
        assert "Oslo" in second.page_content
        assert store.get(ids=["picture"])["ids"] == ["picture"]


def test_a_reindex_does_not_delete_what_other_programs_keep(noted: Path, encoder: Encoder) -> None:
    with pytest.raises(CollectionError, match="have 2 records"):
        Collection.reindex(noted, encoder=Encoder(truncate_dim=100))
    with Collection(noted, encoder=encoder, create=False) as collection:
        assert len(collection) == 1
        assert collection.verify().foreign == 2


LOOK_LIKE_OURS: list[dict[str, Any]] = [
    {"modality": "text", "page": "3"},
    {"modality": "text", "page": 0},
    {"modality": "text", "start": "0:10", "end": 3.0},
    {"modality": "text", "title": 7},
    {"modality": "slide"},
    {"modality": 3},
    {"modality": "image"},
]


def test_records_that_only_look_like_ours_are_other_programs(
    tmp_path: Path, encoder: Encoder
) -> None:
    told = [{"source": "/a", "sha256": "a" * 64, **metadata} for metadata in LOOK_LIKE_OURS]
    with chroma_in(tmp_path) as client:
        store = Chroma("default", MultimodalEmbeddings(encoder=encoder), client=client)
        store.add_texts(["five in Oslo"] * len(told), told)
    with Collection(tmp_path, encoder=encoder, create=False) as collection:
        assert collection.search(QUESTION) == []
        assert collection.verify().foreign == len(told)


def test_lists_that_users_added_to_a_record_survive_a_repair(
    folder: Path, tmp_path: Path, encoder: Encoder
) -> None:
    documents = MultimodalLoader(folder / "sunset.png").load()
    documents[0].metadata["tags"] = ["evening", "sea"]
    with chroma_in(tmp_path) as client:
        store = Chroma("default", MultimodalEmbeddings(encoder=encoder), client=client)
        store.add_documents(documents)
    with Collection(tmp_path, encoder=encoder, create=False) as collection:
        assert collection.repair().ok
        assert len(collection) == 1
    with chroma_in(tmp_path) as client:
        assert client.get_collection("default", None).get()["metadatas"][0]["tags"] == [
            "evening",
            "sea",
        ]


def test_vectors_of_another_model_in_a_foreign_collection_are_a_mismatch(
    tmp_path: Path, folder: Path, encoder: Encoder
) -> None:
    with chroma_in(tmp_path) as client:
        records = client.get_or_create_collection("default", embedding_function=None)
        records.add(ids=["x"], embeddings=[[0.5] * 8], documents=["five in Oslo"])
    with pytest.raises(CollectionMismatch, match="8 dimensions"):
        Collection(tmp_path, encoder=encoder)
    with Collection(tmp_path) as collection, pytest.raises(CollectionMismatch, match="384"):
        collection.sync(folder)


def test_what_was_taken_in_belongs_to_the_model_it_was_opened_with(
    folder: Path, tmp_path: Path, encoder: Encoder
) -> None:
    by_langchain(folder, tmp_path, encoder)
    with Collection(tmp_path, encoder=encoder, create=False) as collection:
        assert collection.repair().ok
    with pytest.raises(CollectionMismatch, match="was made with the model mm-rag/multi"):
        Collection(tmp_path, encoder=Encoder(truncate_dim=100))


def test_a_folder_that_is_chromas_own_is_told_from_a_home(tmp_path: Path, encoder: Encoder) -> None:
    (tmp_path / "chroma.sqlite3").touch()
    with pytest.raises(CollectionError, match="Chroma's own: move what is in it"):
        Collection(tmp_path, encoder=encoder, create=False)


def test_what_is_no_place_is_no_collection() -> None:
    with pytest.raises(InputError, match="got a NoneType"):
        Collection(None)  # pyright: ignore[reportArgumentType]
