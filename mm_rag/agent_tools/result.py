"""ToolResult: what a tool answers."""

from __future__ import annotations

from dataclasses import dataclass

from mm_rag.prompt_content import Block, Picture, Words
from mm_rag.segment import Segment


@dataclass(frozen=True, kw_only=True)
class ToolResult:
    """What a tool answers.

    Attributes:
        blocks: For the chat model: words and pictures, within the toolbox's budget.
        segments: For the program around it: what the answer is about, best first; empty where it is
            about no Segment.
    """

    blocks: tuple[Block, ...]
    segments: tuple[Segment, ...] = ()

    @property
    def text(self) -> str:
        """The words of all blocks."""
        return "\n".join(block.text for block in self.blocks if isinstance(block, Words))

    @property
    def pictures(self) -> list[Picture]:
        """The pictures of all blocks."""
        return [block for block in self.blocks if isinstance(block, Picture)]
