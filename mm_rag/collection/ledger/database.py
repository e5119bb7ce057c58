"""Database: the SQLite file under a ledger. One connection, one user at a time."""

from __future__ import annotations

import sqlite3
import threading
import unicodedata
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mm_rag.collection.ledger.schema import NEW_COLUMNS, SCHEMA
from mm_rag.errors import CollectionError

IN_MEMORY = Path(":memory:")

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

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
        self._lock = threading.RLock()
        with self._errors():
            # Threads take turns by the lock, so that none sees half of another's transaction.
            self._connection = sqlite3.connect(path, check_same_thread=False, timeout=30.0)
            self._connection.row_factory = sqlite3.Row
            self._connection.create_function("nfc", 1, _nfc, deterministic=True)
            # Readers go on while another process writes.
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._set_aside_format_1()
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

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Generator[sqlite3.Connection]:
        """All of it, or nothing."""
        with self._lock, self._errors(), self._connection:
            yield self._connection

    def rows(self, query: str, values: Iterable[object] = ()) -> list[sqlite3.Row]:
        """The rows that a query gives."""
        with self._lock, self._errors():
            return self._connection.execute(query, tuple(values)).fetchall()

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
        """Whether SQLite finds its own file in disorder."""
        try:
            return self.rows("PRAGMA quick_check(1)")[0][0] != "ok"
        except CollectionError:
            return True

    @contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
                raise CollectionError(
                    f"The ledger {self._path} is damaged: {error}. Put it back from a copy, or "
                    "delete it: repair() then takes in what Chroma has, and the next sync reads "
                    "all files again, which costs time and nothing else."
                ) from error
            raise CollectionError(
                f"The ledger {self._path} cannot be used: {error}. Is the disk full, or the folder "
                "not writable? What was written before is intact."
            ) from error


def _nfc(name: str) -> str:
    """A name in one spelling: some systems write `é` as two characters."""
    return unicodedata.normalize("NFC", name)
