"""ShownStore: LangChain's stores embed the media of Documents."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import chromadb
import pytest
from langchain_chroma import Chroma
from langchain_classic.embeddings import CacheBackedEmbeddings
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, aindex, index
from langchain_core.stores import InMemoryStore
from langchain_core.vectorstores import InMemoryVectorStore, VectorStore
from PIL import Image as PILImage

from langchain_mm_rag import MultimodalEmbeddings, MultimodalLoader, ShownStore
from langchain_mm_rag.documents import segment_to_document
from mm_rag import Audio, Image, Segment, Text, Video
from mm_rag.encoder import Encoder
from mm_rag.errors import InputError
from mm_rag_loaders import AssetStore, LoadOptions
from tests.integrations.glancing import glancing_encoder


@pytest.fixture
def embeddings() -> MultimodalEmbeddings:
    """A fake multimodal encoder."""
    return MultimodalEmbeddings(encoder=glancing_encoder())


@pytest.fixture
def documents(folder: Path, tmp_path: Path) -> list[Document]:
    """Four slides, each as a page and a passage, and a photo without text."""
    options = LoadOptions(assets=AssetStore(tmp_path / "assets"), workers=0)
    return MultimodalLoader(folder, options=options).load()


def shown_vectors(documents: list[Document], encoder: Encoder) -> list[list[float]]:
    """Vectors that a collection would store."""
    shown = [
        Text(f"{document.metadata['title']}\n{document.page_content}")
        if document.metadata["modality"] == "text"
        else Image(Path(document.metadata["media"]))
        for document in documents
    ]
    return encoder.encode_document(shown).tolist()


def in_memory(embeddings: MultimodalEmbeddings) -> InMemoryVectorStore:
    return InMemoryVectorStore(embeddings)


def in_chroma(embeddings: MultimodalEmbeddings) -> Chroma:
    return Chroma("shown", embeddings, client=chromadb.EphemeralClient())


def kept(store: VectorStore) -> dict[str, list[float]]:
    """Vectors of a store by id."""
    if isinstance(store, InMemoryVectorStore):
        return {id_: record["vector"] for id_, record in store.store.items()}
    assert isinstance(store, Chroma)
    got = store.get(include=["embeddings"])
    store.delete_collection()
    return dict(zip(got["ids"], got["embeddings"].tolist(), strict=True))


@pytest.mark.parametrize("make", [in_memory, in_chroma])
def test_a_store_embeds_pages_and_photos_by_their_pictures(
    make: Callable[[MultimodalEmbeddings], VectorStore],
    embeddings: MultimodalEmbeddings,
    documents: list[Document],
) -> None:
    store = make(embeddings)
    ShownStore(store).add_documents(documents)
    expected = shown_vectors(documents, embeddings.encoder)
    assert kept(store) == dict(zip([d.id for d in documents], expected, strict=True))


async def test_a_store_does_so_async(
    embeddings: MultimodalEmbeddings, documents: list[Document]
) -> None:
    store = in_memory(embeddings)
    await ShownStore(store).aadd_documents(documents)
    assert list(kept(store).values()) == shown_vectors(documents, embeddings.encoder)


def test_what_a_store_finds_are_the_documents(
    embeddings: MultimodalEmbeddings, documents: list[Document]
) -> None:
    store = in_memory(embeddings)
    ShownStore(store).add_documents(documents)
    [photo] = [document for document in documents if not document.page_content]
    [vector] = embeddings.embed_image([photo.metadata["media"]])
    assert store.similarity_search_by_vector(vector, k=1) == [photo]


def test_documents_are_left_as_they_are(
    embeddings: MultimodalEmbeddings, documents: list[Document]
) -> None:
    before = [document.model_copy() for document in documents]
    ShownStore(in_memory(embeddings)).add_documents(documents)
    assert documents == before
    assert all(type(document.page_content) is str for document in documents)


def test_embeddings_that_see_words_only_are_refused(embeddings: MultimodalEmbeddings) -> None:
    cached = CacheBackedEmbeddings(embeddings, InMemoryStore())
    with pytest.raises(InputError, match="embeds with CacheBackedEmbeddings"):
        ShownStore(InMemoryVectorStore(cached))


def test_the_indexing_api_embeds_a_changed_photo_anew(
    tmp_path: Path, embeddings: MultimodalEmbeddings
) -> None:
    store, photo = in_memory(embeddings), tmp_path / "photo.png"
    records = InMemoryRecordManager("test")
    records.create_schema()
    loader = MultimodalLoader(photo, options=LoadOptions(workers=0))
    for colour in ("red", "blue"):
        PILImage.new("RGB", (64, 64), colour).save(photo)
        index(loader, records, ShownStore(store), cleanup="full", key_encoder="sha256")
        assert list(kept(store).values()) == embeddings.embed_image([photo])


async def test_the_indexing_api_does_so_async(
    folder: Path, embeddings: MultimodalEmbeddings
) -> None:
    store, records = in_memory(embeddings), InMemoryRecordManager("test")
    await records.acreate_schema()
    loader = MultimodalLoader(folder / "sunset.png", options=LoadOptions(workers=0))
    await aindex(loader, records, ShownStore(store), cleanup="full", key_encoder="sha256")
    assert list(kept(store).values()) == embeddings.embed_image([folder / "sunset.png"])
    [id_] = store.store
    assert ShownStore(store).get_by_ids([id_])[0].metadata["modality"] == "image"
    assert ShownStore(store).similarity_search("a", 1)[0].id == id_
    assert ShownStore(store).embeddings is embeddings


def test_clips_are_heard_and_seen(embeddings: MultimodalEmbeddings) -> None:
    place: dict[str, Any] = {"source": "/a", "sha256": "1" * 64, "media": "/films/a.mp4"}
    clips = [
        Segment(modality="audio", start=1.0, end=2.0, text="words", **place),
        Segment(modality="video", start=1.0, end=2.0, **place),
    ]
    expected = embeddings.encoder.encode_document(
        [Audio(Path("/films/a.mp4")), Video(Path("/films/a.mp4"))]
    )
    assert embeddings.embed_shown(map(segment_to_document, clips)) == expected.tolist()


def test_words_never_open_a_file(embeddings: MultimodalEmbeddings, folder: Path) -> None:
    photo = str(folder / "sunset.png")
    [shown] = embeddings.embed_shown([Document(photo, metadata={"source": photo})])
    assert [shown] == embeddings.embed_documents([photo])
    assert [shown] == embeddings.encoder.encode_document([Text(photo)]).tolist()


def test_what_a_model_cannot_see_is_its_words(documents: list[Document]) -> None:
    embeddings = MultimodalEmbeddings(encoder=glancing_encoder("text"))
    vectors = embeddings.embed_shown(documents)
    page, passage = (
        next(n for n, d in enumerate(documents) if d.metadata["modality"] == modality)
        for modality in ("image", "text")
    )
    assert vectors[page] == vectors[passage]


def test_what_is_no_document_is_refused(embeddings: MultimodalEmbeddings) -> None:
    with pytest.raises(InputError, match=r"Expected (a list of )?Documents"):
        embeddings.embed_shown(["words"])  # pyright: ignore[reportArgumentType]


def test_embeddings_say_which_model_they_are(encoder: Encoder) -> None:
    embeddings = MultimodalEmbeddings(encoder=encoder)
    assert embeddings.model == encoder.name
    assert repr(embeddings) == f"MultimodalEmbeddings(model={encoder.name!r}, dimension=384)"


def test_documents_have_the_id_of_their_segment_in_their_metadata(
    documents: list[Document],
) -> None:
    assert [document.metadata["id"] for document in documents] == [d.id for d in documents]
