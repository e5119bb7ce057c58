"""Changes: the steps of a catalog's transactions. Each is given the connection of one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, fields

from mm_rag.collection.catalog.checksums import HASH
from mm_rag.collection.catalog.entry import COLUMNS
from mm_rag.collection.catalog.files import CatalogFile


def put_files(connection: sqlite3.Connection, files: Iterable[CatalogFile]) -> None:
    """Add files, or replace what is known of them."""
    names = [field.name for field in fields(CatalogFile)]
    connection.executemany(
        f"INSERT OR REPLACE INTO files ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
        (astuple(file) for file in files),
    )


def contents(connection: sqlite3.Connection, paths: Sequence[str]) -> set[str]:
    """What files held, as far as that is known."""
    found: set[str] = set()
    for path in paths:
        rows = connection.execute("SELECT sha256 FROM files WHERE path = ?", (path,))
        found |= {row["sha256"] for row in rows}
    return found


def replace_content(connection: sqlite3.Connection, sha256: str) -> list[str]:
    """The drafts of a content become what it gives."""
    rows = connection.execute("SELECT id FROM drafts WHERE sha256 = ?", (sha256,))
    new = {row["id"] for row in rows}
    rows = connection.execute("SELECT id FROM segments WHERE sha256 = ?", (sha256,))
    gone = [row["id"] for row in rows if row["id"] not in new]
    drop_rows(connection, gone)
    promote(connection, new)
    return gone


def promote(connection: sqlite3.Connection, ids: Iterable[str]) -> None:
    """Drafts become what can be found; the lexical index has yet to follow."""
    for id_ in ids:
        connection.execute(
            f"INSERT OR REPLACE INTO segments ({COLUMNS}) SELECT {COLUMNS} FROM drafts "
            "WHERE id = ?",
            (id_,),
        )
        connection.execute("DELETE FROM drafts WHERE id = ?", (id_,))


def drop_if_orphaned(connection: sqlite3.Connection, sha256: str) -> list[str]:
    """Drop what a content gave when no file that is in has it."""
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
    """Take Segments out; Chroma and the lexical index have yet to follow."""
    connection.executemany("DELETE FROM segments WHERE id = ?", ((id_,) for id_ in ids))
    mark_out_of_sync(connection, ids)


def mark_out_of_sync(connection: sqlite3.Connection, ids: Iterable[str]) -> None:
    """Note ids of which Chroma and the lexical index may hold something else."""
    connection.executemany("INSERT OR IGNORE INTO unsettled VALUES (?)", ((id_,) for id_ in ids))


def forget_format_1(connection: sqlite3.Connection) -> None:
    """Take what an older mm_rag left out; see `Catalog.forget_format_1`."""
    tables = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'stale'")
    if not tables.fetchone():  # it was done, and then somebody was killed
        return
    for row in connection.execute("SELECT sha256 FROM stale").fetchall():
        drop_if_orphaned(connection, row["sha256"])
    connection.execute(
        "UPDATE files SET state = 'unread' WHERE state = 'writing' OR state IN "
        "('indexed', 'incomplete') AND sha256 IN (SELECT sha256 FROM segments_of_format_1 "
        "WHERE id NOT IN (SELECT id FROM segments))"
    )
    connection.execute("DROP TABLE segments_of_format_1")
    connection.execute("DROP TABLE stale")


def switch(connection: sqlite3.Connection, facts: Mapping[str, str]) -> None:
    """Take the vectors of another model, and the facts about it."""
    connection.execute(
        "UPDATE segments SET vector = r.vector, "
        f"checksums = CAST(substr(segments.checksums, 1, {HASH}) || r.checksums AS BLOB) "
        "FROM reindexed AS r WHERE r.id = segments.id"
    )
    connection.execute("DELETE FROM reindexed")
    connection.execute("DELETE FROM drafts")
    connection.execute("INSERT OR IGNORE INTO unsettled SELECT id FROM segments")
    connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", facts.items())


def set_generation(connection: sqlite3.Connection, generation: int) -> None:
    """Write down which state can be found (`Catalog.generation`)."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('generation', ?)", (str(generation),))
