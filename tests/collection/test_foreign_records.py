"""Records that other programs wrote in our way are found; what is being written is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import chromadb
import numpy as np
import pytest
from langchain_chroma import Chroma
from PIL import Image as PILImage

from langchain_mm_rag import MultimodalEmbeddings, MultimodalLoader
from mm_rag import Collection, Encoder
from mm_rag.collection.catalog import Catalog, Commit
from mm_rag.collection.store import VectorStore
from mm_rag.record import segment_to_metadata
from tests.collection.conftest import segment
from tests.collection.seeing import seeing, seen


@pytest.fixture
def client(collection: Collection) -> Iterator[Any]:
    client: Any = chromadb.PersistentClient(str(collection.path / "chroma"))
    yield client
    client.close()


def texts(collection: Collection, query: str, **options: Any) -> list[str]:
    return [hit.segment.text for hit in collection.search(query, 50, **options)]


@pytest.mark.slow
def test_what_langchain_added_is_found(
    collection: Collection, encoder: Encoder, client: Any, folder: Path
) -> None:
    collection.add([segment("bread and butter", 1)])
    store = Chroma("default", MultimodalEmbeddings(encoder=encoder), client=client)
    documents = MultimodalLoader(folder / "ferry.pdf").load()
    store.add_documents(documents, ids=[f"theirs-{n}" for n in range(len(documents))])
    store.add_texts(["a ferry that no loader of ours saw"])
    # Chroma itself finds what another client wrote only when it is opened next.
    with Collection(collection.path, encoder=encoder) as reopened:
        hits = reopened.search("ferry northern island")
        assert hits[0].segment.source == str(folder / "ferry.pdf")
        assert hits[0].segment.page == 1
        assert "lexical" not in hits[0].scores
        assert "bread and butter" in {hit.segment.text for hit in hits}
        assert not any("no loader" in hit.segment.text for hit in hits)
        pages = reopened.search("ferry", where={"page": 2})
        assert [hit.segment.page for hit in pages] == [2]
        only = reopened.search("ferry", modalities=["text"])
        assert {hit.segment.modality for hit in only} == {"text"}


def test_a_collection_that_only_others_wrote_to(
    collection: Collection, encoder: Encoder, client: Any
) -> None:
    theirs = [segment(f"ferry {n}", n) for n in range(3)]
    client.get_collection("default", embedding_function=None).add(
        ids=[each.id for each in theirs],
        embeddings=np.asarray(encoder.encode_document([each.text for each in theirs])),
        documents=[each.text for each in theirs],
        metadatas=[dict(segment_to_metadata(each)) for each in theirs],
    )
    assert texts(collection, "ferry 1")[0] == "ferry 1"


def test_pictures_of_others_are_found_by_their_modality(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    PILImage.new("RGB", (8, 8)).save(photo)
    picture, encoder = seen("a harbour", photo), seeing()
    with Collection(tmp_path / "seen", encoder=encoder) as collection:
        collection.add(segment(f"harbour {n}", n) for n in range(300))
        client: Any = chromadb.PersistentClient(str(collection.path / "chroma"))
        client.get_collection("default", embedding_function=None).add(
            ids=["theirs"],
            embeddings=np.asarray(encoder.encode_document([picture.content])),
            documents=[picture.text],
            metadatas=[dict(segment_to_metadata(picture))],
        )
        assert texts(collection, "harbour", modalities=["image"]) == ["a harbour"]
        client.close()


def test_what_is_being_written_is_not_shown(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.add([segment("ferry before", 1, part=1)])
    commit, shown = Catalog.commit, list[list[str]]()

    def watched(self: Catalog, change: Commit) -> list[str]:
        shown.append(texts(collection, "ferry"))
        return commit(self, change)

    monkeypatch.setattr(Catalog, "commit", watched)
    collection.add([segment("ferry after", 2), segment("ferry replaced", 1, part=1)])
    assert shown == [["ferry before"]]
    assert sorted(texts(collection, "ferry")) == ["ferry after", "ferry replaced"]


def test_what_is_deleted_is_not_shown(
    collection: Collection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.sync(folder)
    drop, shown = VectorStore.drop, list[set[str]]()

    def watched(self: VectorStore, ids: Sequence[str]) -> None:
        shown.append({hit.segment.source for hit in collection.search("ferry bread")})
        drop(self, ids)

    monkeypatch.setattr(VectorStore, "drop", watched)
    (folder / "ferry.pdf").unlink()
    collection.sync(folder)
    assert shown == [{str(folder / "bakery.pdf")}] * len(shown)
    assert shown
