"""Database: the SQLite file under a catalog. One connection, one user at a time."""

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
from mm_rag.collection.catalog.schema import CHECKED, NEW_COLUMNS, SCHEMA, TABLES
from mm_rag.errors import CollectionError

IN_MEMORY = Path(":memory:")

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

_UNDECODED = "Could not decode"  # how Python's sqlite3 begins, whose error has no code

_AT_ONCE = 900
"""Parameters of one query; SQLite's smallest limit is 999."""


class Database:
    """Rows in, rows out.

    Args:
        path: The file; `IN_MEMORY` for none.

    Raises:
        CollectionError: It cannot be opened or is damaged; from every method: it cannot be read,
            or, as the disk is full, not be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = ForkableLock()
        _living.add(self)
        with self._errors():
            self._open()

    def _open(self) -> None:
        # Threads take turns by the lock, so that none sees half of another's transaction.
        self._connection = sqlite3.connect(self._path, check_same_thread=False, timeout=30.0)
        self._connection.row_factory = sqlite3.Row
        self._connection.text_factory = _as_text
        self._connection.create_function("nfc", 1, _nfc, deterministic=True)
        # Readers go on while another process writes.
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._set_aside_format_1()
        self._add_checksums()
        self._connection.executescript(SCHEMA)
        self._add_columns()

    def _set_aside_format_1(self) -> None:
        """Format 1 had another table of this name: it is migrated from where it goes."""
        columns = self._connection.execute("PRAGMA table_info(segments)").fetchall()
        if columns and "record" not in {column["name"] for column in columns}:
            with self._connection:
                self._connection.execute("DROP INDEX IF EXISTS segments_sha256")
                self._connection.execute("ALTER TABLE segments RENAME TO segments_of_format_1")

    def _add_columns(self) -> None:
        """Give `files` the columns that older formats did not have."""
        if not self._missing_columns():
            return
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")  # another process may be doing the same
            for name in self._missing_columns():
                self._connection.execute(f"ALTER TABLE files ADD COLUMN {name} {NEW_COLUMNS[name]}")

    def _missing_columns(self) -> list[str]:
        columns = self._connection.execute("PRAGMA table_info(files)").fetchall()
        present = {column["name"] for column in columns}
        return [name for name in NEW_COLUMNS if name not in present]

    def _add_checksums(self) -> None:
        """Before format 3 there were none: they stay unknown until the migration."""
        for table in CHECKED:
            columns = self._connection.execute(f"PRAGMA table_info({table})").fetchall()
            if columns and "checksums" not in {column["name"] for column in columns}:
                self._connection.execute(f"ALTER TABLE {table} ADD COLUMN checksums BLOB")

    def before_fork(self) -> None:
        """Let go of the file: SQLite's connections and locks must not be carried into a child."""
        self._lock.__enter__()
        if self._path != IN_MEMORY and not self._connection.in_transaction:
            self._connection.close()
            self._is_closed = True

    def after_fork_in_parent(self) -> None:
        """Go on, with another connection."""
        self._lock.__exit__()

    _is_closed = False  # for a fork; the next one to need it opens it again

    @property
    def _open_connection(self) -> sqlite3.Connection:
        if self._is_closed and self._is_wanted:
            self._open()
            self._is_closed = False
        return self._connection

    _is_wanted = True

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._is_wanted = False
            self._connection.close()

    @contextmanager
    def transaction(self) -> Generator[sqlite3.Connection]:
        """All of it, or nothing."""
        with self._lock, self._errors(), self._open_connection as connection:
            yield connection

    def rows(self, query: str, values: Iterable[object] = ()) -> list[sqlite3.Row]:
        """The rows that a query gives."""
        with self._lock, self._errors():
            return self._open_connection.execute(query, tuple(values)).fetchall()

    def rows_of(
        self, query: str, values: Iterable[str], *, first: tuple[object, ...] = ()
    ) -> Iterator[sqlite3.Row]:
        """The rows that a query gives for many values.

        Args:
            query: With `{}` where the list of values goes: `... WHERE id IN ({})`.
            values: Any number.
            first: Those of the marks that stand before the list.
        """
        left = list(values)
        for start in range(0, len(left), _AT_ONCE):
            some = left[start : start + _AT_ONCE]
            yield from self.rows(query.format(",".join("?" * len(some))), (*first, *some))

    def is_damaged(self) -> bool:
        """Whether SQLite finds its own file in disorder, or an index that misses rows."""
        try:
            return self.rows("PRAGMA integrity_check(1)")[0][0] != "ok"
        except CollectionError:
            return True

    def salvage(self) -> None:
        """Copy the rows that can be read to a new file, which takes this one's place.

        The damaged one is kept beside it as `*.damaged`.
        """
        new = self._path.with_name(f"{self._path.name}.new")
        new.unlink(missing_ok=True)
        with self._lock, self._errors(), closing(sqlite3.connect(new)) as saved:
            saved.executescript(SCHEMA)
            for table in TABLES:
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
    """A name in one spelling: some systems write `é` as two characters."""
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
    """The databases that this thread has locked in order to fork."""

    def __init__(self) -> None:
        self.databases: list[Database] = []


_forking = _Forking()
if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    # In the child the locks are made anew (`ForkableLock`).
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent)


def _as_text(data: bytes) -> str:
    """A damaged text is still one, which its checksum tells from what was written."""
    return data.decode("utf-8", "replace")


def _readable_rows(connection: sqlite3.Connection, table: str, size: int) -> Iterator[sqlite3.Row]:
    """The rows of a damaged table that can be read.

    Args:
        connection: Of the file.
        table: Its name.
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
