"""mm_rag for LangChain: embeddings, retriever, reranker, loader and agent tools for media.

Each class converts what LangChain gives it, calls mm_rag, and converts what comes back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mm_rag._lazy import lazy_exports
from mm_rag._optional import require

if TYPE_CHECKING:
    from langchain_mm_rag.blocks import documents_to_blocks
    from langchain_mm_rag.embeddings import MultimodalEmbeddings
    from langchain_mm_rag.loader import MultimodalLoader
    from langchain_mm_rag.parser import MultimodalParser
    from langchain_mm_rag.reranker import MultimodalReranker
    from langchain_mm_rag.retriever import MultimodalRetriever
    from langchain_mm_rag.shown import ShownStore
    from langchain_mm_rag.tools import MultimodalSearchTool, MultimodalTool, multimodal_tools

__all__ = [
    "MultimodalEmbeddings",
    "MultimodalLoader",
    "MultimodalParser",
    "MultimodalReranker",
    "MultimodalRetriever",
    "MultimodalSearchTool",
    "MultimodalTool",
    "ShownStore",
    "documents_to_blocks",
    "multimodal_tools",
]

# A loader needs neither torch nor chromadb: each class brings what it needs when it is asked for.
_HOMES = {
    "MultimodalEmbeddings": "langchain_mm_rag.embeddings",
    "MultimodalLoader": "langchain_mm_rag.loader",
    "MultimodalParser": "langchain_mm_rag.parser",
    "MultimodalReranker": "langchain_mm_rag.reranker",
    "MultimodalRetriever": "langchain_mm_rag.retriever",
    "MultimodalSearchTool": "langchain_mm_rag.tools",
    "MultimodalTool": "langchain_mm_rag.tools",
    "ShownStore": "langchain_mm_rag.shown",
    "documents_to_blocks": "langchain_mm_rag.blocks",
    "multimodal_tools": "langchain_mm_rag.tools",
}

require("langchain_core", extra="langchain", feature="langchain_mm_rag")

__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
