"""Storage: where a collection lives, and which of its parts lies where.

`open_storage` chooses: a folder with Chroma's files in it, a folder with its vectors on a Chroma
server, or memory. The session opens the parts that a `StorageLocation` names.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import uuid
import weakref
from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import (
    AbstractContextManager,
    ExitStack,
    closing,
    contextmanager,
    nullcontext,
    suppress,
)
from pathlib import Path
from typing import cast

import chromadb
from chromadb.api import ClientAPI
from chromadb.errors import ChromaError
from filelock import FileLock, Timeout

from mm_rag._forking import leak
from mm_rag._temporary import TemporaryFolder
from mm_rag.collection.catalog import IN_MEMORY, Catalog
from mm_rag.collection.chroma_process import ChromaProcess
from mm_rag.collection.chroma_server import (
    ServerCollection,
    ServerRecord,
    address_of,
    connect,
    connect_again,
    disconnect,
    read_record,
)
from mm_rag.collection.damage import KnownFiles, is_panic, is_whole, remove
from mm_rag.collection.lock import writer_lock
from mm_rag.collection.store import CHROMA_FILE, VectorStore, has_chroma_collection
from mm_rag.errors import CollectionError, InputError

MEMORY = ":memory:"

_PATIENCE = 60.0  # seconds to wait for a lock that is held for moments only
_OPENINGS = itertools.count(1)

# Chroma's names that are not IP addresses, no longer than a file name may be.
_NAME = re.compile(r"(?!\d+(\.\d+){3}$)(?!.*\.\.)[a-zA-Z0-9][a-zA-Z0-9._-]{1,253}[a-zA-Z0-9]")
_CATALOG = "ledger.sqlite3"  # as every version has named it
_SERVER_FILE = "chroma-server.json"
_ASIDE = "chroma.damaged"
_OWN = ("assets", "chroma", _ASIDE, "chroma.lock", "chroma.state", "writer.lock")
"""What lies in a folder beside the folders of its collections."""


def open_storage(
    where: str | Path, name: str, *, create: bool, chroma: str | ClientAPI | None = None
) -> StorageLocation:
    """The location that a user names: a folder or `":memory:"`.

    Args:
        where: The folder.
        name: The collection's name.
        create: Whether to make what does not exist.
        chroma: The Chroma server that holds the vectors; None for the one that the folder
            remembers, or else for Chroma's files in the folder.

    Raises:
        InputError: It is neither, or `chroma` is not a server.
        CollectionError: It cannot be used.
    """
    if isinstance(where, ClientAPI) or str(where).lower().startswith(("http://", "https://")):
        raise InputError(
            "A collection lives in a folder; only its vectors can be on a Chroma server: "
            'Collection("folder", chroma="http://host:8000") or '
            'Collection("folder", chroma=chromadb.HttpClient(...)); '
            "mm-rag --collection FOLDER --chroma URL."
        )
    if not isinstance(where, str | Path):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(
            f"A collection lives in a folder or in ':memory:'; got a {type(where).__name__}."
        )
    if where == MEMORY:
        if chroma is not None:
            raise InputError("A collection in ':memory:' has no Chroma server: leave out chroma.")
        return MemoryStorage()
    _check_name(name)
    if chroma is None and not (Path(where) / name / _SERVER_FILE).exists():
        return EmbeddedStorage(Path(where), name, create=create)
    return ServerStorage(Path(where), name, create=create, chroma=chroma)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name.lower() in _OWN:
        raise CollectionError(
            f"A collection cannot be called {name!r}. Choose 3 to 255 characters from a-z, A-Z, "
            "0-9, '.', '_' and '-' that begin and end with a letter or digit, without '..', not "
            f"an IP address, and none of {', '.join(_OWN)}."
        )


class StorageLocation(ABC):
    """Where the parts of one collection are.

    Attributes:
        place: Its folder, for messages.
        name: The collection's name; several may share a folder.
        folder: What lies in it belongs to the collection and is never indexed.
        assets: The folder of page screenshots and key frames, named after their content.
        catalog: The catalog's file.
        lexical: The lexical index's folder; None for memory.
        is_read_only: Whether the collection may not be changed.
        writes_out: Whether `write_out` has something to do.
        can_move: Whether the folder may be moved, so that Chroma's paths of files are outdated.
    """

    place: str
    name: str
    folder: Path
    assets: Path
    catalog: Path
    lexical: Path | None
    is_read_only = False
    writes_out = False
    can_move = False

    @property
    @abstractmethod
    def vectors(self) -> str:
        """Where Chroma keeps the vectors, for people."""

    @abstractmethod
    def open_store(self) -> VectorStore:
        """Open the vectors, or make an empty store.

        Raises:
            CollectionError: Chroma cannot.
        """

    @abstractmethod
    def writing(self, wait: float) -> AbstractContextManager[None]:
        """Hold the exclusive write lock for the length of a `with` block.

        Raises:
            CollectionLocked: Another process still holds it after `wait` seconds.
        """

    def siblings(self) -> list[Path]:
        """The catalogs of other collections that share the assets."""
        return []

    def store_is_untouched(self) -> bool:
        """Whether the vectors are as the last write left them, found out without reading them."""
        return True

    def store_is_whole(self) -> bool:
        """Whether all vectors can be read; tried in another process where a crash is possible."""
        return True

    def write_out(self) -> None:  # noqa: B027 - only Chroma's files in a folder need it
        """Have Chroma save its index, so that each opening finds the same neighbours.

        Called by the process that holds the write lock, with the store closed.

        Raises:
            CollectionError: Chroma cannot.
        """

    @abstractmethod
    def discard_store(self) -> None:
        """Delete the vectors, and note in the catalog, which has them too, to put them again."""

    def after_fork(self, catalog: Catalog) -> None:  # noqa: B027 - most have nothing to renew
        """Make usable in a forked child what it cannot share with its parent.

        Args:
            catalog: The collection's catalog, as the child sees it.
        """

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        """Close what does not belong to the catalog, the store or the lexical index."""


class FolderStorage(StorageLocation):
    """A folder of this machine, which several named collections may share.

    A folder that cannot be written to, such as a read-only mount, is searched by way of a temporary
    folder: databases are copied there, and everything else is linked to. What another machine
    writes to it later is seen when it is opened again.

    Args:
        root: The folder.
        name: The collection's name.
        create: Whether to make what does not exist.

    Raises:
        CollectionError: There is no collection and `create` is False; the folders cannot be made.
    """

    can_move = True

    def __init__(self, root: Path, name: str, *, create: bool) -> None:
        self.folder = root.absolute()
        self.place, self.name = str(self.folder), name
        self.assets = self.folder / "assets"
        self._lay_out(self.folder)
        if not create and not self._exists():
            raise CollectionError(
                f"There is no collection '{name}' in {self.folder}. {self._advice()}"
            )
        try:
            self.catalog.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CollectionError(
                f"Cannot make a collection in {self.folder}: {error.strerror}. "
                "Choose a folder that can be written to."
            ) from error
        if not (os.access(self.folder, os.W_OK) and os.access(self.catalog.parent, os.W_OK)):
            self.is_read_only = True
            self._mirror = TemporaryFolder()
            _mirror(self.folder, self._mirror.path, name)
            self._lay_out(self._mirror.path)

    def _lay_out(self, root: Path) -> None:
        self._root = root
        self.catalog = root / self.name / _CATALOG
        self.lexical = root / self.name / "words"
        self._lock = root / "writer.lock"

    def _exists(self) -> bool:
        return self.catalog.is_file()

    def _advice(self) -> str:
        return f"Make one: mm-rag index FOLDER --collection {self.folder}"

    def siblings(self) -> list[Path]:
        """The catalogs of the other collections in the folder."""
        return sorted(set(self._root.glob(f"*/{_CATALOG}")) - {self.catalog})

    def writing(self, wait: float) -> AbstractContextManager[None]:
        """Hold the lock of the folder."""
        return writer_lock(self._lock, timeout=wait)

    def close(self) -> None:
        """Delete the temporary folder of a read-only collection."""
        if self.is_read_only:
            self._mirror.close()


def _mirror(folder: Path, mirror: Path, name: str) -> None:
    """Make a folder look like a collection's: databases copied, other files linked to."""
    for top in (folder / name, folder / "chroma"):
        for path in sorted(top.rglob("*")):
            there = mirror / path.relative_to(folder)
            there.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file() and not path.name.endswith(".lock"):
                if path.suffix == ".state" or ".sqlite3" in path.name:
                    shutil.copy2(path, there)
                else:
                    there.symlink_to(path)
    with suppress(OSError):
        shutil.copy2(folder / "chroma.state", mirror / "chroma.state")


class EmbeddedStorage(FolderStorage):
    """A folder with Chroma's files in it, which all collections of the folder share."""

    writes_out = True
    _is_forked = False

    def _lay_out(self, root: Path) -> None:
        super()._lay_out(root)
        self.chroma = root / "chroma"
        # Chroma changes its files in place: they must not be opened meanwhile.
        self._files = FileLock(root / "chroma.lock")
        self._known = KnownFiles(self.chroma, root / "chroma.state")

    def _exists(self) -> bool:
        return super()._exists() or has_chroma_collection(self.chroma, self.name)

    def _advice(self) -> str:
        if (self.folder / CHROMA_FILE).is_file():
            return f"It is a folder of Chroma's own: move what is in it to {self.chroma}"
        return super()._advice()

    @property
    def vectors(self) -> str:
        """Chroma's folder."""
        return str(self.chroma)

    def open_store(self) -> VectorStore:
        """Open the vectors while Chroma's files do not change, and have Chroma read them."""
        with self._quiet():
            try:
                # Default settings: Chroma refuses a second client with other ones in a process.
                client = self._client()
            except BaseException as error:
                if not isinstance(error, Exception) and not is_panic(error):
                    raise
                raise CollectionError(
                    f"Chroma cannot open {self.chroma}: {error}. Try: mm-rag verify --repair"
                ) from error
            with ExitStack() as undo:
                undo.callback(client.close)  # pyright: ignore[reportAttributeAccessIssue]
                store = VectorStore(client, self.name, self.place, changing=self._changing)
                store.load()
                self._known.note()
                undo.pop_all()
        if not len(store):
            # Chroma opens an empty store without an error where its vectors are gone.
            _mark_lost(self.catalog, self.folder, unless_empty=True)
        return store

    def _client(self) -> ClientAPI:
        if self._is_forked:
            return cast("ClientAPI", ChromaProcess(self.chroma))
        return chromadb.PersistentClient(_unique_spelling(self.chroma, next(_OPENINGS)))

    def write_out(self) -> None:
        """Have Chroma save its index."""
        if self._is_forked:
            return
        with self._quiet():
            store = VectorStore(self._client(), self.name, self.place, changing=self._changing)
            try:
                store.write_out()
            finally:
                store.close()
            self._known.note()

    def store_is_untouched(self) -> bool:
        """Compare sizes, times and checksums with those that the last write noted."""
        with self._quiet():
            return not self.chroma.exists() or self._known.are_untouched()

    def store_is_whole(self) -> bool:
        """Have another process read everything, and compare files with what was noted."""
        with self._quiet():
            if not self.chroma.exists():
                return True
            whole = self._known.are_sound() and is_whole(self.chroma)
            if whole:
                self._known.note()  # Chroma writes to its database whenever it is opened
            return whole

    def discard_store(self) -> None:
        """Move Chroma's files aside; every collection in the folder puts its vectors again.

        They are kept because other programs may have records there that are nowhere else.
        """
        # Noted first: a process that is killed in between has lost nothing.
        for catalog in (self.catalog, *self.siblings()):
            if not catalog.with_name(_SERVER_FILE).exists():
                _mark_lost(catalog, self.folder)
        aside = self._root / _ASIDE
        with self._quiet():
            remove(aside)
            try:
                self.chroma.rename(aside)
            except OSError:  # it does not exist, or another process has it open on Windows
                remove(self.chroma)
            self._known.forget()

    def after_fork(self, catalog: Catalog) -> None:
        """Renew the lock, which belongs to its process; Chroma has to be in another process."""
        self._files = FileLock(self._root / "chroma.lock")
        self._is_forked = True

    @contextmanager
    def _changing(self) -> Generator[None]:
        with self._quiet():
            yield
            self._known.note()

    @contextmanager
    def _quiet(self) -> Generator[None]:
        """Keep other processes from changing Chroma's files, where this one may lock them."""
        try:
            self._files.acquire(timeout=_PATIENCE)
        except (Timeout, PermissionError, OSError):
            yield
            return
        try:
            yield
        finally:
            self._files.release()


def _unique_spelling(folder: Path, number: int) -> str:
    """The folder's path, spelled as no other opening in this process spells it.

    Chroma shares one index among all that open the same path: it could not be opened again after
    another process has written, as long as one of them is open.
    """
    return f"{folder}{''.join('/.' if bit == '1' else '/' for bit in f'{number:b}')}"


class ServerStorage(FolderStorage):
    """A folder with the catalog, the lexical index and the assets; vectors on a Chroma server.

    The folder remembers the server, without credentials. One process at a time writes, on the
    machine of the folder; the server is not asked for locks.

    Args:
        root: The folder.
        name: The collection's name.
        create: Whether to make what does not exist.
        chroma: The server's address; or a client made by `chromadb.HttpClient`, which stays the
            caller's to close; None for the server that the folder remembers.

    Raises:
        InputError: `chroma` is neither.
        CollectionError: The server does not answer; the folder's vectors are elsewhere; as
            `FolderStorage`.
    """

    def __init__(
        self, root: Path, name: str, *, create: bool, chroma: str | ClientAPI | None
    ) -> None:
        given = None if chroma is None else address_of(chroma)
        super().__init__(root, name, create=create)
        record = read_record(self._file)
        if record is None and has_chroma_collection(self.folder / "chroma", name):
            raise CollectionError(
                f"The vectors of {self.folder} are in {self.folder / 'chroma'}, not on a server. "
                "Leave out chroma; or, to have them on the server, move that folder elsewhere: "
                "they are then uploaded from the catalog, without encoding."
            )
        url = given or (record.url if record else "")
        self._closes = not isinstance(chroma, ClientAPI)
        if isinstance(chroma, ClientAPI):
            client = chroma
        elif record is not None and record.url == url:
            client = connect(url, tenant=record.tenant, database=record.database)
        else:
            client = connect(url)
        self._vectors = ServerCollection(client=client, file=self._file, url=url)
        try:
            self._claim(record)
        except CollectionError:
            self.close()
            raise

    def _lay_out(self, root: Path) -> None:
        super()._lay_out(root)
        self._file = root / self.name / _SERVER_FILE

    @property
    def vectors(self) -> str:
        """The server's address and the name of the Chroma collection."""
        return f"{self._vectors.url} ({self._vectors.record.collection})"

    def _claim(self, record: ServerRecord | None) -> None:
        """See that the server has the folder's vectors, or is to have them."""
        url = self._vectors.url
        if record is None:
            if self.is_read_only:
                raise CollectionError(
                    f"{self.place} has no vectors on {url}, and cannot be written to."
                )
            with writer_lock(self._lock, timeout=_PATIENCE):
                if read_record(self._file) is None:
                    _mark_lost(self.catalog, self.folder, unless_empty=True)
                    self._vectors.create(self.name)
        elif not self._vectors.is_at(record):
            if not self._vectors.is_ours():
                raise CollectionError(
                    f"The vectors of {self.place} are on {record.url} (tenant {record.tenant}, "
                    f"database {record.database}), and {url} does not have them. Leave out chroma; "
                    f"or, to have them there, delete {self._file}: they are then uploaded from the "
                    "catalog, without encoding."
                )
            if not self.is_read_only:
                self._vectors.note_address()

    def open_store(self) -> VectorStore:
        """Open the vectors."""
        store = self._vectors.open(read_only=self.is_read_only)
        if not len(store):
            # Chroma opens an empty store without an error where its vectors are gone.
            _mark_lost(self.catalog, self.folder, unless_empty=True)
        return store

    @contextmanager
    def writing(self, wait: float) -> Generator[None]:
        """Hold the lock of the folder, with the server's collection known to be the folder's."""
        with super().writing(wait):
            if not self.is_read_only:
                if not self._vectors.is_ours():
                    self.discard_store()
                self._vectors.renew_token()
            yield

    def store_is_untouched(self) -> bool:
        """Whether the server still has the vectors that this folder's last write left there."""
        return self._vectors.is_ours()

    def store_is_whole(self) -> bool:
        """Whether the server has them; what is wrong inside is found by comparing records."""
        return self._vectors.is_ours()

    def discard_store(self) -> None:
        """Begin a new Chroma collection; the old one is deleted if it belongs to this folder."""
        if self.is_read_only:
            raise CollectionError(
                f"The vectors of {self.place} on {self._vectors.url} are gone or another copy's, "
                "and the folder cannot be written to. Open the collection once where it can."
            )
        _mark_lost(self.catalog, self.folder)
        self._vectors.begin_anew(self.name)

    def after_fork(self, catalog: Catalog) -> None:
        """Connect again: a connection must not be used by two processes."""
        leak(self._vectors.client)
        client = connect_again(self._vectors.client, self._vectors.url)
        self._vectors = ServerCollection(client=client, file=self._file, url=self._vectors.url)
        self._closes = True

    def close(self) -> None:
        """Close the connection, unless the caller made it."""
        if self._closes:
            disconnect(self._vectors.client)
        super().close()


class MemoryStorage(StorageLocation):
    """Memory: everything is gone when it is closed, and nothing else sees it."""

    _is_forked = False

    def __init__(self) -> None:
        self.place, self.name = "memory", f"memory-{uuid.uuid4().hex}"
        # Pictures are passed on as files.
        self._temporary = TemporaryFolder()
        self.folder = self._temporary.path
        self.assets = self.folder / "assets"
        self.catalog, self.lexical = IN_MEMORY, None
        self._end = weakref.finalize(self, _end_memory, self.name, self._temporary, os.getpid())

    @property
    def vectors(self) -> str:
        """In memory, too."""
        return self.place

    def open_store(self) -> VectorStore:
        """Open the vectors in Chroma's memory."""
        if self._is_forked:
            chroma = cast("ClientAPI", ChromaProcess(None))
            return VectorStore(chroma, self.name, self.place, closes=True)
        # All clients in memory are one to Chroma: the name keeps collections apart.
        return VectorStore(chromadb.EphemeralClient(), self.name, self.place, closes=False)

    def writing(self, wait: float) -> nullcontext[None]:
        """No other process can write."""
        return nullcontext()

    def discard_store(self) -> None:
        """Delete the vectors."""
        if not self._is_forked:  # there they end with their process
            _delete_from_memory(self.name)

    def after_fork(self, catalog: Catalog) -> None:
        """Begin with an empty Chroma, which has to be in another process."""
        self._is_forked = True
        catalog.mark_vectors_lost()

    def close(self) -> None:
        """Delete everything."""
        self._end()


def _end_memory(name: str, folder: TemporaryFolder, process: int) -> None:
    if os.getpid() != process:  # a forked child ends; the parent goes on using it
        return
    _delete_from_memory(name)
    folder.close()


def _delete_from_memory(name: str) -> None:
    with suppress(ChromaError, ValueError):  # it was never made
        chromadb.EphemeralClient().delete_collection(name)


def _mark_lost(catalog: Path, folder: Path, *, unless_empty: bool = False) -> None:
    with closing(Catalog(catalog, folder)) as opened:
        if not unless_empty or opened.counts():
            opened.mark_vectors_lost()
