"""A collection on a Chroma server: every machine finds the same, one writes, nothing is lost."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import chromadb
import pytest

from mm_rag import Collection, Encoder, Hit
from mm_rag.collection.server import lock, shared, store
from mm_rag.collection.server.client import hang_up
from mm_rag.collection.server.shared import SharedCatalog
from mm_rag.errors import CollectionError, CollectionLocked, CollectionMismatch, InputError
from mm_rag_loaders import LoadOptions
from tests.collection.chroma_server import ChromaServer, machine, opened
from tests.collection.conftest import BagOfWords, segment
from tests.collection.model.victim import forking

pytestmark = pytest.mark.enable_socket

Opener = Callable[[str], Collection]


class OtherModel(BagOfWords):
    type_name = "tests.OtherModel"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaServer]:
    running = ChromaServer(tmp_path_factory.mktemp("chroma"))
    yield running
    running.stop()


@pytest.fixture
def name() -> str:
    return f"c{uuid.uuid4().hex}"


@pytest.fixture
def on(server: ChromaServer, tmp_path: Path, name: str, encoder: Encoder) -> Iterator[Opener]:
    """Opens the test's collection on a machine of some name."""
    with ExitStack() as stack:
        yield lambda host: stack.enter_context(opened(server, tmp_path / host, encoder, name=name))


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "ferry.txt").write_text("The ferry to the island leaves at seven.")
    (folder / "valve.txt").write_text("Fit the gasket XJ-9 40/B to the valve.")
    return folder


@pytest.fixture
def client(server: ChromaServer) -> Iterator[Any]:
    made = chromadb.HttpClient("127.0.0.1", server.port)
    yield made
    hang_up(made)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks without a sign of life are taken over soon."""
    monkeypatch.setattr(lock, "BEAT", 0.05)
    monkeypatch.setattr(lock, "STALE", 0.3)
    monkeypatch.setattr(lock, "WATCHED", 0.3)


def found(collection: Collection, query: str) -> set[str]:
    return {hit.segment.text for hit in collection.search(query, k=50)}


def shown(hits: Sequence[Hit]) -> list[tuple[object, ...]]:
    return [(hit.segment, hit.rank, round(hit.scores["vector:words"], 4)) for hit in hits]


# Every machine finds the same.


def test_every_machine_finds_the_same_words_and_part_numbers(on: Opener, texts: Path) -> None:
    early, writer = on("early"), on("writer")
    assert early.search("gasket") == []
    writer.sync(texts)
    late = on("late")
    hits = writer.search("XJ-9 40/B")
    assert hits[0].segment.text.startswith("Fit the gasket")
    assert hits[0].scores["lexical"] > 0.5
    for other in (early, late):
        assert shown(other.search("XJ-9 40/B")) == shown(hits)
        assert len(other) == 2
        assert other.verify().ok


def test_segments_come_back_as_they_were_added(on: Opener, tmp_path: Path) -> None:
    given = segment("beta", 1, page=3, title="A title", metadata={"author": "Ada", "year": 1843})
    on("a").add([given, segment("", 2)])
    hits = on("b").search("beta", where={"author": "Ada"})
    assert [hit.segment for hit in hits] == [given]


def test_changed_and_deleted_files_are_followed(on: Opener, texts: Path) -> None:
    first, second, third = on("a"), on("b"), on("c")
    first.sync(texts)
    assert found(second, "ferry") == found(first, "ferry")
    (texts / "ferry.txt").write_text("The ferry leaves at nine.")
    (texts / "valve.txt").unlink()
    second.sync(texts)  # another machine than the one that wrote before
    for each in (first, second, third, on("d")):
        assert found(each, "ferry gasket") == {"The ferry leaves at nine."}
        assert len(each) == 1
        assert each.verify().ok


def test_a_moved_file_is_followed(on: Opener, texts: Path) -> None:
    first, second = on("a"), on("b")
    first.sync(texts)
    second.search("ferry")
    (texts / "ferry.txt").rename(texts / "boat.txt")
    report = first.sync(texts)
    assert "moved" in {file.state for file in report.files}
    for each in (second, on("c")):
        sources = {Path(hit.segment.source).name for hit in each.search("ferry", k=9)}
        assert sources == {"boat.txt", "valve.txt"}
        assert [hit.segment.text for hit in each.search("ferry", source=texts / "boat.txt")]


def test_nothing_to_do_is_nothing_done(on: Opener, texts: Path) -> None:
    on("a").sync(texts)
    report = on("b").sync(texts)
    assert {file.state for file in report.files} == {"unchanged"}


def test_a_machine_that_was_behind_for_long_starts_anew(
    on: Opener, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shared, "_REMOVALS_KEPT", 2)
    behind, writer = on("a"), on("b")
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "kept.txt").write_text("a note that is kept")
    for number in range(5):
        (notes / f"{number}.txt").write_text(f"note number {number}")
    writer.sync(notes)
    assert len(found(behind, "note")) == 6
    for number in range(5):
        (notes / f"{number}.txt").unlink()
        writer.sync(notes)
    for each in (behind, on("c")):
        assert found(each, "note") == {"a note that is kept"}
        assert each.verify().ok


def test_a_collection_that_was_deleted_and_made_anew_is_another_one(
    on: Opener, client: Any, name: str
) -> None:
    reader = on("a")
    on("b").add([segment("alpha", 1)])
    assert found(reader, "alpha") == {"alpha"}
    for each in (name, f"{name}.catalog"):
        client.delete_collection(each)
    with pytest.raises(CollectionError):
        reader.search("alpha")
    on("c").add([segment("beta", 2)])
    assert found(on("a"), "alpha beta") == {"beta"}


def test_what_another_program_wrote_is_found_and_can_be_taken_over(
    on: Opener, client: Any, name: str, encoder: Encoder
) -> None:
    collection = on("a")
    collection.add([segment("alpha", 1)])
    records = client.get_collection(name, embedding_function=None)
    metadata = {"modality": "text", "source": "/elsewhere.txt", "sha256": "e" * 64, "part": 0}
    foreign = segment("gamma", 3, **metadata)
    vector = encoder.encode_document("gamma")
    records.add(ids=[foreign.id], embeddings=[vector], documents=["gamma"], metadatas=[metadata])
    assert "gamma" in found(collection, "gamma")
    assert collection.repair().ok
    assert len(collection) == 2
    assert "gamma" in found(on("b"), "gamma")


def test_langchain_reads_it_over_http(on: Opener, client: Any, name: str, encoder: Encoder) -> None:
    from langchain_chroma import Chroma
    from langchain_core.embeddings import Embeddings

    class Wrapped(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [encoder.encode_query(text).tolist() for text in texts]

        def embed_query(self, text: str) -> list[float]:
            return encoder.encode_query(text).tolist()

    on("a").add([segment("alpha words", 1), segment("beta", 2)])
    chroma = Chroma(name, Wrapped(), client=client)
    (document,) = chroma.similarity_search("alpha", k=1)
    assert document.page_content == "alpha words"
    assert document.metadata["source"] == "/nowhere/1.txt"


# One writes.


def hold(address: str, name: str, on: Path, folder: Path, holding: Event, released: Event) -> None:
    """Sync, and stop in the middle of it."""

    def wait(_: object) -> None:
        holding.set()
        released.wait(60.0)

    encoder = Encoder(modules=[BagOfWords()])
    with machine(on), Collection(address, encoder=encoder, name=name) as collection:
        collection.sync(folder, options=LoadOptions(workers=0), on_progress=wait)


@pytest.mark.slow
@pytest.mark.heavy
def test_who_does_not_wait_is_told_who_writes_and_where(
    server: ChromaServer, name: str, on: Opener, texts: Path, tmp_path: Path
) -> None:
    holding, released = forking().Event(), forking().Event()
    args = (server.address, name, tmp_path / "far", texts, holding, released)
    process = forking().Process(target=hold, args=args)
    process.start()
    try:
        assert holding.wait(60.0)
        elsewhere, beside = on("elsewhere"), on("far")  # two processes of one machine
        for other in (elsewhere, beside):
            with pytest.raises(CollectionLocked, match=f"process {process.pid}"):
                other.add([segment("alpha", 1)])
            assert other.search("ferry") == []
        with pytest.raises(CollectionLocked, match=f"on {os.uname().nodename}"):
            elsewhere.add([segment("alpha", 1)])
        released.set()
        process.join()
        assert process.exitcode == 0
        for other in (elsewhere, beside):
            assert len(found(other, "ferry")) == 2
        elsewhere.add([segment("alpha", 1)])
        assert "alpha" in found(beside, "alpha")
    finally:
        process.kill()


@pytest.mark.slow
@pytest.mark.heavy
def test_who_was_killed_does_not_lock_others_out(
    server: ChromaServer, name: str, on: Opener, texts: Path, tmp_path: Path, impatient: None
) -> None:
    holding, released = forking().Event(), forking().Event()
    args = (server.address, name, tmp_path / "far", texts, holding, released)
    process = forking().Process(target=hold, args=args)
    process.start()
    assert holding.wait(60.0)
    process.kill()
    process.join()
    time.sleep(0.4)
    assert on("far").sync(texts).files  # on its own machine at once, elsewhere after a while
    assert len(found(on("near"), "ferry")) == 2


def test_a_dead_lock_of_another_machine_is_taken_over(
    on: Opener, client: Any, name: str, impatient: None
) -> None:
    collection = on("a")
    client.create_collection(
        f"{name}.lock",
        embedding_function=None,
        metadata={"host": "far", "pid": 7, "since": "noon", "beat": time.time() - 1.0},
    )
    collection.add([segment("alpha", 1)])
    assert found(on("b"), "alpha") == {"alpha"}
    assert name in {each.name for each in client.list_collections()}
    assert not [each for each in client.list_collections() if f"{name}.lock" in each.name]


def test_a_lock_that_gives_signs_of_life_is_respected_whatever_its_clock_says(
    on: Opener, client: Any, name: str, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = on("a")
    held = client.create_collection(
        f"{name}.lock", embedding_function=None, metadata={"pid": 7, "beat": 1.0}
    )
    beats = iter(range(2, 100))

    def beat(_: float) -> None:
        held.modify(metadata={"pid": 7, "beat": float(next(beats))})

    monkeypatch.setattr(lock.time, "sleep", beat)
    with pytest.raises(CollectionLocked, match="process 7"):
        collection.add([segment("alpha", 1)])


def test_a_writer_that_lost_its_lock_writes_no_more(
    on: Opener, client: Any, name: str, texts: Path
) -> None:
    collection = on("a")

    def steal(_: object) -> None:
        taken = client.get_collection(f"{name}.lock", embedding_function=None)
        taken.modify(name=f"{name}.stolen{uuid.uuid4().hex}")
        client.create_collection(f"{name}.lock", embedding_function=None, metadata={"pid": 7})

    with pytest.raises(CollectionError, match="taken over"):
        collection.sync(texts, on_progress=steal)
    assert len(on("b")) == 0
    assert client.get_collection(f"{name}.lock", embedding_function=None).metadata["pid"] == 7


# Nothing is lost, and nothing half done is seen.


class Killed(BaseException):
    """As if the process had died."""


@contextmanager
def dying(*, before: bool) -> Generator[None]:
    """Who commits in the block dies, before it takes effect on the server or right after."""
    publish = SharedCatalog.publish

    def dies(self: SharedCatalog, *args: Any, **kwargs: Any) -> Any:
        if not before:
            publish(self, *args, **kwargs)
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SharedCatalog, "publish", dies)
        with pytest.raises(Killed):
            yield


def test_half_a_commit_is_invisible_and_cleared_up(on: Opener, client: Any, name: str) -> None:
    writer, reader = on("a"), on("b")
    writer.add([segment("old words", 1)])
    assert found(reader, "words") == {"old words"}
    with dying(before=True):
        writer.add([segment("new words", 1), segment("more words", 2)])
    records = client.get_collection(name, embedding_function=None)
    assert records.count() == 2
    assert found(reader, "words") == {"old words"}
    assert found(writer, "words") == {"old words"}
    # Who comes only now knows nothing of what was replaced: all the same it is not missing.
    fresh = on("c")
    assert found(fresh, "words") == {"new words"}
    assert reader.verify().ok
    assert fresh.verify().ok
    reader.add([segment("last words", 3)])
    assert found(reader, "words") == {"old words", "last words"}
    for each in (writer, fresh, on("d")):
        assert found(each, "words") == {"old words", "last words"}
        assert each.verify().ok
    assert records.count() == 2


def test_who_dies_after_the_server_has_it_follows_it(on: Opener) -> None:
    writer, reader = on("a"), on("b")
    writer.add([segment("old words", 1)])
    with dying(before=False):
        writer.add([segment("new words", 1), segment("more words", 2)])
    for each in (reader, writer, on("c")):
        assert found(each, "words") == {"new words", "more words"}
        assert each.verify().ok
    reader.add([segment("last words", 3)])
    for each in (reader, writer, on("d")):
        assert found(each, "words") == {"new words", "more words", "last words"}
        assert each.verify().ok


def test_removals_that_a_dead_writer_did_not_get_to_are_done(
    on: Opener, texts: Path, client: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, reader = on("a"), on("b")
    writer.sync(texts)
    assert len(found(reader, "ferry")) == 2
    (texts / "ferry.txt").write_text("The ferry leaves at nine.")
    changed = hashlib.sha256((texts / "ferry.txt").read_bytes()).hexdigest()
    publish = SharedCatalog.publish

    def dies(self: SharedCatalog, head: Any, files: Any = (), *rest: Any) -> Any:
        publish(self, head, files, *rest)
        if changed in {file.sha256 for file in files}:
            raise Killed
        return publish(self, head, files, *rest)

    monkeypatch.setattr(SharedCatalog, "publish", dies)
    with pytest.raises(Killed):
        writer.sync(texts)
    monkeypatch.setattr(SharedCatalog, "publish", publish)
    records = client.get_collection(name, embedding_function=None)
    assert records.count() == 3
    for each in (reader, writer, on("c")):
        assert len(found(each, "ferry")) == 2
        assert "The ferry leaves at nine." in found(each, "ferry")
    reader.sync(texts)
    assert records.count() == 2
    for each in (reader, writer, on("d")):
        assert len(found(each, "ferry")) == 2
        assert each.verify().ok


@pytest.mark.slow
@pytest.mark.heavy
def test_a_server_that_is_gone_is_an_error_and_serves_again_when_it_is_back(
    tmp_path: Path, encoder: Encoder, texts: Path
) -> None:
    server = ChromaServer(tmp_path / "chroma")
    try:
        with opened(server, tmp_path / "a", encoder, name="default") as collection:
            collection.sync(texts)
            server.stop()
            (texts / "ferry.txt").write_text("The ferry leaves at nine.")
            for act in (
                lambda: collection.search("ferry"),
                lambda: collection.search("ferry", where={"author": "Ada"}),
                lambda: collection.sync(texts),
                lambda: collection.verify(),
                lambda: opened(server, tmp_path / "a", encoder, name="default"),
            ):
                with pytest.raises(CollectionError, match=r"does not answer|Could not connect"):
                    act()
            server.start()
            assert len(found(collection, "ferry")) == 2
            collection.sync(texts)
            assert "The ferry leaves at nine." in found(collection, "ferry")
            assert collection.verify().ok
    finally:
        server.stop()


def test_lost_vectors_are_healed_from_the_replica(on: Opener, client: Any, name: str) -> None:
    collection = on("a")
    collection.add([segment("alpha", 1), segment("beta", 2)])
    records = client.get_collection(name, embedding_function=None)
    records.delete(ids=[segment("alpha", 1).id])
    assert len(collection.verify().missing_vectors) == 1
    assert collection.repair().ok
    assert found(on("b"), "alpha") == {"alpha", "beta"}


def test_more_than_one_request_may_hold(on: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_BYTES", 30_000)
    monkeypatch.setattr(shared, "_IDS", 2)
    monkeypatch.setattr(shared, "ROWS", 3)
    on("a").add(segment(f"passage {n}", n) for n in range(40))
    assert len(found(on("b"), "passage")) == 40


@pytest.mark.slow
@pytest.mark.heavy
def test_texts_beyond_what_a_server_takes_at_once(on: Opener) -> None:
    on("a").add(segment(f"long {n} " + "x" * 3_000_000, n) for n in range(15))
    assert len(on("b").search("long", k=20)) == 15


def test_files_in_several_requests(
    on: Opener, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shared, "_IDS", 2)
    monkeypatch.setattr(shared, "ROWS", 3)
    notes = tmp_path / "notes"
    notes.mkdir()
    for number in range(12):
        (notes / f"{number}.txt").write_text(f"note number {number}")
    writer, reader = on("a"), on("b")
    writer.sync(notes)
    assert len(found(reader, "note")) == 12
    for number in range(11):
        (notes / f"{number}.txt").unlink()
    writer.sync(notes, delete_missing=True)
    for each in (reader, on("c")):
        assert found(each, "note") == {"note number 11"}
        assert {file.state for file in each.sync(notes).files} == {"unchanged"}


def test_files_to_be_read_again_are_so_for_every_machine(on: Opener, folder: Path) -> None:
    writer = on("a")
    writer.sync(folder)
    pictures = [path for path in (writer.path / "assets").rglob("*") if path.is_file()]
    assert pictures
    assert on("b").verify().missing_files == ()  # another machine's pictures are not its concern
    for path in pictures:
        path.unlink()
    assert writer.repair().unfinished
    assert on("b").verify().unfinished
    writer.sync(folder)
    assert writer.verify().ok
    assert on("b").verify().ok


# Nothing is mixed.


def test_another_model_is_refused_on_every_machine(
    on: Opener, server: ChromaServer, tmp_path: Path, name: str
) -> None:
    other = Encoder(modules=[OtherModel()])
    empty = opened(server, tmp_path / "c", other, name=name)
    on("a").add([segment("alpha", 1)])
    with pytest.raises(CollectionMismatch, match="was made with the model"):
        opened(server, tmp_path / "b", other, name=name)
    with empty, pytest.raises(CollectionMismatch, match="was made with the model"):
        empty.add([segment("beta", 2)])  # it was empty when it was opened


def test_encoded_anew_for_every_machine(
    on: Opener, server: ChromaServer, tmp_path: Path, name: str, client: Any
) -> None:
    first, other = on("a"), Encoder(modules=[OtherModel()])
    first.add(segment(f"passage {n}", n) for n in range(5))
    with (
        machine(tmp_path / "b"),
        Collection.reindex(server.address, encoder=other, name=name) as anew,
    ):
        assert len(found(anew, "passage")) == 5
        assert anew.verify().ok
        anew.add([segment("one more passage", 9)])
    with pytest.raises(CollectionMismatch):
        first.search("passage")
    with opened(server, tmp_path / "c", other, name=name) as third:
        assert len(found(third, "passage")) == 6
        assert third.verify().ok
    names = {each.name for each in client.list_collections() if each.name.startswith(name)}
    assert names == {name, f"{name}.catalog"}


@pytest.mark.parametrize("before", [True, False])
def test_encoding_anew_that_dies_leaves_one_or_the_other(
    on: Opener,
    server: ChromaServer,
    tmp_path: Path,
    name: str,
    before: bool,
    encoder: Encoder,
) -> None:
    other = Encoder(modules=[OtherModel()])
    on("a").add(segment(f"passage {n}", n) for n in range(5))
    with machine(tmp_path / "b"), dying(before=before):
        Collection.reindex(server.address, encoder=other, name=name)
    now = encoder if before else other
    for count, host in enumerate(("c", "b"), start=5):
        with opened(server, tmp_path / host, now, name=name) as collection:
            assert len(found(collection, "passage")) == count
            assert collection.verify().ok
            collection.add([segment(f"another passage {host}", ord(host))])
            assert "another passage c" in found(collection, "passage")
    with (
        machine(tmp_path / "b"),
        Collection.reindex(server.address, encoder=other, name=name) as anew,
    ):
        assert len(found(anew, "passage")) == 7
        assert anew.verify().ok


def test_a_newer_format_is_refused(on: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("mm_rag.collection.server.writer.FORMAT_VERSION", 99)
        on("a").add([segment("alpha", 1)])
    with pytest.raises(CollectionMismatch, match="newer mm_rag"):
        on("b")


# What is given.


def test_a_client_that_the_caller_made_stays_open(
    client: Any, name: str, tmp_path: Path, encoder: Encoder
) -> None:
    with machine(tmp_path), Collection(client, encoder=encoder, name=name) as collection:
        collection.add([segment("alpha", 1)])
    assert client.heartbeat()


def test_a_client_of_a_folder_is_refused(tmp_path: Path, encoder: Encoder) -> None:
    with (
        chromadb.PersistentClient(str(tmp_path / "chroma")) as embedded,  # pyright: ignore[reportGeneralTypeIssues]
        pytest.raises(CollectionError, match="name its folder"),
    ):
        Collection(embedded, encoder=encoder)


@pytest.mark.parametrize(
    "address",
    ["http://", "http://user:secret@127.0.0.1:1", "http://127.0.0.1:1/path", "http://h:port"],
)
def test_an_address_is_scheme_host_and_port(address: str, encoder: Encoder) -> None:
    with pytest.raises(CollectionError, match="address") as raised:
        Collection(address, encoder=encoder)
    assert "secret" not in str(raised.value)


def test_what_is_not_there_is_not_made_by_a_reader(
    server: ChromaServer, name: str, client: Any
) -> None:
    with pytest.raises(CollectionError, match="There is no collection"):
        Collection(server.address, name=name, create=False)
    assert name not in {each.name for each in client.list_collections()}


def test_a_filter_that_chroma_refuses(on: Opener) -> None:
    collection = on("a")
    collection.add([segment("alpha", 1)])
    with pytest.raises(InputError, match="filter"):
        collection.search("alpha", where={"page": {"$foo": 1}})


def test_an_empty_collection(on: Opener) -> None:
    collection = on("a")
    assert collection.search("alpha") == []
    assert collection.verify().ok
    assert collection.repair().ok
