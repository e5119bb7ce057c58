"""mm_rag for LlamaIndex: a collection as a retriever."""

from __future__ import annotations

from mm_rag._optional import require

# First: what follows imports it.
require("llama_index.core", extra="llama-index", feature="llama_index.retrievers.mm_rag")

from llama_index.readers.mm_rag.query import MultimodalQuery  # noqa: E402
from llama_index.retrievers.mm_rag.base import MultimodalRetriever  # noqa: E402

MultimodalQuery.__module__ = __name__  # where users find it: rerankers, too, understand it

__all__ = ["MultimodalQuery", "MultimodalRetriever"]
