"""Collection: Segments of many files with their vectors, stored and searched.

The catalog (SQLite) is the truth: Segments, their vectors, and the files that they come from.
Chroma and the lexical index (tantivy) are made from it; `storage` says where each part is. Data
flows one way. In: `sync` (`diff`, `pipeline`) or `add` -> `encoding` -> `writer` -> catalog, store,
lexical. Out: `search` -> candidates of both -> evidence -> reranker -> Hits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mm_rag._lazy import lazy_exports

if TYPE_CHECKING:
    from mm_rag.collection.assets import PictureMode
    from mm_rag.collection.collection import Collection
    from mm_rag.collection.contents import CollectionInfo, SourceRecord
    from mm_rag.collection.report import FileReport, SyncReport, VerifyReport
    from mm_rag.collection.search import Explanation

__all__ = [
    "Collection",
    "CollectionInfo",
    "Explanation",
    "FileReport",
    "PictureMode",
    "SourceRecord",
    "SyncReport",
    "VerifyReport",
]

# Whether there is a collection can be found out without torch.
_HOMES = {
    "Collection": "mm_rag.collection.collection",
    "CollectionInfo": "mm_rag.collection.contents",
    "Explanation": "mm_rag.collection.search",
    "FileReport": "mm_rag.collection.report",
    "PictureMode": "mm_rag.collection.assets",
    "SourceRecord": "mm_rag.collection.contents",
    "SyncReport": "mm_rag.collection.report",
    "VerifyReport": "mm_rag.collection.report",
}

__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
