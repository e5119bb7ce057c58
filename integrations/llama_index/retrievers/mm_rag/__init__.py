"""mm_rag for LlamaIndex: a collection as a retriever."""

from __future__ import annotations

from llama_index.readers.mm_rag.query import MultimodalQuery
from llama_index.retrievers.mm_rag.base import MultimodalRetriever

MultimodalQuery.__module__ = __name__  # where users find it: rerankers, too, understand it

__all__ = ["MultimodalQuery", "MultimodalRetriever"]
