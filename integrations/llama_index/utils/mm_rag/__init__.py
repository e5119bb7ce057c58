"""What the mm_rag packages for LlamaIndex share: conversion of nodes and queries.

`llama_index.utils` is where integrations of LlamaIndex keep code that several of them need. Like
all of them this is a leaf of a namespace that many distributions share. Users import
`nodes_to_blocks` from `llama_index.readers.mm_rag` and `MultimodalQuery` from
`llama_index.retrievers.mm_rag`.
"""

from __future__ import annotations

from mm_rag._optional import require

require("llama_index.core", extra="llama-index", feature="llama_index.utils.mm_rag")
