"""Vectors on a Chroma server, everything else in the folder: nothing lost, mixed or half seen."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import chromadb
import numpy as np
import pytest
from typer.testing import CliRunner

from mm_rag import Collection, Encoder, Segment
from mm_rag.cli import app
from mm_rag.collection import chroma_server
from mm_rag.collection.chroma_server import ServerRecord, connect, disconnect, read_record
from mm_rag.collection.store import VectorStore
from mm_rag.errors import CollectionError, CollectionLocked, CollectionMismatch, InputError
from mm_rag_loaders import LoadOptions
from tests.collection.chroma_server import ChromaServer
from tests.collection.conftest import BagOfWords, segment
from tests.collection.model.victim import Errand, Hunter
from tests.collection.test_damage import encoded

pytestmark = [pytest.mark.enable_socket, pytest.mark.slow]

__all__ = ["encoded"]  # a fixture

Opener = Callable[..., Collection]
HERE = LoadOptions(workers=0)
RECORD = "default/chroma-server.json"


class OtherModel(BagOfWords):
    type_name = "tests.OtherModel"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaServer]:
    running = ChromaServer(tmp_path_factory.mktemp("chroma"))
    yield running
    running.stop()


@pytest.fixture
def client(server: ChromaServer) -> Iterator[Any]:
    made = chromadb.HttpClient("127.0.0.1", server.port)
    yield made
    disconnect(made)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "kept"


@pytest.fixture
def on(server: ChromaServer, kept: Path, encoder: Encoder) -> Iterator[Opener]:
    """Opens the test's collection, or one in another folder."""
    with ExitStack() as stack:

        def opened(folder: Path = kept, **options: Any) -> Collection:
            options = {"encoder": encoder, "chroma": server.address} | options
            return stack.enter_context(Collection(folder, **options))

        yield opened


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "ferry.txt").write_text("The ferry to the island leaves at seven.")
    (folder / "valve.txt").write_text("Fit the gasket XJ-9 40/B to the valve.")
    return folder


def found(collection: Collection, query: str) -> set[str]:
    return {hit.segment.text for hit in collection.search(query, k=50)}


def by_vector(collection: Collection, query: str) -> set[str]:
    hits = collection.search(query, k=50, rerank=False)
    return {hit.segment.text for hit in hits if "vector:words" in hit.scores}


def records_of(folder: Path, client: Any) -> Any:
    record = read_record(folder / RECORD)
    assert record is not None
    return client.get_collection(record.collection, embedding_function=None)


# It is the same collection.


def test_only_the_vectors_are_on_the_server(on: Opener, kept: Path, texts: Path) -> None:
    early = on()
    assert early.search("gasket") == []
    on().sync(texts)
    late = on(chroma=None)  # the folder remembers the server
    for each in (early, late):
        hit = each.search("XJ-9 40/B")[0]
        assert hit.segment.text.startswith("Fit the gasket")
        assert hit.scores["lexical"] > 0.5
        assert by_vector(each, "ferry gasket") == found(each, "ferry gasket")
        assert len(each) == 2
        assert each.verify().ok
    assert not (kept / "chroma").exists()
    assert {path.name for path in (kept / "default").iterdir()} >= {"ledger.sqlite3", "words"}


def test_segments_come_back_as_they_were_added(on: Opener) -> None:
    given = segment("beta", 1, page=3, title="A title", metadata={"author": "Ada", "year": 1843})
    collection = on()
    collection.add([given, segment("", 2)])
    hits = on().search("beta", where={"author": "Ada"})
    assert [hit.segment for hit in hits] == [given]
    with pytest.raises(InputError, match="filter"):
        collection.search("alpha", where={"page": {"$foo": 1}})


def test_changed_moved_and_deleted_files_are_followed(on: Opener, texts: Path) -> None:
    first, second = on(), on()
    first.sync(texts, options=HERE)
    assert len(by_vector(second, "ferry")) == 2
    (texts / "ferry.txt").write_text("The ferry leaves at nine.")
    (texts / "valve.txt").rename(texts / "gasket.txt")
    report = second.sync(texts, options=HERE)
    assert "moved" in {file.state for file in report.files}
    (texts / "gasket.txt").unlink()
    first.sync(texts, options=HERE)
    for each in (first, second, on()):
        assert by_vector(each, "ferry gasket") == {"The ferry leaves at nine."}
        assert len(each) == 1
        assert each.verify().ok
    assert {file.state for file in second.sync(texts, options=HERE).files} == {"unchanged"}


def test_langchain_reads_it_over_http(on: Opener, client: Any, encoder: Encoder) -> None:
    from langchain_chroma import Chroma
    from langchain_core.embeddings import Embeddings

    class Wrapped(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [encoder.encode_query(text).tolist() for text in texts]

        def embed_query(self, text: str) -> list[float]:
            return encoder.encode_query(text).tolist()

    collection = on()
    collection.add([segment("alpha words", 1), segment("beta", 2)])
    address, _, name = collection.info().vectors.rstrip(")").partition(" (")
    assert address.startswith("http://127.0.0.1:")
    chroma = Chroma(name, Wrapped(), client=client)
    (document,) = chroma.similarity_search("alpha", k=1)
    assert document.page_content == "alpha words"
    assert document.metadata["source"] == "/nowhere/1.txt"


def test_the_command_line_names_the_server_once(
    server: ChromaServer, kept: Path, texts: Path
) -> None:
    def run(*command: str) -> Any:
        result = CliRunner().invoke(app, [*command, "--collection", str(kept), "--json"])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    run("index", str(texts), "--chroma", server.address)
    assert run("info")["vectors"].startswith(f"{server.address} (default-")
    assert "gasket" in run("search", "gasket", "-k", "1")[0]["segment"]["text"]
    assert run("verify")["ok"]
    refused = CliRunner().invoke(app, ["info", "--collection", server.address])
    assert refused.exit_code == 2
    assert "--chroma URL" in refused.output.replace("\n", " ")


def test_more_than_one_request_may_hold(on: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chroma_server, "_BYTES", 30_000)
    monkeypatch.setattr(chroma_server, "_ROWS", 7)
    collection = on()
    collection.add(segment(f"passage {n}", n) for n in range(40))
    assert len(by_vector(collection, "passage")) == 40
    assert collection.verify().ok


@pytest.mark.slow
@pytest.mark.heavy
def test_texts_beyond_what_a_server_takes_at_once(on: Opener) -> None:
    collection = on()
    collection.add(segment(f"long {n} " + "x" * 3_000_000, n) for n in range(15))
    assert len(collection.search("long", k=20)) == 15


# Folders and names do not collide.


def test_folders_and_names_have_collections_of_their_own(
    on: Opener, tmp_path: Path, client: Any
) -> None:
    theirs = client.get_or_create_collection("default", embedding_function=None)
    theirs.add(ids=["theirs"], embeddings=[np.ones(8).tolist()], documents=["not ours"])
    made = [on(), on(tmp_path / "other"), on(name="second")]
    for number, each in enumerate(made):
        each.add([segment(f"alpha {number}", number)])
    for number, each in enumerate(made):
        assert found(each, "alpha") == {f"alpha {number}"}
        assert each.repair().ok
    assert theirs.get()["documents"] == ["not ours"]
    client.delete_collection("default")


def test_a_copy_of_a_folder_gets_vectors_of_its_own(
    on: Opener, kept: Path, tmp_path: Path, encoded: list[str]
) -> None:
    original = on()
    original.add([segment("old words", 1), segment("other words", 2)])
    copy = on(Path(shutil.copytree(kept, tmp_path / "copy")), chroma=None)
    assert by_vector(copy, "words") == {"old words", "other words"}
    encoded.clear()
    copy.add([segment("words of the copy", 3)])
    original.add([segment("words of the original", 4)])
    both = {"old words", "other words"}
    assert by_vector(copy, "words") == both | {"words of the copy"}
    assert by_vector(original, "words") == both | {"words of the original"}
    assert not both & set(encoded)  # they are uploaded from the catalog
    for each in (original, copy, on(), on(copy.path, chroma=None)):
        assert each.verify().ok
    assert original.info().vectors != copy.info().vectors


def test_a_folder_that_was_restored_from_a_backup_is_what_it_was(
    on: Opener, kept: Path, tmp_path: Path
) -> None:
    with on() as collection:
        collection.add([segment("old words", 1)])
    shutil.copytree(kept, tmp_path / "backup")
    with on() as collection:
        collection.add([segment("new words", 1), segment("more words", 2)])
    shutil.rmtree(kept)
    (tmp_path / "backup").rename(kept)
    collection = on()
    assert by_vector(collection, "words") == {"old words"}
    assert collection.verify().ok


# The folder remembers its server.


def test_another_name_of_the_same_server_is_remembered(
    on: Opener, server: ChromaServer, kept: Path
) -> None:
    on().add([segment("alpha", 1)])
    other_name = f"http://localhost:{server.port}"
    assert by_vector(on(chroma=other_name), "alpha") == {"alpha"}
    record = read_record(kept / RECORD)
    assert record is not None
    assert record.url == other_name


def test_another_server_is_an_error_and_nothing_is_uploaded(
    on: Opener, tmp_path: Path, kept: Path, client: Any
) -> None:
    on().add([segment("alpha", 1)])
    elsewhere = ChromaServer(tmp_path / "elsewhere")
    try:
        with pytest.raises(CollectionError, match="does not have them"):
            on(chroma=elsewhere.address)
        other = chromadb.HttpClient("127.0.0.1", elsewhere.port)
        assert other.list_collections() == []
        (kept / RECORD).unlink()  # what the error advises
        moved = on(chroma=elsewhere.address)
        assert by_vector(moved, "alpha") == {"alpha"}
        assert moved.verify().ok
        disconnect(other)
    finally:
        elsewhere.stop()


def test_a_folder_with_chroma_in_it_is_moved_to_a_server_only_on_purpose(
    on: Opener, kept: Path, encoded: list[str]
) -> None:
    with on(chroma=None) as embedded:
        embedded.add([segment("alpha", 1)])
    with pytest.raises(CollectionError, match="not on a server"):
        on()
    (kept / "chroma").rename(kept / "aside")
    encoded.clear()
    collection = on()
    assert by_vector(collection, "alpha") == {"alpha"}
    assert collection.verify().ok
    assert set(encoded) == {"alpha"}  # the query


@pytest.mark.parametrize("data", [b"\xff", b"[[[", b"[]", b"", b'{"url": 1}'])
def test_a_damaged_record_is_an_error_that_says_what_to_do(
    on: Opener, kept: Path, data: bytes
) -> None:
    on().add([segment("alpha", 1)])
    (kept / RECORD).write_bytes(data)
    with pytest.raises(CollectionError, match="Delete it"):
        on()
    (kept / RECORD).unlink()
    assert by_vector(on(), "alpha") == {"alpha"}


def test_credentials_are_never_written_down(
    server: ChromaServer, kept: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = chromadb.HttpClient(
        "127.0.0.1", server.port, headers={"Authorization": "Bearer hush-hush"}
    )
    with Collection(kept, encoder=encoder, chroma=made) as collection:
        collection.add([segment("alpha", 1)])
    assert made.heartbeat()  # the caller's client stays open
    disconnect(made)
    monkeypatch.setenv("CHROMA_CLIENT_AUTH_CREDENTIALS", "hush-hush")
    monkeypatch.setenv(
        "CHROMA_CLIENT_AUTH_PROVIDER", "chromadb.auth.token_authn.TokenAuthClientProvider"
    )
    with Collection(kept, encoder=encoder) as collection:  # from the environment
        assert by_vector(collection, "alpha") == {"alpha"}
        collection.add([segment("beta", 2)])
    own: Any = connect(server.address)
    assert "hush-hush" in str(own._server._session.headers.get("Authorization"))
    disconnect(own)
    written = b"".join(path.read_bytes() for path in kept.rglob("*") if path.is_file())
    assert b"hush-hush" not in written


# What is given.


@pytest.mark.parametrize(
    "address",
    ["http://", "http://user:secret@127.0.0.1:1", "http://127.0.0.1:1/path", "ftp://h:1", "h:1"],
)
def test_an_address_is_scheme_host_and_port(kept: Path, address: str) -> None:
    with pytest.raises(InputError, match="address") as raised:
        Collection(kept, chroma=address)
    assert "secret" not in str(raised.value)
    assert not kept.exists()


def test_what_cannot_be_a_collection_says_how_to_name_a_server(
    server: ChromaServer, client: Any, kept: Path
) -> None:
    for where in (server.address, client):
        with pytest.raises(InputError, match=r'Collection\("folder", chroma='):
            Collection(where)
    with pytest.raises(InputError, match="leave out chroma"):
        Collection(":memory:", chroma=server.address)
    with (
        chromadb.PersistentClient(str(kept)) as embedded,  # pyright: ignore[reportGeneralTypeIssues]
        pytest.raises(InputError, match="keeps its data itself"),
    ):
        Collection(kept, chroma=embedded)
    with pytest.raises(InputError, match="HttpClient"):
        Collection(kept, chroma=7)  # pyright: ignore[reportArgumentType]


def test_what_is_not_there_is_not_made_by_a_reader(on: Opener, kept: Path, client: Any) -> None:
    before = {each.name for each in client.list_collections()}
    with pytest.raises(CollectionError, match="There is no collection"):
        on(create=False)
    assert not kept.exists()
    assert {each.name for each in client.list_collections()} == before


def test_a_folder_that_cannot_be_written_to_is_searched(
    on: Opener, client: Any, monkeypatch: pytest.MonkeyPatch, kept: Path
) -> None:
    on().add([segment("alpha", 1)])

    def no_writing(_: object, mode: int) -> bool:
        return mode != os.W_OK

    monkeypatch.setattr("mm_rag.collection.storage.os.access", no_writing)
    before = (kept / RECORD).read_bytes()
    reading = on()
    assert by_vector(reading, "alpha") == {"alpha"}
    assert reading.verify().ok
    with pytest.raises(CollectionError, match="read-only"):
        reading.add([segment("beta", 2)])
    assert (kept / RECORD).read_bytes() == before
    client.delete_collection(records_of(kept, client).name)
    with pytest.raises(CollectionError, match="Open the collection once where it can"):
        on()


# What is wrong on the server is found and healed.


def test_what_is_lost_differs_or_strays_on_the_server_is_healed(
    on: Opener, client: Any, kept: Path
) -> None:
    collection = on()
    collection.add(segment(f"passage {n}", n) for n in range(5))
    records = records_of(kept, client)
    lost, spoilt, turned = records.get(limit=3)["ids"]
    records.delete(ids=[lost])
    records.update(ids=[spoilt], metadatas=[{"sha256": "spoilt"}])
    records.update(ids=[turned], embeddings=np.ones((1, 64), np.float32))
    records.add(ids=["theirs"], embeddings=[np.ones(64).tolist()], documents=["not ours"])
    report = collection.verify()
    assert report.missing_vectors == (lost,)
    assert set(report.differing) == {spoilt, turned}
    assert report.foreign == 1
    assert collection.repair().ok
    assert len(by_vector(collection, "passage")) == 5
    assert records.get(ids=["theirs"])["documents"] == ["not ours"]


def test_what_another_program_wrote_is_found_and_can_be_taken_over(
    on: Opener, client: Any, kept: Path, encoder: Encoder
) -> None:
    collection = on()
    collection.add([segment("alpha", 1)])
    metadata = {"modality": "text", "source": "/elsewhere.txt", "sha256": "e" * 64, "part": 0}
    foreign = segment("gamma", 3, **metadata)
    vector = encoder.encode_document("gamma")
    records_of(kept, client).add(
        ids=[foreign.id], embeddings=[vector], documents=["gamma"], metadatas=[metadata]
    )
    assert "gamma" in found(collection, "gamma")
    assert collection.repair().ok
    assert len(collection) == 2


@pytest.mark.parametrize("is_open", [True, False])
def test_a_collection_that_was_deleted_on_the_server_is_uploaded_again(
    on: Opener, client: Any, kept: Path, encoded: list[str], is_open: bool
) -> None:
    collection = on()
    collection.add(segment(f"passage {n}", n) for n in range(5))
    encoded.clear()
    client.delete_collection(records_of(kept, client).name)
    if not is_open:
        collection = on()
    assert len(by_vector(collection, "passage")) == 5
    assert collection.verify().ok
    assert set(encoded) == {"passage"}  # the query


def test_what_a_lost_catalog_knew_is_taken_in_again(on: Opener, kept: Path) -> None:
    with on() as first:
        first.add(segment(f"passage number {n}", n) for n in range(5))
    for file in (kept / "default").glob("ledger*"):
        file.unlink()
    second = on()
    assert len(second.verify().strays) == 5
    assert second.repair().ok
    assert second.search("number 3", k=1)[0].segment.text == "passage number 3"


# A process that is killed leaves nothing half done.


class Killed(BaseException):
    """As if the process had died."""


@contextmanager
def dying_at(step: int) -> Generator[None]:
    """Raise `Killed` before the given step of those that change the record or the server."""
    left = step

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            return function(*args, **kwargs)

        return counting

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in (
            (ServerRecord, "write"),
            (chroma_server, "create_collection"),
            (chromadb.Collection, "modify"),
            (VectorStore, "put"),
        ):
            patch.setattr(owner, name, counted(getattr(owner, name)))
        with pytest.raises(Killed):
            yield


@pytest.mark.parametrize("step", range(4))
def test_a_write_that_dies_at_any_step_is_made_good(on: Opener, client: Any, step: int) -> None:
    collection = on()
    collection.add([segment("old words", 1)])
    with dying_at(step):
        collection.add([segment("new words", 1), segment("more words", 2)])
    for each in (collection, on()):
        assert by_vector(each, "words") == {"old words"}
    collection.add([segment("new words", 1), segment("more words", 2)])
    for each in (collection, on()):
        assert by_vector(each, "words") == {"new words", "more words"}
        assert each.verify().ok


@pytest.mark.parametrize("step", range(6))
def test_beginning_anew_that_dies_at_any_step_is_made_good(
    on: Opener, client: Any, kept: Path, step: int
) -> None:
    before = {each.name for each in client.list_collections()}
    with on() as collection:
        collection.add([segment("old words", 1)])
    client.delete_collection(records_of(kept, client).name)
    with dying_at(step):
        on()
    collection = on()
    assert by_vector(collection, "words") == {"old words"}
    assert collection.verify().ok
    left = {each.name for each in client.list_collections()} - before
    assert len(left) <= 2  # one that was made and not yet recorded may be left, and is empty
    assert sum(client.get_collection(name).count() for name in left) == 1


@pytest.mark.slow
def test_killed_processes_are_finished_by_the_next(on: Opener, kept: Path, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    with on() as collection:
        collection.add([segment("old words", 1)])
    hunter = Hunter(random.Random(15))
    for number in range(6):
        for n in range(5):
            (folder / f"{n}.txt").write_text(f"file {n} in its version {number}")
        added = [segment(f"words {number} of {n}", n) for n in range(3)]
        hunter.hunt(Errand(collection=kept, added=added, folder=folder))
        assert on().search("words", k=3)
    assert hunter.kills
    collection = on()
    collection.add([segment("last words", 9)])
    collection.sync(folder, options=HERE)
    assert collection.verify().ok
    assert len(by_vector(collection, "file version 5")) == len(collection)


# A server that is gone.


@pytest.mark.slow
def test_a_server_that_is_gone_is_an_error_and_serves_again_when_it_is_back(
    tmp_path: Path, encoder: Encoder, texts: Path
) -> None:
    server = ChromaServer(tmp_path / "chroma")
    kept = tmp_path / "kept"
    try:
        with Collection(kept, encoder=encoder, chroma=server.address) as collection:
            collection.sync(texts)
            server.stop()
            (texts / "ferry.txt").write_text("The ferry leaves at nine.")
            for act in (
                lambda: collection.search("ferry"),
                lambda: collection.search("ferry", where={"author": "Ada"}),
                lambda: collection.sync(texts),
                lambda: collection.add([segment("alpha", 1)]),
                lambda: collection.verify(),
                lambda: collection.repair(),
                lambda: Collection(kept, encoder=encoder),
            ):
                with pytest.raises(CollectionError, match=r"does not answer|Could not connect"):
                    act()
            server.start()
            assert len(by_vector(collection, "ferry")) == 2

            def gone(_: object) -> None:
                server.stop()

            with pytest.raises(CollectionError, match="does not answer"):
                collection.sync(texts, options=HERE, on_progress=gone)
            server.start()
            assert len(found(collection, "ferry")) == 2
            collection.sync(texts)
            assert "The ferry leaves at nine." in by_vector(collection, "ferry")
            assert collection.verify().ok
    finally:
        server.stop()


# One writes, and models are not mixed.


def test_one_writes_at_a_time(on: Opener, texts: Path) -> None:
    collection, other = on(), on()

    def write_too(_: object) -> None:
        with pytest.raises(CollectionLocked, match=f"process {os.getpid()}"):
            other.add([segment("alpha", 1)])
        assert other.search("ferry") == []

    collection.sync(texts, options=HERE, on_progress=write_too)
    other.add([segment("alpha", 1)])
    assert "alpha" in by_vector(collection, "alpha")


FORKED = """
import os, sys, traceback
from mm_rag import Collection, Encoder
from tests.collection.conftest import BagOfWords, segment

collection = Collection(sys.argv[1], encoder=Encoder(modules=[BagOfWords()]))
before = [hit.segment.text for hit in collection.search("passage 3", k=3)]
child = os.fork()
if not child:
    try:
        assert [hit.segment.text for hit in collection.search("passage 3", k=3)] == before
        collection.add([segment("from the child", 99)])
        collection.close()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert collection.search("from the child", k=1)[0].segment.text == "from the child"
collection.close()
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_searches_and_writes(on: Opener, kept: Path) -> None:
    collection = on()
    collection.add(segment(f"passage {n}", n) for n in range(5))
    command = [sys.executable, "-c", FORKED, str(kept)]
    ended = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert len(collection) == 6
    assert collection.verify().ok


def test_another_model_is_refused(on: Opener) -> None:
    other = Encoder(modules=[OtherModel()])
    empty = on(encoder=other)
    on().add([segment("alpha", 1)])
    with pytest.raises(CollectionMismatch, match="was made with the model"):
        on(encoder=other)
    with pytest.raises(CollectionMismatch, match="was made with the model"):
        empty.add([segment("beta", 2)])  # it was empty when it was opened


def passages() -> list[Segment]:
    return [segment(f"passage {n}", n) for n in range(5)]


def test_encoded_anew(on: Opener, kept: Path) -> None:
    first, other = on(), Encoder(modules=[OtherModel()])
    first.add(passages())
    with Collection.reindex(kept, encoder=other) as anew:
        assert len(by_vector(anew, "passage")) == 5
        assert anew.verify().ok
        anew.add([segment("one more passage", 9)])
    with pytest.raises(CollectionMismatch):
        first.search("passage")
    with on(encoder=other) as third:
        assert len(by_vector(third, "passage")) == 6
        assert third.verify().ok


@pytest.mark.parametrize("method", ["recreate", "put"])
def test_encoding_anew_that_dies_is_finished(
    on: Opener, kept: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    other = Encoder(modules=[OtherModel()])
    on().add(passages())

    def dies(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(chroma_server.ServerVectorStore, method, dies)
        with pytest.raises(Killed):
            Collection.reindex(kept, encoder=other)
    with Collection.reindex(kept, encoder=other) as anew:
        assert len(by_vector(anew, "passage")) == 5
        assert anew.verify().ok
