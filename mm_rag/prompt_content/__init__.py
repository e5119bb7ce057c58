"""Retrieved records as content for a chat model: text and pictures within a budget.

A page or picture becomes a picture, a video clip a few frames and its transcript, a recording its
transcript: not every provider accepts audio or video, but all accept text and pictures. Pictures
are never larger than the budget allows. The integrations convert these blocks to those of their
framework.
"""

from __future__ import annotations

from mm_rag.prompt_content.blocks import blocks_of
from mm_rag.prompt_content.text import CLOSING, OPENING, defused
from mm_rag.prompt_content.types import Block, Budget, Item, Picture, Words, as_budget

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
