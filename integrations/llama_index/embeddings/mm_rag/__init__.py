"""mm_rag for LlamaIndex: embeddings of texts, pictures, recordings and videos."""

from __future__ import annotations

from mm_rag._optional import require

# Before the imports that need it.
require("llama_index.core", extra="llama-index", feature="llama_index.embeddings.mm_rag")

from llama_index.embeddings.mm_rag.base import MultimodalEmbedding  # noqa: E402

__all__ = ["MultimodalEmbedding"]
