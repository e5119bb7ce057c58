"""Blocks: what a chat model is shown of what was found, within a budget.

A record (text and metadata) becomes words, and pictures no larger than the budget allows. A page or
picture is shown, a video is a few of its frames and what is said in it, a recording is what is said
in it: no provider takes everything, and every provider takes text and pictures. The integrations
turn these blocks into those of their framework.
"""

from __future__ import annotations

from mm_rag.prompt_content.block import Block, Picture, Words
from mm_rag.prompt_content.budget import Budget, as_budget
from mm_rag.prompt_content.fitting import blocks_of
from mm_rag.prompt_content.item import Item
from mm_rag.prompt_content.wording import CLOSING, OPENING, defused

__all__ = [
    "CLOSING",
    "OPENING",
    "Block",
    "Budget",
    "Item",
    "Picture",
    "Words",
    "as_budget",
    "blocks_of",
    "defused",
]
