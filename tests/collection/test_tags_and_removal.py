"""Tags, what is in a collection, and taking things out of it."""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import chromadb
import pytest

from mm_rag import Collection, Encoder, Segment
from mm_rag.collection import CollectionInfo, SourceRecord, SyncReport
from mm_rag.collection.writer import SegmentWriter
from mm_rag.errors import InputError
from mm_rag_loaders import LoadOptions
from tests.collection.conftest import segment

HERE = LoadOptions(workers=0)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    (made / "2023").mkdir(parents=True)
    (made / "2024").mkdir()
    for year in ("2023", "2024"):
        (made / year / f"lease {year}.txt").write_text(f"The ferry lease of {year} is signed.")
        (made / year / f"memo {year}.txt").write_text(f"The ferry memo of {year} is short.")
    return made


@pytest.fixture
def sync(collection: Collection) -> Callable[..., SyncReport]:
    def synced(*places: Path, **more: Any) -> SyncReport:
        return collection.sync(places, options=HERE, **more)

    return synced


def found(collection: Collection, **options: Any) -> set[str]:
    hits = collection.search("the ferry", 50, rerank=False, **options)
    return {Path(hit.segment.source).name for hit in hits}


def tags(collection: Collection) -> dict[str, tuple[str, ...]]:
    return {Path(record.source).name: record.tags for record in collection.list()}


def never(monkeypatch: pytest.MonkeyPatch) -> None:
    def encode(*_: object, **__: object) -> None:
        raise AssertionError("something was encoded")

    monkeypatch.setattr(Encoder, "encode_document", encode)


# Tags.


@pytest.mark.slow
def test_files_are_tagged_and_found_by_their_tags(
    collection: Collection, files: Path, sync: Callable[..., SyncReport]
) -> None:
    sync(files / "2023", tags=["2023", "contracts"])
    sync(files / "2024", tags=["2024", "contracts"])
    assert found(collection, tags="2023") == {"lease 2023.txt", "memo 2023.txt"}
    assert len(found(collection, tags=["contracts"])) == 4
    assert found(collection, tags=["contracts", "2024"]) == {"lease 2024.txt", "memo 2024.txt"}
    assert found(collection, tags=["2023", "2024"]) == set()
    either = {"$or": [{"tags": {"$contains": year}} for year in ("2023", "2024")]}
    assert len(found(collection, where=either)) == 4
    assert found(collection, tags="2024", where={"source": {"$ne": "x"}}, source=files) == {
        "lease 2024.txt",
        "memo 2024.txt",
    }
    [hit, *_] = collection.search("the ferry", tags="2024")
    assert hit.segment.tags == ("2024", "contracts")
    assert collection.verify().ok


@pytest.mark.slow
def test_tags_change_without_reading_or_encoding(
    collection: Collection,
    files: Path,
    sync: Callable[..., SyncReport],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sync(files, tags="draft")
    never(monkeypatch)
    assert sync(files).counts == {"unchanged": 4}  # none given: as before
    assert set(tags(collection).values()) == {("draft",)}
    assert sync(files / "2024", tags=["final", "2024", "final"]).counts == {"unchanged": 2}
    assert found(collection, tags="final") == {"lease 2024.txt", "memo 2024.txt"}
    assert found(collection, tags="draft") == {"lease 2023.txt", "memo 2023.txt"}
    sync(files, tags=[])
    assert set(tags(collection).values()) == {()}
    assert found(collection, tags="final") == found(collection, tags="draft") == set()
    assert collection.verify().ok


@pytest.mark.slow
def test_a_changed_or_moved_file_keeps_its_tags(
    collection: Collection, files: Path, sync: Callable[..., SyncReport]
) -> None:
    sync(files, tags="kept")
    (files / "2023" / "lease 2023.txt").write_text("The ferry lease was cancelled.")
    (files / "2024" / "memo 2024.txt").rename(files / "moved.txt")
    (files / "new.txt").write_text("The ferry is new.")
    sync(files)
    assert tags(collection) == {
        "lease 2023.txt": ("kept",),
        "memo 2023.txt": ("kept",),
        "lease 2024.txt": ("kept",),
        "moved.txt": ("kept",),
        "new.txt": (),
    }
    assert found(collection, tags="kept") == set(tags(collection)) - {"new.txt"}


@pytest.mark.slow
def test_copies_of_a_file_are_found_by_the_tags_of_each(
    collection: Collection, files: Path, sync: Callable[..., SyncReport]
) -> None:
    sync(files / "2023", tags="old")
    (files / "2024" / "copy.txt").write_text((files / "2023" / "lease 2023.txt").read_text())
    sync(files / "2024", tags="new")
    assert "lease 2023.txt" in found(collection, tags="new")
    assert "lease 2023.txt" in found(collection, tags="old")
    assert tags(collection)["copy.txt"] == ("new",)
    (files / "2024" / "copy.txt").unlink()
    sync(files / "2024")
    assert "lease 2023.txt" not in found(collection, tags="new")
    assert collection.verify().ok


def test_tags_that_a_killed_run_left_are_set_by_the_next(
    collection: Collection,
    files: Path,
    sync: Callable[..., SyncReport],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sync(files, tags="draft")
    with monkeypatch.context() as patch:
        patch.setattr(SegmentWriter, "stage", _die)
        with pytest.raises(KeyboardInterrupt):
            sync(files, tags=[])
    sync(files)
    assert found(collection, tags="draft") == set()


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def test_segments_are_tagged_when_they_are_added(collection: Collection) -> None:
    collection.add([segment("the ferry", 1), segment("the ferry", 2, tags=("own",))])
    collection.add([segment("the ferry too", 3)], tags=["web", "2024"])
    assert found(collection, tags="web") == {"3.txt"}
    assert found(collection, tags="own") == {"2.txt"}
    assert tags(collection) == {"1.txt": (), "2.txt": ("own",), "3.txt": ("2024", "web")}
    collection.add([segment("the ferry too", 3)], tags=[])
    assert found(collection, tags="web") == set()


def test_a_tag_has_one_spelling(collection: Collection) -> None:
    collection.add([segment("the ferry", 1)], tags=" Vertra\u0308ge ")
    assert found(collection, tags="Vertr\u00e4ge") == {"1.txt"}
    assert collection.list()[0].tags == ("Vertr\u00e4ge",)


@pytest.mark.parametrize("given", ["", [" "], ["a\nb"], ["\ud83d"], [5], [["a"]]])
def test_tags_that_are_none(collection: Collection, files: Path, given: Any) -> None:
    with pytest.raises(InputError, match="tag"):
        collection.add([segment("the ferry")], tags=given)
    with pytest.raises(InputError, match="tag"):
        collection.sync(files, tags=given)
    if given:
        with pytest.raises(InputError, match="tag"):
            collection.search("the ferry", tags=given)
    assert len(collection) == 0


def test_other_programs_read_and_filter_tags(tmp_path: Path, encoder: Encoder, files: Path) -> None:
    """Chroma has them as a list of strings, so LangChain's `filter` takes them, too."""
    from langchain_chroma import Chroma

    from langchain_mm_rag import MultimodalEmbeddings

    with Collection(tmp_path / "kept", encoder=encoder) as made:
        made.sync(files / "2023", options=HERE, tags=["2023", "lease"])
        made.sync(files / "2024", options=HERE)
    client: Any = chromadb.PersistentClient(str(tmp_path / "kept" / "chroma"))
    store: Any = Chroma("default", MultimodalEmbeddings(encoder=encoder), client=client)
    documents = store.similarity_search("the ferry", 9, filter={"tags": {"$contains": "lease"}})
    assert {d.metadata["source"] for d in documents} == {str(p) for p in (files / "2023").iterdir()}
    assert all(d.metadata["tags"] == ["2023", "lease"] for d in documents)
    client.close()


def test_retrievers_take_tags(collection: Collection, files: Path) -> None:
    from llama_index.core.vector_stores import FilterOperator, MetadataFilter, MetadataFilters
    from llama_index.retrievers.mm_rag import MultimodalRetriever as LlamaIndexRetriever

    from langchain_mm_rag import MultimodalRetriever

    collection.sync(files / "2023", options=HERE, tags="old")
    collection.sync(files / "2024", options=HERE, tags="new")
    documents = MultimodalRetriever(collection=collection, tagged=["old"], rerank=False)
    assert {Path(d.metadata["source"]).parent.name for d in documents.invoke("ferry")} == {"2023"}
    assert all(d.metadata["tags"] == ["new"] for d in documents.invoke("ferry", tagged="new"))
    nodes = LlamaIndexRetriever(collection, tags="new", rerank=False).retrieve("the ferry")
    assert {Path(node.metadata["source"]).parent.name for node in nodes} == {"2024"}
    contains = MetadataFilter(key="tags", value="old", operator=FilterOperator.CONTAINS)
    filtered = LlamaIndexRetriever(
        collection, filters=MetadataFilters(filters=[contains]), rerank=False
    )
    nodes = filtered.retrieve("the ferry")
    assert {Path(node.metadata["source"]).parent.name for node in nodes} == {"2023"}


# What is in it.


def test_every_file_is_listed_with_what_is_known_of_it(
    collection: Collection, files: Path, sync: Callable[..., SyncReport]
) -> None:
    shutil.copy(files / "2023" / "memo 2023.txt", files / "zz copy.txt")
    (files / "odd.bin").write_bytes(bytes(range(256)))
    sync(files, tags=["ferry"])
    collection.add([segment("a page of the web", source="https://example.org/a")])
    listed = {Path(record.source).name: record for record in collection.list()}
    assert [r.source for r in collection.list()] == sorted(r.source for r in listed.values())
    memo = listed["memo 2023.txt"]
    assert isinstance(memo, SourceRecord)
    assert (memo.state, memo.segments, memo.tags) == ("indexed", {"text": 1}, ("ferry",))
    assert memo.indexed_at is not None
    assert listed["zz copy.txt"].state == "duplicate"
    assert "memo 2023.txt" in listed["zz copy.txt"].reason
    assert listed["odd.bin"].state == "unsupported"
    assert (listed["a"].state, listed["a"].segments) == ("added", {"text": 1})
    json.dumps([record.to_dict() for record in collection.list()])


def test_a_collection_in_short(
    collection: Collection, files: Path, sync: Callable[..., SyncReport]
) -> None:
    sync(files, tags=["ferry"])
    info = collection.info()
    assert isinstance(info, CollectionInfo)
    assert (info.sources, info.segments, info.tags) == ({"indexed": 4}, {"text": 4}, {"ferry": 4})
    assert (info.place, info.name) == (str(collection.path), "default")
    assert info.model == collection.encoder.name
    json.dumps(info.to_dict())


# Removing.


@pytest.mark.slow
def test_a_file_is_removed_until_its_folder_is_synced_again(
    collection: Collection, files: Path, sync: Callable[..., SyncReport]
) -> None:
    sync(files)
    old = files / "2023" / "lease 2023.txt"
    report = collection.remove(old)
    assert [(file.path, file.state) for file in report.files] == [(str(old), "removed")]
    assert report.segments == {"text": 3}
    assert "lease 2023.txt" not in found(collection) | set(tags(collection))
    assert old.exists()
    assert collection.verify().ok
    assert sync(files).counts == {"indexed": 1, "unchanged": 3}
    collection.remove(old)
    old.unlink()
    assert sync(files).counts == {"unchanged": 3}


@pytest.mark.slow
def test_folders_several_sources_and_addresses_are_removed(
    collection: Collection,
    files: Path,
    sync: Callable[..., SyncReport],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sync(files)
    collection.add([segment("a page", n, source=f"https://example.org/{n}") for n in (1, 2)])
    monkeypatch.chdir(files)
    assert collection.remove("2023").count("removed") == 2
    report = collection.remove(["https://example.org/1", Path("2024/memo 2024.txt")])
    assert report.count("removed") == 2
    assert [Path(record.source).name for record in collection.list()] == ["lease 2024.txt", "2"]
    collection.remove(files)
    collection.remove("https://example.org/")
    assert (len(collection), collection.list()) == (0, [])
    assert collection.verify().ok


@pytest.mark.slow
def test_a_copy_stays_when_its_original_is_removed(
    collection: Collection, files: Path, sync: Callable[..., SyncReport]
) -> None:
    original, copy = files / "2023" / "lease 2023.txt", files / "copy.txt"
    shutil.copy(original, copy)
    sync(files)
    collection.remove(original)
    assert "copy.txt" in found(collection)
    assert "lease 2023.txt" not in tags(collection)
    collection.remove(copy)
    assert "copy.txt" not in found(collection) | set(tags(collection))
    assert collection.verify().ok


def test_pictures_go_with_the_file(collection: Collection, folder: Path) -> None:
    collection.sync(folder)
    assert list((collection.path / "assets").rglob("*.jpg"))
    collection.remove(folder)
    assert not list((collection.path / "assets").rglob("*.jpg"))


@pytest.mark.parametrize("source", ["nowhere.txt", "/nowhere", "", 5, ["nowhere", ""]])
def test_removing_what_is_not_there_is_an_error(
    collection: Collection, files: Path, sync: Callable[..., SyncReport], source: Any
) -> None:
    sync(files)
    with pytest.raises(InputError, match="source"):
        collection.remove(source)
    assert len(collection) == 4


def test_removing_needs_no_model(
    tmp_path: Path, encoder: Encoder, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Collection(tmp_path / "kept", encoder=encoder) as made:
        made.sync(files, options=HERE)
    monkeypatch.setattr("mm_rag.collection.collection.Encoder", _die)
    with Collection(tmp_path / "kept") as again:
        assert again.remove(files / "2023").count("removed") == 2
        assert len(again.list()) == 2


# Names of one file.


def test_a_copy_is_found_under_either_name(
    collection: Collection, files: Path, sync: Callable[..., SyncReport]
) -> None:
    other = files / "other"
    other.mkdir()
    shutil.copy(files / "2023" / "lease 2023.txt", other / "copy.txt")
    sync(files)
    for source in (other / "copy.txt", other, files / "2023" / "lease 2023.txt"):
        hits = collection.search("the ferry lease", source=source, rerank=False)
        assert Path(hits[0].segment.source).name == "lease 2023.txt"
        assert hits[0].also == (str(other / "copy.txt"),)
    assert found(collection, where={"source": str(other / "copy.txt")}) == {"lease 2023.txt"}


@pytest.mark.parametrize("stored", ["NFC", "NFD"])
def test_a_name_is_the_same_in_either_spelling(
    collection: Collection, tmp_path: Path, sync: Callable[..., SyncReport], stored: Any
) -> None:
    folder = tmp_path / unicodedata.normalize(stored, "Stra\u00dfe f\u00fcr K\u00f6ln")
    folder.mkdir()
    path = folder / unicodedata.normalize(stored, "Gr\u00f6\u00dfe.txt")
    path.write_text("The ferry is large.")
    (tmp_path / "other.txt").write_text("The ferry is elsewhere.")
    sync(tmp_path)
    for form in ("NFC", "NFD"):
        name, place = (unicodedata.normalize(form, str(p)) for p in (path, folder))
        for source in (name, Path(name), place, [name]):
            assert found(collection, source=source) == {path.name}
        for where in (
            {"source": name},
            {"source": {"$eq": name}},
            {"source": {"$in": [name, "x"]}},
            {"$and": [{"source": name}, {"modality": "text"}]},
        ):
            assert found(collection, where=where) == {path.name}
        assert found(collection, where={"source": {"$ne": name}}) == {"other.txt"}
        assert found(collection, where={"source": {"$nin": [name]}}) == {"other.txt"}
    other = "NFD" if stored == "NFC" else "NFC"
    collection.remove(unicodedata.normalize(other, str(path)))
    assert [Path(record.source).name for record in collection.list()] == ["other.txt"]


def test_two_files_whose_names_look_alike_stay_two(
    collection: Collection, tmp_path: Path, sync: Callable[..., SyncReport]
) -> None:
    one, other = tmp_path / "caf\u00e9.txt", tmp_path / "cafe\u0301.txt"
    one.write_text("The ferry is here.")
    other.write_text("The ferry is there.")
    if len(list(tmp_path.glob("caf*"))) < 2:
        pytest.skip("this file system takes them for one")
    sync(tmp_path)
    assert found(collection, source=one) == {one.name}
    assert found(collection, source=other) == {other.name}


def test_a_name_with_half_a_character_is_nowhere(collection: Collection) -> None:
    collection.add([segment("the ferry")])
    with pytest.raises(InputError, match="Nothing in the collection"):
        collection.search("the ferry", source="/\udcff.txt")
    with pytest.raises(InputError, match="Nothing in the collection"):
        collection.remove("/\udcff.txt")


def test_segments_carry_tags_in_records(tmp_path: Path) -> None:
    from mm_rag.record import (
        segment_from_json,
        segment_from_record,
        segment_to_json,
        segment_to_metadata,
    )

    one = Segment(modality="text", source="/a", sha256="0", text="x", tags=("b", "a", "b"))
    assert one.tags == ("a", "b")
    assert segment_from_json(segment_to_json(one)) == one
    assert segment_to_metadata(one)["tags"] == ["a", "b"]
    assert segment_from_record(one.text, segment_to_metadata(one)) == one
    assert "tags" not in segment_to_metadata(Segment(modality="text", source="/a", sha256="0"))
