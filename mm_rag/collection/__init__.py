"""A collection: what was found in files, kept in Chroma and beside it, and searched together.

The ledger (SQLite) is the truth: Segments, their vectors, and which files they are of. Chroma and
the lexical index (tantivy) are made from it. Data flows one way. In: `sync` (`plan`, `pipeline`) or
`add` -> `encoding` -> `writer` -> ledger, store, lexical. Out: `search` -> candidates from both ->
fusion -> reranker -> Hits.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mm_rag.collection.collection import Collection
    from mm_rag.collection.pictures import PictureMode
    from mm_rag.collection.report import FileReport, SyncReport, VerifyReport
    from mm_rag.collection.search import Explanation

__all__ = ["Collection", "Explanation", "FileReport", "PictureMode", "SyncReport", "VerifyReport"]

# Whether there is a collection can be found out without torch.
_HOMES = {
    "Collection": "mm_rag.collection.collection",
    "Explanation": "mm_rag.collection.search",
    "FileReport": "mm_rag.collection.report",
    "PictureMode": "mm_rag.collection.pictures",
    "SyncReport": "mm_rag.collection.report",
    "VerifyReport": "mm_rag.collection.report",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'mm_rag.collection' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
