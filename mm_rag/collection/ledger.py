"""Ledger: which source files are in, and which Segments they gave. SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mm_rag.errors import CollectionError

LedgerState = Literal["writing", "indexed", "duplicate", "unreadable", "unsupported"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, sha256 TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS files_sha256 ON files (sha256);
CREATE TABLE IF NOT EXISTS segments (
    id TEXT PRIMARY KEY, sha256 TEXT NOT NULL, modality TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS segments_sha256 ON segments (sha256);
"""


@dataclass(frozen=True, kw_only=True)
class LedgerFile:
    """One source file, as it was when it was last looked at.

    Attributes:
        path: Absolute.
        sha256: Of its bytes.
        size: In bytes.
        mtime_ns: Its modification time.
        state: `writing` while its Segments are being written: after a crash, a file in this state
            is done again.
        reason: What there is to say about it; empty when all is well.
    """

    path: str
    sha256: str
    size: int
    mtime_ns: int
    state: LedgerState
    reason: str = ""


class Ledger:
    """The ledger of one collection. Every method is one transaction."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Callers in other threads (a framework's executor) take turns: SQLite is built serialised.
        self._connection = sqlite3.connect(path, check_same_thread=False, timeout=30.0)
        self._connection.row_factory = sqlite3.Row
        with self._transaction() as connection:
            connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def meta(self, key: str) -> str | None:
        """A fact about the collection, such as its encoder's fingerprint."""
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row["value"] if row else None

    def set_meta(self, key: str, value: str) -> None:
        """Write down a fact about the collection."""
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def files(self) -> dict[str, LedgerFile]:
        """All files by path."""
        rows = self._connection.execute("SELECT * FROM files ORDER BY path")
        return {row["path"]: LedgerFile(**dict(row)) for row in rows}

    def duplicates_of(self, sha256: str) -> tuple[str, ...]:
        """Files that were left out because another one has the same content."""
        rows = self._connection.execute(
            "SELECT path FROM files WHERE sha256 = ? AND state = 'duplicate' ORDER BY path",
            (sha256,),
        )
        return tuple(row["path"] for row in rows)

    def put_file(self, file: LedgerFile) -> None:
        """Add a file, or replace what is known of it."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)",
                (file.path, file.sha256, file.size, file.mtime_ns, file.state, file.reason),
            )

    def drop_file(self, path: str) -> None:
        """Forget a file."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM files WHERE path = ?", (path,))

    def put_segments(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Note Segments that are wholly written, as (id, sha256 of the file, modality)."""
        with self._transaction() as connection:
            connection.executemany("INSERT OR REPLACE INTO segments VALUES (?, ?, ?)", rows)

    def drop_segments(self, sha256: str) -> None:
        """Forget the Segments of a file's content."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM segments WHERE sha256 = ?", (sha256,))

    def segment_ids(self) -> set[str]:
        """The ids of all Segments."""
        return {row["id"] for row in self._connection.execute("SELECT id FROM segments")}

    def sources_of(self, ids: Iterable[str]) -> set[str]:
        """The sha256 of the files that gave these Segments."""
        wanted = set(ids)
        rows = self._connection.execute("SELECT id, sha256 FROM segments")
        return {row["sha256"] for row in rows if row["id"] in wanted}

    def segment_counts(self) -> dict[str, int]:
        """How many Segments there are of each modality."""
        rows = self._connection.execute(
            "SELECT modality, count(*) AS n FROM segments GROUP BY modality ORDER BY modality"
        )
        return {row["modality"]: row["n"] for row in rows}

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        try:
            with self._connection:
                yield self._connection
        except sqlite3.Error as error:
            raise CollectionError(f"The ledger {self._path} cannot be used: {error}.") from error
