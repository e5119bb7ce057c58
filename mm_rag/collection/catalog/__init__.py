"""The catalog: which files are in, what they gave, and its vectors. SQLite; the truth."""

from __future__ import annotations

from mm_rag.collection.catalog.catalog import Catalog
from mm_rag.collection.catalog.checked_row import CheckedRow
from mm_rag.collection.catalog.commit import Commit
from mm_rag.collection.catalog.database import IN_MEMORY
from mm_rag.collection.catalog.entry import Entry, Found, given_of, stacked
from mm_rag.collection.catalog.files import CatalogFile
from mm_rag.collection.catalog.own_files import OwnFiles, holds_segment
from mm_rag.collection.catalog.schema import FORMAT_VERSION
from mm_rag.collection.catalog.source_stats import SourceStats

__all__ = [
    "FORMAT_VERSION",
    "IN_MEMORY",
    "Catalog",
    "CatalogFile",
    "CheckedRow",
    "Commit",
    "Entry",
    "Found",
    "OwnFiles",
    "SourceStats",
    "given_of",
    "holds_segment",
    "stacked",
]
