"""Damage that no file's end or name betrays: bytes that are not what was written."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

import chromadb
import numpy as np
import pytest

from mm_rag import Collection, Encoder
from mm_rag.errors import CollectionError, MMRagError
from mm_rag_loaders import LoadOptions
from tests.collection.conftest import BagOfWords, segment
from tests.collection.test_damage import encoded
from tests.media_made import make_pdf

pytestmark = pytest.mark.slow  # what is not known to be whole is opened by a process of its own

__all__ = ["encoded"]  # a fixture
HERE = LoadOptions(workers=0)
LOOSE = 20


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("documents")
    make_pdf(made / "ferry.pdf", ["The ferry to the northern island leaves at seven."])
    return made


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, documents: Path) -> Path:
    folder = tmp_path_factory.mktemp("sound") / "kept"
    with Collection(folder, encoder=Encoder(modules=[BagOfWords()])) as collection:
        collection.sync(documents, options=HERE)
        collection.add(segment(f"passage number {n}", n) for n in range(LOOSE))
    return folder


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "copy"))


@pytest.fixture
def opened(copy: Path) -> Iterator[Collection]:
    with Collection(copy, encoder=Encoder(modules=[BagOfWords()])) as collection:
        yield collection


def change(folder: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / "default" / "ledger.sqlite3")) as catalog, catalog:
        catalog.execute(statement, values)


def negate_vectors(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "default" / "ledger.sqlite3")) as catalog, catalog:
        for id_, vector in catalog.execute("SELECT id, vector FROM segments").fetchall():
            turned = (-np.frombuffer(vector, np.float32)).tobytes()
            catalog.execute("UPDATE segments SET vector = ? WHERE id = ?", (turned, id_))


def spoil_texts(held: chromadb.Collection, ids: list[str]) -> None:
    vectors = held.get(ids=ids, include=["embeddings"])["embeddings"]
    held.update(ids=ids, documents=["spoilt"] * len(ids), embeddings=vectors)  # pyright: ignore


def best(collection: Collection, query: str) -> str:
    return collection.search(query, k=1, rerank=False)[0].segment.text


@pytest.mark.parametrize(
    "table",
    [
        "collections",
        *(pytest.param(t, marks=pytest.mark.heavy) for t in ("migrations", "segments")),
        pytest.param("embeddings", marks=pytest.mark.heavy),
    ],
)
def test_a_database_that_makes_chroma_panic_is_made_again(copy: Path, table: str) -> None:
    path = copy / "chroma" / "chroma.sqlite3"
    statement = f"CREATE TABLE {table}".encode()
    assert statement in path.read_bytes()
    broken = statement.replace(b"CREATE", b"CREAT\xff")
    path.write_bytes(path.read_bytes().replace(statement, broken))
    with Collection(copy, encoder=Encoder(modules=[BagOfWords()])) as collection:
        assert best(collection, "passage number 7") == "passage number 7"
        assert collection.verify().ok


@pytest.mark.parametrize("name", ["chroma.state", "default/words.state", "writer.holder.json"])
@pytest.mark.parametrize("data", [b"\xff", b"[[[", b"[]", b""])
def test_small_files_that_say_nothing_do_no_harm(copy: Path, name: str, data: bytes) -> None:
    (copy / name).write_bytes(data)
    with Collection(copy, encoder=Encoder(modules=[BagOfWords()])) as collection:
        assert best(collection, "passage number 7") == "passage number 7"


def test_a_folder_in_the_place_of_a_small_file_does_no_harm(copy: Path) -> None:
    (copy / "chroma.state").unlink()
    (copy / "chroma.state").mkdir()
    with Collection(copy, encoder=Encoder(modules=[BagOfWords()])) as collection:
        assert collection.repair().ok


def test_changed_vectors_in_the_catalog_are_restored_from_chroma(
    copy: Path, opened: Collection, encoded: list[str]
) -> None:
    negate_vectors(copy)
    report = opened.verify()
    assert not report.ok
    assert len(report.damaged_segments) == len(opened)
    with pytest.raises(CollectionError, match="repair"):
        opened.search("passage number 7")
    encoded.clear()
    assert opened.repair().ok
    assert not encoded
    assert best(opened, "passage number 7") == "passage number 7"


def test_vectors_that_nothing_has_any_more_are_encoded_again(
    copy: Path, opened: Collection, encoded: list[str]
) -> None:
    negate_vectors(copy)
    opened.close()
    shutil.rmtree(copy / "chroma")
    with Collection(copy, encoder=Encoder(modules=[BagOfWords()])) as collection:
        assert len(collection.verify().damaged_segments) == len(collection)
        assert collection.repair().ok
        assert "passage number 7" in encoded
        assert best(collection, "passage number 7") == "passage number 7"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE segments SET record = replace(record, 'passage', 'message')",
        "UPDATE segments SET record = CAST(x'ff' || record AS TEXT)",
        "UPDATE segments SET record = '{'",
        "UPDATE segments SET source = 'elsewhere'",
        "UPDATE segments SET modality = CAST(x'ff' AS TEXT)",
        "UPDATE segments SET page = 'x'",
        "UPDATE segments SET id = upper(id)",
        "UPDATE segments SET id = CAST(x'ff' || id AS TEXT)",
        "UPDATE segments SET checksums = x'00'",
        "UPDATE segments SET vector = x'000000'",
    ],
)
def test_changed_records_in_the_catalog_are_restored_from_chroma(
    copy: Path, opened: Collection, statement: str
) -> None:
    before = {one.id: one for one in opened.contents}
    change(copy, f"{statement} WHERE rowid % 3 = 0")
    assert not opened.verify().ok
    assert opened.repair().ok
    assert {one.id: one for one in opened.contents} == before


@pytest.mark.parametrize("column", ["id", "source", "modality"])
def test_what_the_catalog_can_restore_by_itself_needs_no_chroma(
    copy: Path, opened: Collection, encoded: list[str], column: str
) -> None:
    before = {one.id: one for one in opened.contents}
    opened.close()
    change(copy, f"UPDATE segments SET {column} = upper({column}) WHERE rowid % 3 = 0")
    shutil.rmtree(copy / "chroma")
    with Collection(copy, encoder=Encoder(modules=[BagOfWords()])) as collection:
        assert collection.repair().ok
        assert not encoded
        assert {one.id: one for one in collection.contents} == before
        assert best(collection, "passage number 8") == "passage number 8"


def test_what_is_lost_of_a_file_is_read_again_by_the_next_sync(
    copy: Path, opened: Collection, documents: Path
) -> None:
    before = {one.id: one for one in opened.contents}
    with closing(chromadb.PersistentClient(str(copy / "chroma"))) as client:  # pyright: ignore
        held = client.get_collection("default", embedding_function=None)
        spoil_texts(held, held.get()["ids"])
    change(copy, "UPDATE segments SET record = replace(record, 'ferry', 'berry') WHERE page = 1")
    report = opened.repair()
    assert not report.ok
    assert report.lost
    assert report.unfinished == (str(documents / "ferry.pdf"),)
    opened.sync(documents, options=HERE)
    assert opened.verify().ok
    assert {one.id: one for one in opened.contents} == before


def test_records_that_differ_in_chroma_are_put_again(copy: Path, opened: Collection) -> None:
    opened.close()
    with closing(chromadb.PersistentClient(str(copy / "chroma"))) as client:  # pyright: ignore
        held = client.get_collection("default", embedding_function=None)
        one, two, three = held.get(limit=3)["ids"]
        spoil_texts(held, [one])
        held.update(ids=[two], embeddings=np.ones((1, 64), np.float32))
        held.update(ids=[three], metadatas=[{"sha256": "spoilt"}])
    with Collection(copy, encoder=Encoder(modules=[BagOfWords()])) as collection:
        assert set(collection.verify().differing) == {one, two, three}
        assert collection.repair().ok


def test_a_damaged_picture_is_drawn_again(copy: Path, opened: Collection, documents: Path) -> None:
    [picture] = (copy / "assets").rglob("*.jpg")
    before = picture.read_bytes()
    picture.write_bytes(before[:-9] + b"\x00" + before[-8:])
    assert opened.verify().damaged_files == (str(picture),)
    assert not picture.exists() or opened.repair().unfinished
    opened.sync(documents, options=HERE)
    assert picture.read_bytes() == before
    assert opened.verify().ok


def test_a_damaged_index_of_the_catalog_is_made_again(copy: Path, opened: Collection) -> None:
    opened.close()
    path = copy / "default" / "ledger.sqlite3"
    with closing(sqlite3.connect(path)) as catalog:
        page = catalog.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'segments_source'"
        ).fetchone()[0]
        size = catalog.execute("PRAGMA page_size").fetchone()[0]
    data = bytearray(path.read_bytes())
    data[(page - 1) * size : (page - 1) * size + 40] = bytes(40)
    path.write_bytes(data)
    with Collection(copy, encoder=Encoder(modules=[BagOfWords()])) as collection:
        assert collection.verify().damaged
        collection.repair()
        assert len(collection) == len(list(collection.contents))
        assert best(collection, "passage number 7") == "passage number 7"


def test_what_can_be_read_of_a_damaged_catalog_is_saved(
    copy: Path, opened: Collection, documents: Path
) -> None:
    before = {one.id: one for one in opened.contents}
    opened.close()
    path = copy / "default" / "ledger.sqlite3"
    data = path.read_bytes()
    at = data.index(b"passage number 7")  # somewhere among the rows
    page = at // 4096 * 4096
    path.write_bytes(data[:page] + bytes(4096) + data[page + 4096 :])
    with Collection(copy, encoder=Encoder(modules=[BagOfWords()])) as collection:
        report = collection.repair()
        assert not report.damaged
        collection.sync(documents, options=HERE)
        assert collection.verify().ok
        assert {one.id: one for one in collection.contents} == before


Harm: TypeAlias = Callable[[random.Random, bytearray], None]
HARM: dict[str, Harm] = {}


def harm(function: Harm) -> Harm:
    HARM[function.__name__] = function
    return function


@harm
def flip(chance: random.Random, data: bytearray) -> None:
    for _ in range(3):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


@harm
def zero(chance: random.Random, data: bytearray) -> None:
    at = chance.randrange(len(data))
    data[at : at + 200] = bytes(len(data[at : at + 200]))


@harm
def truncate(chance: random.Random, data: bytearray) -> None:
    del data[chance.randrange(len(data)) :]


@harm
def replace(chance: random.Random, data: bytearray) -> None:
    at = chance.randrange(len(data))
    data[at : at + 64] = chance.randbytes(len(data[at : at + 64]))


def check_heals(folder: Path, documents: Path) -> None:
    """Nothing raises but what mm_rag raises on purpose; if it can be opened, it can be healed."""
    try:
        collection = Collection(folder, encoder=Encoder(modules=[BagOfWords()]))
    except MMRagError as error:
        assert "catalog" in str(error)  # noqa: PT017 - all else heals
        return
    with collection:
        for look in (collection.verify, lambda: collection.search("passage number 7")):
            try:
                look()
            except MMRagError as error:
                assert "catalog" in str(error)  # noqa: PT017
        try:
            collection.repair()
            collection.sync(documents, options=HERE)
        except MMRagError as error:
            assert "catalog" in str(error)  # noqa: PT017
            return
        assert collection.verify().ok
        assert best(collection, "passage number 7") == "passage number 7"


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", ["meta.json", "*.term", "chroma.sqlite3"])
def test_some_damage_heals(copy: Path, documents: Path, name: str) -> None:
    chance = random.Random(14)
    path = sorted(copy.rglob(name))[0]
    data = bytearray(path.read_bytes())
    replace(chance, data)
    path.write_bytes(data)
    check_heals(copy, documents)


@pytest.mark.heavy
@pytest.mark.parametrize("how", sorted(HARM))
def test_any_damage_heals(sound: Path, documents: Path, tmp_path: Path, how: str) -> None:
    chance = random.Random(how)
    for number, path in enumerate(files(sound)):
        copy = Path(shutil.copytree(sound, tmp_path / str(number)))
        damaged = copy / path.relative_to(sound)
        data = bytearray(damaged.read_bytes())
        if not data:
            continue
        HARM[how](chance, data)
        damaged.write_bytes(data)
        check_heals(copy, documents)
        shutil.rmtree(copy)
