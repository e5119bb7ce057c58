"""What lies in Chroma and beside it: never lost, never mixed, readable by others."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import chromadb
import numpy as np
import pytest

from mm_rag import Collection, Encoder
from mm_rag.collection.catalog import Catalog
from mm_rag.collection.lock import writer_lock
from mm_rag.errors import CollectionError, CollectionLocked, CollectionMismatch, InputError
from tests.collection.conftest import BagOfWords, segment


def chroma(collection: Collection) -> chromadb.Collection:
    client = chromadb.PersistentClient(str(collection.path / "chroma"))
    return client.get_collection("default", embedding_function=None)


@pytest.mark.slow
def test_more_segments_than_chroma_takes_at_once(collection: Collection) -> None:
    collection.add(segment(f"passage number {n}", n) for n in range(5600))
    assert len(collection) == 5600
    assert collection.verify().ok


def test_records_are_what_other_programs_can_read(collection: Collection) -> None:
    collection.add([segment("", 1, page=3, title="a title", metadata={"author": "Ada"})])
    records = chroma(collection)
    assert records.configuration_json["hnsw"]["space"] == "cosine"
    got = records.get()
    assert got["documents"] == [""]  # langchain_chroma drops records whose document is null
    assert got["metadatas"] is not None
    metadata = got["metadatas"][0]
    assert (metadata["page"], metadata["author"]) == (3, "Ada")
    assert all(isinstance(value, str | int | float) for value in metadata.values())


def test_adding_again_replaces_text_and_metadata(collection: Collection) -> None:
    collection.add([segment("old words", 1, metadata={"author": "Ada"})])
    collection.add([segment("new words", 1)])
    hit = collection.search("new words", k=1)[0]
    assert hit.segment.text == "new words"
    assert "author" not in hit.segment.metadata
    assert len(collection) == 1


def test_another_model_is_refused(collection: Collection) -> None:
    class Other(BagOfWords):
        type_name = "tests.Other"

    collection.add([segment("alpha", 1)])
    with pytest.raises(CollectionMismatch, match="was made with the model"):
        Collection(collection.path, encoder=Encoder(modules=[Other()]))


def test_a_newer_format_is_refused(collection: Collection, encoder: Encoder) -> None:
    catalog = Catalog(collection.path / "default" / "ledger.sqlite3")
    catalog.set_meta(format="99")
    catalog.close()
    with pytest.raises(CollectionMismatch, match="newer"):
        Collection(collection.path, encoder=encoder)


def test_format_1_is_refused(tmp_path: Path, encoder: Encoder) -> None:
    (tmp_path / "default").mkdir()
    with closing(sqlite3.connect(tmp_path / "default" / "ledger.sqlite3")) as catalog:
        catalog.execute("CREATE TABLE segments (id TEXT PRIMARY KEY, sha256 TEXT, modality TEXT)")
    with pytest.raises(CollectionError, match="format 1"):
        Collection(tmp_path, encoder=encoder)


@pytest.mark.slow
@pytest.mark.parametrize("space", ["l2", "ip"])
def test_a_collection_in_chromas_other_spaces_gives_the_same_scores(
    tmp_path: Path, encoder: Encoder, space: str
) -> None:
    client = chromadb.PersistentClient(str(tmp_path / space / "chroma"))
    configuration: Any = {"hnsw": {"space": space}}
    client.create_collection("default", embedding_function=None, configuration=configuration)
    client.close()  # pyright: ignore[reportAttributeAccessIssue]
    segments = [segment(f"harbour number {n}", n) for n in range(20)]
    found: list[list[tuple[str, Any]]] = []
    for folder in (tmp_path / space, tmp_path / "cosine"):
        with Collection(folder, encoder=encoder) as collection:
            collection.add(segments)
            hits = collection.search("harbour 7", rerank=False)
            found.append([(hit.segment.id, pytest.approx(hit.score, abs=1e-4)) for hit in hits])
    assert found[0] == found[1]


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path: Path, encoder: Encoder) -> None:
    (tmp_path / "file").write_text("I am in the way")
    with pytest.raises(CollectionError, match="Choose a folder"):
        Collection(tmp_path / "file", encoder=encoder)


def test_who_only_reads_makes_no_collection(tmp_path: Path, encoder: Encoder) -> None:
    with pytest.raises(CollectionError, match="There is no collection"):
        Collection(tmp_path / "mistyped", encoder=encoder, create=False)
    assert not (tmp_path / "mistyped").exists()


def test_two_names_in_one_folder_are_two_collections(tmp_path: Path, encoder: Encoder) -> None:
    with (
        Collection(tmp_path, encoder=encoder, name="first") as first,
        Collection(tmp_path, encoder=encoder, name="second") as second,
    ):
        first.add([segment("alpha", 1)])
        assert (len(first), len(second)) == (1, 0)
        assert second.search("alpha") == []


def test_a_second_writer_is_told_who_writes(collection: Collection) -> None:
    code = (
        "import sys, time; from pathlib import Path;"
        "from mm_rag.collection.lock import writer_lock;"
        "lock = writer_lock(Path(sys.argv[1])); lock.__enter__();"
        "print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(collection.path / "writer.lock")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(CollectionLocked, match=f"process {other.pid}"):
            collection.add([segment("alpha", 1)])
        other.kill()
    collection.add([segment("alpha", 1)])  # a dead writer's lock is free


def test_the_lock_is_freed_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), writer_lock(tmp_path / "lock"):
        raise RuntimeError
    with writer_lock(tmp_path / "lock"):
        holder = json.loads((tmp_path / "lock.holder.json").read_text())
    assert holder["pid"]


@pytest.mark.slow
def test_verify_finds_what_is_missing_and_repair_mends_it(
    collection: Collection, folder: Path
) -> None:
    collection.sync(folder)
    records = chroma(collection)
    lost = records.get(limit=1)["ids"][0]
    records.delete(ids=[lost])
    report = collection.verify()
    assert report.missing_vectors == (lost,)
    assert not report.ok
    assert collection.repair().ok  # from the catalog: no file is read, and nothing encoded


@pytest.mark.slow
def test_records_of_other_programs_are_counted_and_left_alone(
    collection: Collection, folder: Path
) -> None:
    collection.sync(folder)
    records = chroma(collection)
    records.add(ids=["theirs"], embeddings=[np.ones(64).tolist()], documents=["not ours"])
    report = collection.verify()
    assert report.ok
    assert report.foreign == 1
    collection.repair()
    assert records.get(ids=["theirs"])["documents"] == ["not ours"]


@pytest.mark.slow
def test_what_a_lost_catalog_knew_is_taken_in_again(tmp_path: Path, encoder: Encoder) -> None:
    with Collection(tmp_path, encoder=encoder) as first:
        first.add(segment(f"passage number {n}", n) for n in range(5))
    for file in (tmp_path / "default").glob("ledger*"):
        file.unlink()
    with Collection(tmp_path, encoder=encoder) as second:
        assert len(second.verify().strays) == 5
        assert second.repair().ok
        assert second.search("number 3", k=1)[0].segment.text == "passage number 3"


@pytest.mark.slow
def test_verify_finds_missing_pictures(collection: Collection, folder: Path) -> None:
    collection.sync(folder)
    picture = next((collection.path / "assets").rglob("*.jpg"))
    picture.unlink()
    assert collection.verify().missing_files == (str(picture),)
    collection.repair()
    collection.sync(folder)
    assert picture.is_file()
    assert collection.verify().ok


@pytest.mark.slow
def test_what_another_process_wrote_is_found_and_not_lost(tmp_path: Path) -> None:
    """Chroma's client keeps its index in memory: it must be opened again after others wrote."""
    code = (
        "import sys; from mm_rag import Collection; from tests.collection import conftest as c;"
        "from mm_rag import Encoder; e = Encoder(modules=[c.BagOfWords()]);"
        "Collection(sys.argv[1], encoder=e).add(c.segment(f'theirs {n}', n) for n in range(1500))"
    )
    with Collection(tmp_path, encoder=Encoder(modules=[BagOfWords()])) as ours:
        ours.add([segment("ours", -1)])
        root = Path(__file__).parents[2]
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=root)
        found = ours.search("theirs 700", k=1, rerank=False)[0]
        assert found.segment.text == "theirs 700"
        assert "vector:words" in found.scores
        ours.add(segment(f"ours {n}", 5000 + n) for n in range(1500))
        assert len(ours) == 3001
        assert ours.verify().ok


def test_a_failed_first_run_does_not_bind_the_folder_to_a_model(tmp_path: Path) -> None:
    class Other(BagOfWords):
        type_name = "tests.Other"

    with (
        Collection(tmp_path, encoder=Encoder(modules=[Other()])) as first,
        pytest.raises(InputError),
    ):
        first.sync(tmp_path / "mistyped")
    with Collection(tmp_path, encoder=Encoder(modules=[BagOfWords()])) as second:
        second.add([segment("alpha", 1)])


def test_metadata_that_are_not_flat_are_an_error() -> None:
    with pytest.raises(InputError, match="'tags' is a list"):
        segment("alpha", 1, metadata={"tags": ["a"]})
