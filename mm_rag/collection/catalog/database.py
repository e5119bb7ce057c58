"""Database: the SQLite file of a catalog, its tables, and its one connection.

The file and the tables have the names that format 2 gave them: `ledger.sqlite3`, `drafts` (staged
Segments) and `unsettled` (ids that are out of sync).
"""

from __future__ import annotations

import os
import sqlite3
import threading
import unicodedata
import weakref
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from mm_rag._forking import ForkableLock
from mm_rag.errors import CollectionError

FORMAT_VERSION = 4
"""The format of a collection's folder: another one if an older mm_rag could not read it."""


_NEW_COLUMNS = {
    "ctime_ns": "INTEGER NOT NULL DEFAULT 0",
    "inode": "INTEGER NOT NULL DEFAULT 0",
    "tags": "TEXT NOT NULL DEFAULT ''",
    "indexed_at": "REAL NOT NULL DEFAULT 0",
}
"""Columns of `files` that format 2 did not have."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, sha256 TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    beside TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
    ctime_ns INTEGER NOT NULL DEFAULT 0, inode INTEGER NOT NULL DEFAULT 0,
    tags TEXT NOT NULL DEFAULT '', indexed_at REAL NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS files_sha256 ON files (sha256);

-- What can be found. The vector comes last: reading the other columns does not read its pages.
CREATE TABLE IF NOT EXISTS segments (
    id TEXT PRIMARY KEY, sha256 TEXT NOT NULL, source TEXT NOT NULL, modality TEXT NOT NULL,
    page INTEGER, start REAL, given TEXT NOT NULL, record TEXT NOT NULL, checksums BLOB,
    vector BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS segments_sha256 ON segments (sha256);
CREATE INDEX IF NOT EXISTS segments_source ON segments (source);
DROP INDEX IF EXISTS segments_modality;
CREATE INDEX IF NOT EXISTS segments_kind ON segments (modality, page IS NOT NULL, id);

-- Staged Segments: they become `segments`, all of a file at once.
CREATE TABLE IF NOT EXISTS drafts (
    id TEXT PRIMARY KEY, sha256 TEXT NOT NULL, source TEXT NOT NULL, modality TEXT NOT NULL,
    page INTEGER, start REAL, given TEXT NOT NULL, record TEXT NOT NULL, checksums BLOB,
    vector BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS drafts_sha256 ON drafts (sha256);

-- Ids for which Chroma and the lexical index may be out of sync with `segments`.
CREATE TABLE IF NOT EXISTS unsettled (id TEXT PRIMARY KEY);

-- The ids that each commit of the present write session changed: a process that opened Chroma
-- before it does not see them there.
CREATE TABLE IF NOT EXISTS changed (
    generation INTEGER NOT NULL, id TEXT NOT NULL, PRIMARY KEY (generation, id)
) WITHOUT ROWID;

-- Vectors of another model, until all are there, with their part of the checksums.
CREATE TABLE IF NOT EXISTS reindexed (id TEXT PRIMARY KEY, checksums BLOB, vector BLOB NOT NULL);

-- What pictures look like, by Segment. An id stands for one picture, so a row is right for good;
-- rows of Segments that are gone are ignored, and deleted with the drafts.
CREATE TABLE IF NOT EXISTS pictures (id TEXT PRIMARY KEY, features BLOB NOT NULL);
"""

_CHECKED = ("segments", "drafts", "reindexed")
"""The tables whose rows have checksums; before format 4 they had none."""

_TABLES = ("meta", "files", *_CHECKED, "unsettled", "pictures")

IN_MEMORY = Path(":memory:")

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_UNDECODED = "Could not decode"  # how Python's sqlite3 begins an error that has no code
_AT_ONCE = 900  # parameters of one query; SQLite's smallest limit is 999


class Database:
    """A SQLite file that one thread at a time uses.

    Args:
        path: The file; `IN_MEMORY` for none.

    Raises:
        CollectionError: It cannot be opened, is damaged, or has a format that is too old. Every
            method raises it where the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = ForkableLock()
        _living.add(self)
        with self._errors():
            self._open()

    def _open(self) -> None:
        # The lock keeps threads from seeing half of another's transaction.
        self._connection = sqlite3.connect(self._path, check_same_thread=False, timeout=30.0)
        self._connection.row_factory = sqlite3.Row
        self._connection.text_factory = _as_text
        self._connection.create_function("nfc", 1, _nfc, deterministic=True)
        # Readers go on while another process writes.
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._check_format()
        self._add_checksums()
        self._connection.executescript(_SCHEMA)
        self._add_columns()

    def _check_format(self) -> None:
        """Format 1 had another table of the name `segments`."""
        columns = self._connection.execute("PRAGMA table_info(segments)").fetchall()
        if columns and "record" not in {column["name"] for column in columns}:
            raise CollectionError(
                f"{self._path} has format 1, which was never published and is not read any more. "
                "Index the files again into a new folder."
            )

    def _add_columns(self) -> None:
        """Give `files` the columns that older formats did not have."""
        if not self._missing_columns():
            return
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")  # another process may be doing the same
            for name in self._missing_columns():
                self._connection.execute(
                    f"ALTER TABLE files ADD COLUMN {name} {_NEW_COLUMNS[name]}"
                )

    def _missing_columns(self) -> list[str]:
        columns = self._connection.execute("PRAGMA table_info(files)").fetchall()
        present = {column["name"] for column in columns}
        return [name for name in _NEW_COLUMNS if name not in present]

    def _add_checksums(self) -> None:
        """Add the column that older formats did not have; `Catalog.upgrade` fills it."""
        for table in _CHECKED:
            columns = self._connection.execute(f"PRAGMA table_info({table})").fetchall()
            if columns and "checksums" not in {column["name"] for column in columns}:
                self._connection.execute(f"ALTER TABLE {table} ADD COLUMN checksums BLOB")

    def before_fork(self) -> None:
        """Close the file: a child must not inherit SQLite's connections and locks."""
        self._lock.__enter__()
        if self._path != IN_MEMORY and not self._connection.in_transaction:
            self._connection.close()
            self._is_closed = True

    def after_fork_in_parent(self) -> None:
        """Continue with another connection."""
        self._lock.__exit__()

    _is_closed = False  # for a fork; the next query opens it again

    @property
    def _open_connection(self) -> sqlite3.Connection:
        if self._is_closed and self._is_wanted:
            self._open()
            self._is_closed = False
        return self._connection

    _is_wanted = True

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._is_wanted = False
            self._connection.close()

    @contextmanager
    def transaction(self) -> Generator[sqlite3.Connection]:
        """Commit everything in the `with` block, or nothing where it raises."""
        with self._lock, self._errors(), self._open_connection as connection:
            yield connection

    def rows(self, query: str, values: Iterable[object] = ()) -> list[sqlite3.Row]:
        """The rows of a query."""
        with self._lock, self._errors():
            return self._open_connection.execute(query, tuple(values)).fetchall()

    def rows_of(
        self, query: str, values: Iterable[str], *, first: tuple[object, ...] = ()
    ) -> Iterator[sqlite3.Row]:
        """The rows of a query for any number of values.

        Args:
            query: With `{}` in the place of the values: `... WHERE id IN ({})`.
            values: The values.
            first: Values of the parameters before them.
        """
        left = list(values)
        for start in range(0, len(left), _AT_ONCE):
            some = left[start : start + _AT_ONCE]
            yield from self.rows(query.format(",".join("?" * len(some))), (*first, *some))

    def is_damaged(self) -> bool:
        """Whether SQLite's integrity check fails, for the file or for an index of it."""
        try:
            return self.rows("PRAGMA integrity_check(1)")[0][0] != "ok"
        except CollectionError:
            return True

    def salvage(self) -> None:
        """Copy the rows that can be read to a new file in the place of this one.

        The damaged file is kept beside it as `*.damaged`.
        """
        new = self._path.with_name(f"{self._path.name}.new")
        new.unlink(missing_ok=True)
        with self._lock, self._errors(), closing(sqlite3.connect(new)) as saved:
            saved.executescript(_SCHEMA)
            for table in _TABLES:
                for row in _readable_rows(self._connection, table, self._path.stat().st_size):
                    marks = ", ".join("?" * len(row))
                    names = ", ".join(row.keys())
                    saved.execute(
                        f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", tuple(row)
                    )
            saved.commit()
            self._connection.close()
            saved.close()
            self._path.replace(self._path.with_name(f"{self._path.name}.damaged"))
            for journal in ("-wal", "-shm"):
                self._path.with_name(f"{self._path.name}{journal}").unlink(missing_ok=True)
            new.replace(self._path)
            self._open()

    @contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:
            # A damaged text cannot be decoded, not even where SQLite quotes it in its message.
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in _DAMAGED or _UNDECODED in str(error) or isinstance(error, ValueError):
                raise CollectionError(
                    f"The catalog {self._path} is damaged: {error}. repair(), or mm-rag verify "
                    "--repair, saves what can be read of it. If it cannot even be opened, put it "
                    "back from a copy, or delete it: repair() then takes in what Chroma has, and "
                    "the next sync reads all files again, which costs time and nothing else."
                ) from error
            raise CollectionError(
                f"The catalog {self._path} cannot be used: {error}. Is the disk full, or the "
                "folder not writable? What was written before is intact."
            ) from error


def _nfc(name: str) -> str:
    """A name in Unicode's composed form: some systems write `é` as two characters."""
    return unicodedata.normalize("NFC", name)


_living: weakref.WeakSet[Database] = weakref.WeakSet()


def _before_fork() -> None:
    _forking.databases = list(_living)
    for database in _forking.databases:
        database.before_fork()


def _after_fork_in_parent() -> None:
    for database in _forking.databases:
        database.after_fork_in_parent()
    _forking.databases = []


class _Forking(threading.local):
    """The databases that this thread has locked to fork."""

    def __init__(self) -> None:
        self.databases: list[Database] = []


_forking = _Forking()
if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    # In the child, `ForkableLock` renews the locks.
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent)


def _as_text(data: bytes) -> str:
    """Decode a text that may be damaged, which its checksum then shows."""
    return data.decode("utf-8", "replace")


def _readable_rows(connection: sqlite3.Connection, table: str, size: int) -> Iterator[sqlite3.Row]:
    """The rows of a damaged table that can be read.

    Args:
        connection: Of the database.
        table: The table's name.
        size: Of the file, in bytes.
    """
    try:
        last = connection.execute(f"SELECT max(rowid) FROM {table}").fetchone()[0] or 0
    except sqlite3.Error:
        last = size  # more than there can be rows
    ranges = [(start, min(start + 255, last)) for start in range(last - last % 256, -1, -256)]
    while ranges:
        first, until = ranges.pop()
        try:
            yield from connection.execute(
                f"SELECT * FROM {table} WHERE rowid BETWEEN ? AND ?", (first, until)
            ).fetchall()
        except sqlite3.Error:
            if until > first:
                middle = (first + until) // 2
                ranges += [(middle + 1, until), (first, middle)]
