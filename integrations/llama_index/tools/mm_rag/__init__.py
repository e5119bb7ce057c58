"""mm_rag for LlamaIndex: tools with which an agent explores a collection."""

from __future__ import annotations

from mm_rag._optional import require

# Before the imports that need it.
require("llama_index.core", extra="llama-index", feature="llama_index.tools.mm_rag")

from llama_index.tools.mm_rag.base import MultimodalTool, MultimodalToolSpec  # noqa: E402

__all__ = ["MultimodalTool", "MultimodalToolSpec"]
