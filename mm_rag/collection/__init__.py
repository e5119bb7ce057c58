"""A collection: Segments of all modalities, searched together.

Data flows one way. In: `sync` (or `add`) -> encoder -> `store` (vectors, Chroma) and `lexical`
(words, tantivy), with `ledger` (SQLite) saying which files are in. Out: `search` -> candidates from
both -> `fusion` -> reranker -> Hits.
"""

from __future__ import annotations

from mm_rag.collection.collection import Collection
from mm_rag.collection.report import FileReport, SyncReport, VerifyReport

__all__ = ["Collection", "FileReport", "SyncReport", "VerifyReport"]
