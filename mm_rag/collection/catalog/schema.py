"""The catalog's tables, and how those of older versions become these."""

from __future__ import annotations

FORMAT_VERSION = 4
"""Of a collection's whole folder. Raised when an older mm_rag could not read what a newer wrote."""

NEW_COLUMNS = {
    "ctime_ns": "INTEGER NOT NULL DEFAULT 0",
    "inode": "INTEGER NOT NULL DEFAULT 0",
    "tags": "TEXT NOT NULL DEFAULT ''",
    "indexed_at": "REAL NOT NULL DEFAULT 0",
}
"""Of `files`, which formats 1 and 2 did not have."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, sha256 TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    beside TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
    ctime_ns INTEGER NOT NULL DEFAULT 0, inode INTEGER NOT NULL DEFAULT 0,
    tags TEXT NOT NULL DEFAULT '', indexed_at REAL NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS files_sha256 ON files (sha256);

-- What can be found. The vector comes last: who reads the other columns does not read its pages.
CREATE TABLE IF NOT EXISTS segments (
    id TEXT PRIMARY KEY, sha256 TEXT NOT NULL, source TEXT NOT NULL, modality TEXT NOT NULL,
    page INTEGER, start REAL, given TEXT NOT NULL, record TEXT NOT NULL, checksums BLOB,
    vector BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS segments_sha256 ON segments (sha256);
CREATE INDEX IF NOT EXISTS segments_source ON segments (source);
CREATE INDEX IF NOT EXISTS segments_modality ON segments (modality, id);

-- What is being written: it becomes `segments`, all of a file at once.
CREATE TABLE IF NOT EXISTS drafts (
    id TEXT PRIMARY KEY, sha256 TEXT NOT NULL, source TEXT NOT NULL, modality TEXT NOT NULL,
    page INTEGER, start REAL, given TEXT NOT NULL, record TEXT NOT NULL, checksums BLOB,
    vector BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS drafts_sha256 ON drafts (sha256);

-- Ids of which Chroma and the lexical index may hold something else than `segments` does.
CREATE TABLE IF NOT EXISTS unsettled (id TEXT PRIMARY KEY);

-- What each commit of the writing that goes on has changed: who opened Chroma before misses that.
CREATE TABLE IF NOT EXISTS changed (
    generation INTEGER NOT NULL, id TEXT NOT NULL, PRIMARY KEY (generation, id)
) WITHOUT ROWID;

-- Vectors of another model, until all are there, with their part of the checksums.
CREATE TABLE IF NOT EXISTS reindexed (id TEXT PRIMARY KEY, checksums BLOB, vector BLOB NOT NULL);
"""

CHECKED = ("segments", "drafts", "reindexed")
"""The tables whose rows have checksums; before format 3 they had none."""

TABLES = ("meta", "files", *CHECKED, "unsettled")
