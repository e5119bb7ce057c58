"""mm_rag for LlamaIndex: a reranker that sees pages and pictures."""

from __future__ import annotations

from llama_index.postprocessor.mm_rag.base import MultimodalRerank

__all__ = ["MultimodalRerank"]
