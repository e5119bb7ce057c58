"""Search: candidates from vectors and words -> one list of places -> reranked -> Hits."""

from __future__ import annotations

from mm_rag.collection.search.calibration import Spaces
from mm_rag.collection.search.request import Request, SearchOptions, checked_request
from mm_rag.collection.search.reranking import query_words
from mm_rag.collection.search.searcher import Explanation, SearchEngine
from mm_rag.collection.search.stopwatch import Stopwatch

__all__ = [
    "Explanation",
    "Request",
    "SearchEngine",
    "SearchOptions",
    "Spaces",
    "Stopwatch",
    "checked_request",
    "query_words",
]
