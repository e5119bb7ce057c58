"""Search: query -> encode -> retrieve -> merge -> weigh -> rerank -> select (`Searcher`)."""

from __future__ import annotations

from mm_rag.collection.search.no_hits import nothing_found
from mm_rag.collection.search.query import cut_notice
from mm_rag.collection.search.request import SearchOptions, SearchRequest, parse_request
from mm_rag.collection.search.reranking import Rerankers
from mm_rag.collection.search.searcher import Explanation, Searcher

__all__ = [
    "Explanation",
    "Rerankers",
    "SearchOptions",
    "SearchRequest",
    "Searcher",
    "cut_notice",
    "nothing_found",
    "parse_request",
]
