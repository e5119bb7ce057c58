"""Fitting: items -> blocks that stay within a budget."""

from __future__ import annotations

from collections.abc import Iterable

from mm_rag.blocks.block import Block
from mm_rag.blocks.budget import Budget
from mm_rag.blocks.item import Item
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy


def blocks_of(
    items: Iterable[Item],
    budget: Budget = Budget(),  # noqa: B008 - it is frozen
    *,
    policy: MediaPolicy = DEFAULT_POLICY,
    lenient: bool = False,
) -> list[Block]:
    """To be written."""
    raise NotImplementedError
