"""mm_rag for LangChain: multimodal embeddings, retriever, reranker, loaders and agent tools.

Each class converts its arguments, calls mm_rag, and converts the result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mm_rag._lazy import lazy_exports
from mm_rag._optional import require

if TYPE_CHECKING:
    from langchain_mm_rag.documents import documents_to_blocks
    from langchain_mm_rag.embeddings import MultimodalEmbeddings, ShownStore
    from langchain_mm_rag.loaders import MultimodalLoader, MultimodalParser
    from langchain_mm_rag.reranker import MultimodalReranker
    from langchain_mm_rag.retriever import MultimodalRetriever
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

# Imported on first use: the loaders need neither torch nor chromadb.
_HOMES = {
    "MultimodalEmbeddings": "langchain_mm_rag.embeddings",
    "MultimodalLoader": "langchain_mm_rag.loaders",
    "MultimodalParser": "langchain_mm_rag.loaders",
    "MultimodalReranker": "langchain_mm_rag.reranker",
    "MultimodalRetriever": "langchain_mm_rag.retriever",
    "MultimodalSearchTool": "langchain_mm_rag.tools",
    "MultimodalTool": "langchain_mm_rag.tools",
    "ShownStore": "langchain_mm_rag.embeddings",
    "documents_to_blocks": "langchain_mm_rag.documents",
    "multimodal_tools": "langchain_mm_rag.tools",
}

require("langchain_core", extra="langchain", feature="langchain_mm_rag")

__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
