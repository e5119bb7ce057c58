"""mm_rag for LlamaIndex: files become nodes, and nodes what a chat model is shown."""

from __future__ import annotations

from llama_index.readers.mm_rag.base import MultimodalReader
from llama_index.readers.mm_rag.blocks import nodes_to_blocks

__all__ = ["MultimodalReader", "nodes_to_blocks"]
