"""A collection in memory: nobody else sees it, and nothing of it is left."""

from __future__ import annotations

import gc
from pathlib import Path

import chromadb
import pytest

from mm_rag import Collection, Encoder
from tests.collection.conftest import segment


def kept_by_chroma() -> set[str]:
    return {each.name for each in chromadb.EphemeralClient().list_collections()}


def test_two_do_not_see_each_other(encoder: Encoder) -> None:
    with (
        Collection(":memory:", encoder=encoder) as one,
        Collection(":memory:", encoder=encoder) as other,
    ):
        one.add([segment("alpha", 1)])
        other.add([segment("beta", 2)])
        assert [hit.segment.text for hit in one.search("alpha beta")] == ["alpha"]
        assert [hit.segment.text for hit in other.search("alpha beta")] == ["beta"]
        assert (len(one), len(other)) == (1, 1)


def test_it_does_what_others_do(encoder: Encoder, folder: Path) -> None:
    with Collection(":memory:", encoder=encoder) as collection:
        collection.sync(folder)
        collection.add([segment("the gasket XJ-9 40/B", 1)])
        assert collection.search("XJ-9 40/B")[0].segment.text == "the gasket XJ-9 40/B"
        (hit,) = collection.search("sourdough bread", k=1)
        assert hit.segment.preview is not None
        assert Path(hit.segment.preview).is_file()
        (folder / "bakery.pdf").unlink()
        collection.sync(folder)
        assert "bakery.pdf" not in {Path(h.segment.source).name for h in collection.search("bread")}
        assert collection.verify().ok
        assert collection.repair().ok


def test_what_is_lost_in_it_is_healed(encoder: Encoder) -> None:
    before = kept_by_chroma()
    with Collection(":memory:", encoder=encoder) as collection:
        collection.add([segment("alpha", 1), segment("beta", 2)])
        (name,) = kept_by_chroma() - before
        records = chromadb.EphemeralClient().get_collection(name, embedding_function=None)
        records.delete(ids=[segment("alpha", 1).id])
        assert not collection.verify().ok
        assert collection.repair().ok
        assert {hit.segment.text for hit in collection.search("alpha")} == {"alpha", "beta"}


def test_nothing_is_left_when_it_is_closed(encoder: Encoder, folder: Path) -> None:
    before = kept_by_chroma()
    with Collection(":memory:", encoder=encoder) as collection:
        collection.sync(folder)
        place = collection.path
        assert any(place.rglob("*"))
        assert kept_by_chroma() > before
    assert kept_by_chroma() == before
    assert not place.exists()
    collection.close()  # once more is no error


@pytest.mark.slow
def test_nothing_is_left_when_it_is_forgotten(encoder: Encoder) -> None:
    before = kept_by_chroma()
    collection = Collection(":memory:", encoder=encoder)
    collection.add([segment("alpha", 1)])
    place = collection.path
    del collection
    gc.collect()
    assert kept_by_chroma() == before
    assert not place.exists()
    with Collection(":memory:", encoder=encoder) as another:
        assert another.search("alpha") == []
