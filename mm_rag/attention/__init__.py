"""Tree attention: sequences that begin alike share one copy of their common prefix."""

from __future__ import annotations

from mm_rag.attention.interface import max_path_length, supports_tree_attention, tree_attention
from mm_rag.attention.kernels import PrefixTree, TreeAttentionUnsupported

__all__ = [
    "PrefixTree",
    "TreeAttentionUnsupported",
    "max_path_length",
    "supports_tree_attention",
    "tree_attention",
]
