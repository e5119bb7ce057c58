"""mm_rag for LlamaIndex: files become nodes, and nodes what a chat model is shown."""

from __future__ import annotations

from mm_rag._optional import require

# First: what follows imports it.
require("llama_index.core", extra="llama-index", feature="llama_index.readers.mm_rag")

from llama_index.readers.mm_rag.base import MultimodalReader  # noqa: E402
from llama_index.readers.mm_rag.blocks import nodes_to_blocks  # noqa: E402

__all__ = ["MultimodalReader", "nodes_to_blocks"]
