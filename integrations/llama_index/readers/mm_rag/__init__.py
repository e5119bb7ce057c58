"""mm_rag for LlamaIndex: files become nodes."""

from __future__ import annotations

from llama_index.readers.mm_rag.base import MultimodalReader

__all__ = ["MultimodalReader"]
