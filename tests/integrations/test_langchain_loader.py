"""MultimodalLoader, and collections as other programs read them."""

from __future__ import annotations

from pathlib import Path

import pytest
from langchain_chroma import Chroma
from langchain_core.indexing import InMemoryRecordManager, index
from langchain_core.vectorstores import InMemoryVectorStore
from PIL import Image as PILImage

from langchain_mm_rag import MultimodalEmbeddings, MultimodalLoader
from langchain_mm_rag.documents import document_to_content
from mm_rag import Collection, Encoder, Image
from mm_rag.errors import InputError
from mm_rag_loaders import AssetStore, LoadOptions, load


@pytest.fixture
def options(tmp_path: Path) -> LoadOptions:
    return LoadOptions(assets=AssetStore(tmp_path / "assets"))


def test_documents_are_the_segments(folder: Path, options: LoadOptions) -> None:
    documents = MultimodalLoader(folder / "deck.pdf", options=options).load()
    segments = list(load(folder / "deck.pdf", options))
    assert [document.id for document in documents] == [segment.id for segment in segments]
    assert [document.page_content for document in documents] == [s.text for s in segments]
    assert documents[0].metadata["page"] == 1


async def test_it_is_lazy(folder: Path, options: LoadOptions) -> None:
    loader = MultimodalLoader([folder / "deck.pdf", folder / "sunset.png"], options=options)
    assert next(loader.lazy_load()).metadata["page"] == 1
    pages = [document.metadata.get("page") async for document in loader.alazy_load()]
    assert pages[0] == 1


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.pdf"):
        MultimodalLoader(tmp_path / "gone.pdf").load()


def test_document_goes_back_to_its_picture(
    folder: Path, options: LoadOptions, encoder: Encoder
) -> None:
    [document] = MultimodalLoader(folder / "sunset.png", options=options).load()
    content = document_to_content(document, encoder)
    assert isinstance(content, Image)
    assert content.source == folder / "sunset.png"


def test_indexing_api_sees_a_changed_picture(
    tmp_path: Path, options: LoadOptions, encoder: Encoder
) -> None:
    photo = tmp_path / "photo.png"
    store = InMemoryVectorStore(MultimodalEmbeddings(encoder=encoder))
    records = InMemoryRecordManager("test")
    records.create_schema()
    outcomes: list[tuple[int, int]] = []
    for colour in ("red", "red", "blue"):
        PILImage.new("RGB", (64, 64), colour).save(photo)
        outcome = index(
            MultimodalLoader(photo, options=options),
            records,
            store,
            cleanup="full",
            key_encoder="sha256",
        )
        outcomes.append((outcome["num_added"], outcome["num_skipped"]))
    assert outcomes == [(1, 0), (0, 1), (1, 0)]


def test_chroma_reads_a_collection(
    folder: Path, options: LoadOptions, encoder: Encoder, tmp_path: Path
) -> None:
    with Collection(tmp_path / "collection", encoder=encoder, name="slides") as collection:
        collection.add(load(folder / "deck.pdf", options))
    store = Chroma(
        "slides",
        MultimodalEmbeddings(encoder=encoder),
        persist_directory=str(tmp_path / "collection" / "chroma"),
    )
    [found] = store.similarity_search("engineers in Oslo", k=1, filter={"modality": "text"})
    assert found.metadata["page"] == 2
    [page] = store.similarity_search("engineers in Oslo", k=1, filter={"modality": "image"})
    assert isinstance(document_to_content(page, encoder), Image)
