"""Ledger: which source files are in, and which Segments they gave. SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from mm_rag.errors import CollectionError

LedgerState = Literal[
    "writing", "indexed", "incomplete", "duplicate", "unreadable", "refused", "unsupported"
]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, sha256 TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    beside TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS stale (sha256 TEXT PRIMARY KEY);
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
        beside: The subtitle files that lie beside it, as they were, and who listened to it.
        state: `writing` while its Segments are being written: after a crash, a file in this state
            is done again. `incomplete`: it is in, without what a missing reader would have read.
        reason: What there is to say about it; empty when all is well.
    """

    path: str
    sha256: str
    size: int
    mtime_ns: int
    beside: str
    state: LedgerState
    reason: str = ""

    @property
    def is_in(self) -> bool:
        """Whether its Segments can be found."""
        return self.state in ("indexed", "incomplete")


class Ledger:
    """The ledger of one collection. Every method is one transaction."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Callers in other threads (a framework's executor) take turns: SQLite is built serialised.
        try:
            self._connection = sqlite3.connect(path, check_same_thread=False, timeout=30.0)
        except sqlite3.Error as error:
            raise CollectionError(f"The ledger {path} cannot be opened: {error}.") from error
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

    def writes(self) -> int:
        """How often somebody has begun or ended to write."""
        return int(self.meta("writes") or 0)

    def count_write(self) -> int:
        """Count one more; return how many there are now."""
        count = self.writes() + 1
        self.set_meta("writes", str(count))
        return count

    def files(self) -> dict[str, LedgerFile]:
        """All files by path."""
        rows = self._connection.execute("SELECT * FROM files ORDER BY path")
        return {row["path"]: LedgerFile(**dict(row)) for row in rows}

    def file(self, path: str) -> LedgerFile | None:
        """What is known of a file."""
        row = self._connection.execute("SELECT * FROM files WHERE path = ?", (path,)).fetchone()
        return LedgerFile(**dict(row)) if row else None

    def files_with(self, sha256: str) -> list[LedgerFile]:
        """All files with this content."""
        rows = self._connection.execute(
            "SELECT * FROM files WHERE sha256 = ? ORDER BY path", (sha256,)
        )
        return [LedgerFile(**dict(row)) for row in rows]

    def put_stale(self, sha256: str) -> None:
        """Note content that is to be deleted once nothing of it is needed any more."""
        with self._transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO stale VALUES (?)", (sha256,))

    def stale(self) -> list[str]:
        """The content noted so."""
        return [row["sha256"] for row in self._connection.execute("SELECT sha256 FROM stale")]

    def drop_stale(self, sha256: str) -> None:
        """It is deleted, or needed again."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM stale WHERE sha256 = ?", (sha256,))

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
                "INSERT OR REPLACE INTO files VALUES "
                "(:path, :sha256, :size, :mtime_ns, :beside, :state, :reason)",
                asdict(file),
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

    def drop_segment_ids(self, ids: Iterable[str]) -> None:
        """Forget single Segments."""
        with self._transaction() as connection:
            connection.executemany("DELETE FROM segments WHERE id = ?", ((id_,) for id_ in ids))

    def segment_ids(self) -> set[str]:
        """The ids of all Segments."""
        return {row["id"] for row in self._connection.execute("SELECT id FROM segments")}

    def segment_ids_of(self, sha256: str) -> set[str]:
        """The ids of the Segments of a file's content."""
        rows = self._connection.execute("SELECT id FROM segments WHERE sha256 = ?", (sha256,))
        return {row["id"] for row in rows}

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
