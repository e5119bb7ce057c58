"""mm_rag for LlamaIndex: a multimodal reranker."""

from __future__ import annotations

from mm_rag._optional import require

# Before the imports that need it.
require("llama_index.core", extra="llama-index", feature="llama_index.postprocessor.mm_rag")

from llama_index.postprocessor.mm_rag.base import MultimodalRerank  # noqa: E402

__all__ = ["MultimodalRerank"]
