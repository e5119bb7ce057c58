"""mm_rag for LlamaIndex: embeddings of texts and pictures."""

from __future__ import annotations

from llama_index.embeddings.mm_rag.base import MultimodalEmbedding

__all__ = ["MultimodalEmbedding"]
