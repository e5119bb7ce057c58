"""mm_rag for LlamaIndex: what an agent may do with a collection."""

from __future__ import annotations

from llama_index.tools.mm_rag.base import MultimodalTool, MultimodalToolSpec

__all__ = ["MultimodalTool", "MultimodalToolSpec"]
