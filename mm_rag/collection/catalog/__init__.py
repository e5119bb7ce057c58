"""The catalog: which files are indexed, their Segments, and the vectors. SQLite; the truth.

`rows` says what a row holds, `changes` how a commit changes them, `state` what is unfinished.
"""

from __future__ import annotations

from mm_rag.collection.catalog.catalog import Catalog
from mm_rag.collection.catalog.changes import Commit
from mm_rag.collection.catalog.database import IN_MEMORY
from mm_rag.collection.catalog.own_files import OwnFiles, holds_segment
from mm_rag.collection.catalog.rows import (
    CatalogFile,
    CheckedRow,
    Entry,
    Found,
    Kind,
    SourceStats,
    given_of,
    stacked,
)
from mm_rag.collection.catalog.state import State

__all__ = [
    "IN_MEMORY",
    "Catalog",
    "CatalogFile",
    "CheckedRow",
    "Commit",
    "Entry",
    "Found",
    "Kind",
    "OwnFiles",
    "SourceStats",
    "State",
    "given_of",
    "holds_segment",
    "stacked",
]
