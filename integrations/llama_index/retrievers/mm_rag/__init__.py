"""mm_rag for LlamaIndex: a collection as a retriever."""

from __future__ import annotations

from mm_rag._optional import require

# Before the imports that need it.
require("llama_index.core", extra="llama-index", feature="llama_index.retrievers.mm_rag")

from llama_index.retrievers.mm_rag.base import MultimodalRetriever  # noqa: E402
from llama_index.utils.mm_rag.queries import MultimodalQuery  # noqa: E402

MultimodalQuery.__module__ = __name__  # where users import it from

__all__ = ["MultimodalQuery", "MultimodalRetriever"]
