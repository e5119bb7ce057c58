"""Changes: the steps of a catalog's transactions, and the lock that commits are made under.

Every function is given the connection of a transaction that is open.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from filelock import FileLock, Timeout

from mm_rag._forking import ForkableLock
from mm_rag.collection.catalog.checksums import HASH
from mm_rag.collection.catalog.rows import COLUMNS, CatalogFile

_PATIENCE = 10.0  # seconds for another process to commit, or to search
_POLL = 0.005


@dataclass(frozen=True, kw_only=True)
class Commit:
    """What changes in one transaction.

    Attributes:
        written: Files whose Segments are staged, all of them; what else their content gave is
            dropped.
        noted: Files of which only the row changes.
        forgotten: Paths of files to delete from the catalog.
        added: Ids of staged Segments that belong to no file.
        dropped: Ids of Segments to delete, whatever their file.
    """

    written: Sequence[CatalogFile] = ()
    noted: Sequence[CatalogFile] = ()
    forgotten: Sequence[str] = ()
    added: Sequence[str] = ()
    dropped: Sequence[str] = ()


class CommitLock:
    """A re-entrant lock between threads and processes, held to commit or to keep others from it.

    A process that holds it for longer than 10 s, because it was stopped, is not waited for.

    Args:
        path: The lock file; None for a collection in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._path, self._threads, self._is_held = path, ForkableLock(), False

    @contextmanager
    def held(self) -> Generator[None]:
        """Hold it."""
        with self._threads, ExitStack() as held:
            if self._path is not None and not self._is_held:
                with suppress(Timeout, OSError):
                    held.enter_context(FileLock(self._path).acquire(_PATIENCE, _POLL))
            was, self._is_held = self._is_held, True
            try:
                yield
            finally:
                self._is_held = was


def apply_commit(connection: sqlite3.Connection, commit: Commit) -> list[str]:
    """Make all changes of a commit; return the ids of Segments that are gone."""
    rows, gone = (*commit.written, *commit.noted), list[str]()
    before = _contents(connection, [*(file.path for file in rows), *commit.forgotten])
    for file in commit.written:
        gone += _replace_content(connection, file.sha256)
    _promote(connection, commit.added)
    _put_files(connection, rows)
    connection.executemany(
        "DELETE FROM files WHERE path = ?", ((path,) for path in commit.forgotten)
    )
    for sha256 in before:
        gone += _drop_if_orphaned(connection, sha256)
    drop_rows(connection, commit.dropped)
    gone += commit.dropped
    if not gone:
        return []
    # A Segment that is staged again, under another path of its file, is not gone. Those with an
    # empty sha256 are detached: they will not be committed.
    staged = connection.execute("SELECT id FROM drafts WHERE sha256 != ''")
    kept = {row["id"] for row in staged}
    return [id_ for id_ in gone if id_ not in kept]


def _contents(connection: sqlite3.Connection, paths: Sequence[str]) -> set[str]:
    """The known contents of files."""
    found: set[str] = set()
    for path in paths:
        rows = connection.execute("SELECT sha256 FROM files WHERE path = ?", (path,))
        found |= {row["sha256"] for row in rows}
    return found


def _replace_content(connection: sqlite3.Connection, sha256: str) -> list[str]:
    """Put the staged Segments of a content in the place of the present ones; return those gone."""
    rows = connection.execute("SELECT id FROM drafts WHERE sha256 = ?", (sha256,))
    new = {row["id"] for row in rows}
    rows = connection.execute("SELECT id FROM segments WHERE sha256 = ?", (sha256,))
    gone = [row["id"] for row in rows if row["id"] not in new]
    drop_rows(connection, gone)
    _promote(connection, new)
    return gone


def _promote(connection: sqlite3.Connection, ids: Iterable[str]) -> None:
    """Make staged Segments ones that can be found."""
    for id_ in ids:
        connection.execute(
            f"INSERT OR REPLACE INTO segments ({COLUMNS}) SELECT {COLUMNS} FROM drafts "
            "WHERE id = ?",
            (id_,),
        )
        connection.execute("DELETE FROM drafts WHERE id = ?", (id_,))


def _put_files(connection: sqlite3.Connection, files: Iterable[CatalogFile]) -> None:
    """Add files, or replace their rows."""
    names = [field.name for field in fields(CatalogFile)]
    connection.executemany(
        f"INSERT OR REPLACE INTO files ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
        (astuple(file) for file in files),
    )


def _drop_if_orphaned(connection: sqlite3.Connection, sha256: str) -> list[str]:
    """Drop the Segments of a content that no indexed file has; return their ids."""
    owned = connection.execute(
        "SELECT 1 FROM files WHERE sha256 = ? AND state IN ('indexed', 'incomplete', 'unread')",
        (sha256,),
    ).fetchone()
    if owned:
        return []
    rows = connection.execute("SELECT id FROM segments WHERE sha256 = ?", (sha256,))
    gone = [row["id"] for row in rows]
    drop_rows(connection, gone)
    return gone


def drop_rows(connection: sqlite3.Connection, ids: Sequence[str]) -> None:
    """Delete Segments."""
    connection.executemany("DELETE FROM segments WHERE id = ?", ((id_,) for id_ in ids))
    mark_out_of_sync(connection, ids)


def put_features(
    connection: sqlite3.Connection, features: Iterable[tuple[str, bytes | None]]
) -> None:
    """Keep features of pictures by the ids of their Segments; None for nothing to keep."""
    connection.executemany(
        "INSERT OR REPLACE INTO pictures VALUES (?, ?)",
        ((id_, known) for id_, known in features if known is not None),
    )


def mark_out_of_sync(connection: sqlite3.Connection, ids: Iterable[str] | None = None) -> None:
    """Note ids for which Chroma and the lexical index may differ; None for all Segments."""
    if ids is None:
        connection.execute("INSERT OR IGNORE INTO unsettled SELECT id FROM segments")
        return
    connection.executemany("INSERT OR IGNORE INTO unsettled VALUES (?)", ((id_,) for id_ in ids))


def switch_vectors(connection: sqlite3.Connection, facts: Mapping[str, str]) -> None:
    """Take the vectors of another model, and the facts about it."""
    connection.execute(
        "UPDATE segments SET vector = r.vector, "
        f"checksums = CAST(substr(segments.checksums, 1, {HASH}) || r.checksums AS BLOB) "
        "FROM reindexed AS r WHERE r.id = segments.id"
    )
    connection.execute("DELETE FROM reindexed")
    connection.execute("DELETE FROM drafts")
    mark_out_of_sync(connection)
    connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", facts.items())
