"""Attention for sequences that begin alike: what they share is computed once.

They lie in one row, `[prefix][branch 1][branch 2]...`: a tree whose trunk all branches see, and
whose branches do not see each other. No padding, no mask, no copy of the prefix.
"""

from __future__ import annotations

from mm_rag.attention.attending import attending
from mm_rag.attention.config import longest_path
from mm_rag.attention.support import takes_trees
from mm_rag.attention.tree import PrefixTree, TreeRefused

__all__ = ["PrefixTree", "TreeRefused", "attending", "longest_path", "takes_trees"]
