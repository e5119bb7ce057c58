"""mm_rag for LlamaIndex: a reader of media files, and nodes as content for a chat model."""

from __future__ import annotations

from mm_rag._optional import require

# Before the imports that need it.
require("llama_index.core", extra="llama-index", feature="llama_index.readers.mm_rag")

from llama_index.readers.mm_rag.base import MultimodalReader  # noqa: E402
from llama_index.utils.mm_rag.nodes import nodes_to_blocks  # noqa: E402

__all__ = ["MultimodalReader", "nodes_to_blocks"]
