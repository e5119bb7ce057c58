"""ServerStorage: a Chroma server, and the folder of its replica on this machine."""

from __future__ import annotations

import platform
import threading
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import platformdirs
from chromadb.api import ClientAPI
from filelock import FileLock, Timeout

from mm_rag.collection.catalog import Catalog
from mm_rag.collection.lexical import LexicalIndex
from mm_rag.collection.lock import writer_lock
from mm_rag.collection.server.client import address_of, answering, connected, hang_up
from mm_rag.collection.server.lock import ServerLock
from mm_rag.collection.server.replica import Replica
from mm_rag.collection.server.shared import SharedCatalog
from mm_rag.collection.server.store import ServerStore
from mm_rag.collection.server.writer import Publisher, ServerWriter
from mm_rag.collection.storage import StorageLocation
from mm_rag.collection.store import VectorStore
from mm_rag.collection.writer import SegmentWriter
from mm_rag.errors import CollectionError

_PATIENCE = 600.0  # seconds for another process of this machine to fetch everything
_POLL = 0.05


class ServerStorage(StorageLocation):
    """A Chroma server.

    The replica, and the page pictures of what is indexed on this machine, lie in a folder of the
    user's data directory (`platformdirs.user_data_dir("mm_rag")`; on Linux XDG_DATA_HOME moves it).
    Other machines find the pages and their words, but have the pictures only if they see that
    folder under the same path. All processes of one machine share it.

    Args:
        where: An address, `http://host:8000`; or a client made by `chromadb.HttpClient`, which may
            have authorisation headers, and stays the caller's to close.
        name: The collection's name.
        create: Make what is not there.

    Raises:
        CollectionError: The server does not answer; there is no such collection, and none is to be
            made; the replica's folder cannot be made.
    """

    def __init__(self, where: str | ClientAPI, name: str, *, create: bool) -> None:
        self._own = isinstance(where, str)
        self._client = connected(where) if isinstance(where, str) else where
        self.place = where.rstrip("/") if isinstance(where, str) else address_of(where)
        self.name = name
        self.folder = _folder_for(self._client, self.place, name)
        self.assets = self.folder / "assets"
        self.catalog, self.lexical = self.folder / "ledger.sqlite3", self.folder / "lexical"
        self._start_anew = False
        self._writing: ServerLock | None = None
        self._turn = threading.Lock()
        try:
            self._shared = SharedCatalog(self._client, name, self.place, create=create)
            self._prepare()
        except CollectionError:
            self.close()
            raise
        # Not the thread's, but the process's: reads and writes go on in several threads.
        self._following = FileLock(self.folder / "following.lock", thread_local=False)

    def _prepare(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CollectionError(
                f"Cannot keep a replica of {self.place} in {self.folder}: {error.strerror}."
            ) from error

    def open_store(self) -> VectorStore:
        """Open the vectors."""
        return self._store()

    def _store(self) -> ServerStore:
        return ServerStore(self._client, self.name, self.place, self._shared)

    def keeps(self, path: str) -> bool:
        """Pictures that were drawn here; all else may be another machine's."""
        return self.assets in Path(path).parents

    def discard_store(self) -> None:
        """Leave the server as it is, and fetch everything anew: here the replica is damaged."""
        self._start_anew = True

    def close(self) -> None:
        """Let go of the connection, if nobody else made it."""
        if self._own:
            hang_up(self._client)

    # Reading.

    def follow(self, catalog: Catalog, lexical: LexicalIndex, *, writing: bool = False) -> None:
        """Bring the replica up to date with the server.

        Args:
            catalog: Of the replica.
            lexical: Of the replica.
            writing: Whether the caller is the writer. A writer's own process need not follow, as
                its replica is what the server gets, and must not, as that is being changed.
        """
        if self._writing is not None and not writing:
            return
        replica = Replica(catalog, lexical, self._shared, self.place)
        if writing:
            self._catch_up(replica)
        elif not self._is_current(replica):
            with self._turn, self._alone(replica) as alone:
                if alone:
                    self._catch_up(replica)

    def _is_current(self, replica: Replica) -> bool:
        return not self._start_anew and replica.is_at(self._shared.head())

    def _catch_up(self, replica: Replica) -> None:
        if not self._is_current(replica):
            replica.follow(self._store(), self._shared.head(), anew=self._start_anew)
            self._start_anew = False

    @contextmanager
    def _alone(self, replica: Replica) -> Generator[bool]:
        """Whether this process is to follow: another one of this machine may do it, or write."""
        deadline = time.monotonic() + _PATIENCE
        while self._writing is None and time.monotonic() < deadline:
            try:
                self._following.acquire(timeout=_POLL)
            except Timeout:
                if self._is_current(replica) or replica.is_written_to:
                    break
                continue
            try:
                yield True
            finally:
                self._following.release()
            return
        yield False

    # Writing.

    @contextmanager
    def writing(self, wait: float) -> Generator[None]:
        """Hold the lock of the replica, and then that of the server."""
        began = time.monotonic()
        with writer_lock(self.folder / "writer.lock", timeout=wait, place=self.place):
            lock = ServerLock(self._client, self.name, self.place, self._replica_id())
            left = max(0.0, wait - (time.monotonic() - began))
            with lock.held(left), self._turn_of(lock):
                yield

    @contextmanager
    def _turn_of(self, lock: ServerLock) -> Generator[None]:
        with self._turn:
            self._following.acquire()
            self._writing = lock
        try:
            yield
        finally:
            self._writing = None
            self._following.release()

    def writer(self, store: VectorStore, lexical: LexicalIndex, catalog: Catalog) -> SegmentWriter:
        """Write to the server and to the replica, after others' leftovers are cleared up."""
        assert isinstance(store, ServerStore)
        assert self._writing is not None
        publisher = Publisher(self._shared, store, self._writing, catalog, self._shared.head())
        replica = Replica(catalog, lexical, self._shared, self.place)
        writer = ServerWriter(store, lexical, catalog, publisher=publisher, replica=replica)
        writer.recover()
        return writer

    def _replica_id(self) -> str:
        """Its own on every machine, so that a lock left behind here is known as such."""
        path = self.folder / "replica-id"
        if not path.exists():
            path.write_text(uuid.uuid4().hex)
        return path.read_text()


def _folder_for(client: ClientAPI, place: str, name: str) -> Path:
    """One for each collection and machine: home folders may be shared, locks and SQLite not."""
    with answering(place):
        whose = (place, client.tenant, client.database, name, platform.node())
    key = sha256("\n".join(map(str, whose)).encode()).hexdigest()[:32]
    return Path(platformdirs.user_data_dir("mm_rag")) / "servers" / key
