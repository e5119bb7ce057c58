"""StorageLocation: where a collection lives, and what lies where in it."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import sqlite3
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

from mm_rag._temporary import TemporaryFolder
from mm_rag.collection.catalog import IN_MEMORY, Catalog
from mm_rag.collection.damage import KnownFiles, is_panic, is_whole, remove
from mm_rag.collection.lexical import LexicalIndex
from mm_rag.collection.lock import writer_lock
from mm_rag.collection.remote_chroma import RemoteChroma
from mm_rag.collection.store import VectorStore
from mm_rag.collection.writer import SegmentWriter
from mm_rag.errors import CollectionError, InputError

MEMORY = ":memory:"

_PATIENCE = 60.0  # seconds; nobody holds Chroma's files for as long
_OPENINGS = itertools.count(1)

# Chroma's names, which are no IP addresses; no longer than file systems allow.
_NAME = re.compile(r"(?!\d+(\.\d+){3}$)(?!.*\.\.)[a-zA-Z0-9][a-zA-Z0-9._-]{1,253}[a-zA-Z0-9]")
_CHROMA_FILE = "chroma.sqlite3"
_ASIDE = "chroma.damaged"
_OWN = ("assets", "chroma", _ASIDE, "chroma.lock", "chroma.state", "writer.lock")
"""What lies in a FolderStorage beside the folders of its collections."""


class StorageLocation(ABC):
    """Where the parts of one collection are.

    Attributes:
        place: Its folder or address, for messages.
        name: The collection's name; several may share a place.
        folder: What lies in it is the collection's own and never indexed.
        assets: The folder of page screenshots and key frames, named after their content.
        catalog: The catalog's file.
        lexical: The lexical index's folder; None for memory.
    """

    place: str
    name: str
    folder: Path
    assets: Path
    catalog: Path
    lexical: Path | None
    is_read_only = False
    """Whether nothing may be written: what is repaired is repaired in a copy."""
    has_index = False
    """Whether Chroma's index is in files here, and has to be written out (`write_out`)."""
    can_move = False
    """Whether the folder may be moved, so that what Chroma says of its files is outdated."""

    @abstractmethod
    def open_store(self) -> VectorStore:
        """Open the vectors, or make them.

        Raises:
            CollectionError: Chroma cannot.
        """

    @abstractmethod
    def writing(self, wait: float) -> AbstractContextManager[None]:
        """Be the one writer, for the length of a `with` block.

        Raises:
            CollectionLocked: Another one is, after `wait` seconds still.
        """

    def follow(  # noqa: B027 - a collection of one machine has nobody to follow
        self, catalog: Catalog, lexical: LexicalIndex, *, writing: bool = False
    ) -> None:
        """Bring catalog and lexical index up to date with what other machines wrote.

        Args:
            catalog: The collection's.
            lexical: The collection's.
            writing: Whether the caller is the one writer, and has just become it.

        Raises:
            CollectionError: What is written elsewhere cannot be read.
        """

    def writer(self, store: VectorStore, lexical: LexicalIndex, catalog: Catalog) -> SegmentWriter:
        """What writes to the parts of the collection, for the one who may."""
        return SegmentWriter(store, lexical, catalog)

    def keeps(self, path: str) -> bool:
        """Whether a file that a Segment refers to has to be on this machine."""
        return True

    def siblings(self) -> list[Path]:
        """The catalogs of other collections that share its assets."""
        return []

    def store_is_untouched(self) -> bool:
        """Whether the vectors' files are as a collection left them: known without reading them."""
        return True

    def store_is_whole(self) -> bool:
        """Whether the vectors can be opened and read; tried where a crash harms nobody."""
        return True

    def write_out(self) -> None:  # noqa: B027 - most have nothing that is not written out
        """Have what was written to the vectors read in one and the same way by every opening.

        Called where they are not open, by the one writer.

        Raises:
            CollectionError: Chroma cannot.
        """

    @abstractmethod
    def discard_store(self) -> None:
        """Throw the vectors away, which the catalog has, too, and note that they are to be made."""

    def clear_up(self) -> None:  # noqa: B027 - most have nothing to clear up
        """Delete what older formats kept, after the migration."""

    def after_fork(self, catalog: Catalog) -> None:  # noqa: B027 - most have nothing to renew
        """Make usable in a forked child what the child cannot share with its parent.

        Args:
            catalog: The collection's, as the child sees it.
        """

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        """Let go of what is not the catalog's, the store's or the index's."""


class FolderStorage(StorageLocation):
    """A folder of this machine. Several named collections share its vectors and its pictures.

    A folder that cannot be written to, such as one that is mounted read-only, is searched by way of
    a temporary folder: databases are copied there, and all else is linked to. What another machine
    writes to it later is seen when it is opened again.

    Args:
        root: The folder.
        name: The collection's name.
        create: Make what is not there.

    Raises:
        CollectionError: There is no collection and none is to be made; the folders cannot be made;
            the root is a file; the name is none.
    """

    def __init__(self, root: Path, name: str, *, create: bool) -> None:
        _check_name(name)
        self.folder = root.absolute()
        self.place, self.name = str(self.folder), name
        self.assets = self.folder / "assets"
        self.can_move = self.has_index = True
        self._lay_out(self.folder)
        self._prepare(create=create)
        if not (os.access(self.folder, os.W_OK) and os.access(self.catalog.parent, os.W_OK)):
            self.is_read_only = True
            self._mirror = TemporaryFolder()
            _mirror(self.folder, self._mirror.path, name)
            self._lay_out(self._mirror.path)

    def _lay_out(self, root: Path) -> None:
        self._root = root
        self.catalog = root / self.name / "ledger.sqlite3"
        self.lexical = root / self.name / "words"
        self.chroma = root / "chroma"
        self._lock = root / "writer.lock"
        # Chroma changes its files in place: nobody may open them while it does.
        self._files = FileLock(root / "chroma.lock")
        self._known = KnownFiles(self.chroma, root / "chroma.state")

    def close(self) -> None:
        """Delete the temporary folder of one that cannot be written to."""
        if self.is_read_only:
            self._mirror.close()

    def _prepare(self, *, create: bool) -> None:
        if not create and not self.catalog.is_file() and not _holds(self.chroma, self.name):
            is_chromas = (self.folder / _CHROMA_FILE).is_file()
            raise CollectionError(
                f"There is no collection '{self.name}' in {self.folder}. "
                + (
                    f"It is a folder of Chroma's own: move what is in it to {self.chroma}"
                    if is_chromas
                    else f"Make one: mm-rag index FOLDER --collection {self.folder}"
                )
            )
        try:
            self.catalog.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CollectionError(
                f"Cannot make a collection in {self.folder}: {error.strerror}. "
                "Choose a folder that can be written to."
            ) from error

    def open_store(self) -> VectorStore:
        """Open the vectors while nobody changes their files, and have them read."""
        with self._quiet():
            try:
                # Default settings: Chroma refuses another client with other ones in one process.
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
            self._note_if_lost()
        return store

    def _client(self) -> ClientAPI:
        if self._is_forked:
            return cast("ClientAPI", RemoteChroma(self.chroma))
        return chromadb.PersistentClient(_spelling(self.chroma, next(_OPENINGS)))

    def write_out(self) -> None:
        """Have Chroma write its index out."""
        if self._is_forked:
            return
        with self._quiet():
            store = VectorStore(self._client(), self.name, self.place, changing=self._changing)
            try:
                store.write_out()
            finally:
                store.close()
            self._known.note()

    def _note_if_lost(self) -> None:
        """Where its files are gone Chroma begins anew, and says nothing."""
        with closing(Catalog(self.catalog, self.folder)) as catalog:
            if catalog.counts():
                catalog.note_vectors_lost()

    def siblings(self) -> list[Path]:
        """Collections of other names in the folder."""
        return sorted(set(self._root.glob("*/ledger.sqlite3")) - {self.catalog})

    def store_is_untouched(self) -> bool:
        """Told by sizes, times and checksums, as a process leaves them that is not killed."""
        with self._quiet():
            return not self.chroma.exists() or self._known.are_untouched()

    def store_is_whole(self) -> bool:
        """Tried by a process of its own; an index must also be what was written."""
        with self._quiet():
            if not self.chroma.exists():
                return True
            whole = self._known.are_sound() and is_whole(self.chroma)
            if whole:
                self._known.note()  # Chroma writes to its database whenever it is opened
            return whole

    def discard_store(self) -> None:
        """Move them aside; every collection in the folder then makes its own anew.

        Other programs may keep records there that nobody else has.
        """
        # Other collections in this folder have their vectors there, too. Noted first: whoever is
        # killed in between has lost nothing.
        for catalog in (self.catalog, *self.siblings()):
            with closing(Catalog(catalog, self.folder)) as theirs:
                theirs.note_vectors_lost()
        aside = self._root / _ASIDE
        with self._quiet():
            remove(aside)
            try:
                self.chroma.rename(aside)
            except OSError:  # it was never made, or somebody has it open on Windows
                remove(self.chroma)
            self._known.forget()

    def clear_up(self) -> None:
        """Delete the lexical index of format 1, which had another schema."""
        shutil.rmtree(self.catalog.with_name("lexical"), ignore_errors=True)

    def after_fork(self, catalog: Catalog) -> None:
        """Locks belong to the process that made them, and Chroma has to be in another one."""
        self._files = FileLock(self._root / "chroma.lock")
        self._is_forked = True

    _is_forked = False

    @contextmanager
    def _changing(self) -> Generator[None]:
        with self._quiet():
            yield
            self._known.note()

    @contextmanager
    def _quiet(self) -> Generator[None]:
        """While nobody changes Chroma's files; who may not write there cannot ask for that."""
        try:
            self._files.acquire(timeout=_PATIENCE)
        except (Timeout, PermissionError, OSError):
            yield
            return
        try:
            yield
        finally:
            self._files.release()

    @contextmanager
    def writing(self, wait: float) -> Generator[None]:
        """Hold the lock of the folder."""
        with writer_lock(self._lock, timeout=wait):
            yield


class MemoryStorage(StorageLocation):
    """Nowhere: it is gone when it is closed or forgotten, and no other one sees it."""

    def __init__(self) -> None:
        self.place, self.name = "memory", f"memory-{uuid.uuid4().hex}"
        # Pictures are given to models and people as files; they go with the rest.
        self._temporary = TemporaryFolder()
        self.folder = self._temporary.path
        self.assets = self.folder / "assets"
        self.catalog, self.lexical = IN_MEMORY, None
        self._end = weakref.finalize(self, _forget, self.name, self._temporary, os.getpid())

    def open_store(self) -> VectorStore:
        """Open the vectors in Chroma's memory."""
        # All clients in memory are one client to Chroma: the name keeps collections apart.
        if self._is_forked:
            chroma = cast("ClientAPI", RemoteChroma(None))
            return VectorStore(chroma, self.name, self.place, closes=True)
        return VectorStore(chromadb.EphemeralClient(), self.name, self.place, closes=False)

    def writing(self, wait: float) -> nullcontext[None]:
        """Nobody else can."""
        return nullcontext()

    def discard_store(self) -> None:
        """Delete them."""
        if not self._is_forked:  # there they end with their process
            _delete_from_memory(self.name)

    def after_fork(self, catalog: Catalog) -> None:
        """Begin with an empty Chroma, which has to be in another process."""
        self._is_forked = True
        catalog.note_vectors_lost()

    _is_forked = False

    def close(self) -> None:
        """Delete everything."""
        self._end()


def _holds(chroma: Path, name: str) -> bool:
    """Whether another program has made a Chroma collection of this name."""
    file = chroma / _CHROMA_FILE
    if not file.is_file():
        return False
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
            named = database.execute("SELECT 1 FROM collections WHERE name = ?", (name,))
            return named.fetchone() is not None
    except sqlite3.Error:
        return False


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


def _forget(name: str, folder: TemporaryFolder, process: int) -> None:
    if os.getpid() != process:  # a forked child ends: the parent goes on using it
        return
    _delete_from_memory(name)
    folder.close()


def _delete_from_memory(name: str) -> None:
    with suppress(ChromaError, ValueError):  # it was never made
        chromadb.EphemeralClient().delete_collection(name)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name.lower() in _OWN:
        raise CollectionError(
            f"A collection in a folder cannot be called {name!r}. Choose 3 to 255 characters from "
            "a-z, A-Z, 0-9, '.', '_' and '-' that begin and end with a letter or digit, without "
            f"'..', no IP address, and none of {', '.join(_OWN)}."
        )


def _spelling(folder: Path, number: int) -> str:
    """The folder, written as nobody else in this process does.

    Chroma would share one index among all who open a path: they could not open it again when
    another process has written, as long as one of them has it open.
    """
    return f"{folder}{''.join('/.' if bit == '1' else '/' for bit in f'{number:b}')}"


def open_storage(where: str | Path | ClientAPI, name: str, *, create: bool) -> StorageLocation:
    """The home that a user names: a folder, `":memory:"`, or a server.

    Raises:
        InputError: It is none of them.
        CollectionError: It cannot be used.
    """
    # A ServerStorage is a StorageLocation, too: it cannot be imported before that is defined.
    from mm_rag.collection.server import ServerStorage

    if where == MEMORY:
        return MemoryStorage()
    if isinstance(where, str) and where.lower().startswith(("http://", "https://")):
        return ServerStorage(where, name, create=create)
    if isinstance(where, str | Path):
        return FolderStorage(Path(where), name, create=create)
    if not isinstance(where, ClientAPI):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(
            "A collection is in a folder, in ':memory:', or at a Chroma server, given as its "
            f"address or as a client of chromadb.HttpClient; got a {type(where).__name__}."
        )
    return ServerStorage(where, name, create=create)
