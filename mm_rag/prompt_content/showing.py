"""Showing: how many pictures of a view there is room for, and how large."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from mm_rag.media.policy import MediaPolicy
from mm_rag.prompt_content.block import Block, Words
from mm_rag.prompt_content.budget import Budget
from mm_rag.prompt_content.encoding import Size
from mm_rag.prompt_content.sharing import first_that_fit, shares
from mm_rag.prompt_content.view import View

_LONGEST_SIDE = 8_000  # pixels; Claude refuses a message with a larger picture
_SMALLER = 0.8  # of each side, where the bytes leave no room


@dataclass(frozen=True, kw_only=True)
class Showing:
    """How a view is shown.

    Attributes:
        view: The view.
        count: How many pictures, as `View.pictures` takes it.
        sizes: Widths and heights that they may have, the largest first.
        tokens: What they take with their captions, at most.
    """

    view: View
    count: int
    sizes: list[Size]
    tokens: int

    def pictures(self, max_bytes: int, policy: MediaPolicy) -> list[Block]:
        """The pictures, each below its caption; those that the bytes have room for."""
        found: list[Block] = []
        captions = self.view.captions(self.count)
        pictures = self.view.pictures(self.count, self.sizes, max_bytes, policy)
        for caption, picture in zip(captions, pictures, strict=False):
            if picture:
                found += [Words(text=caption), picture] if caption else [picture]
        return found


def tokens_wanted(view: View, budget: Budget) -> int:
    """What all of its pictures take at full size."""
    return _tokens(view, view.most, _full(view), budget)


def share_pictures(views: Sequence[View], room: int, budget: Budget) -> list[Showing | None]:
    """Divide the tokens that there are for pictures.

    Where they would all become illegible the last ones give way.

    Args:
        views: The best first.
        room: In tokens.
        budget: Counts them.

    Returns:
        For each view how it is shown; None where there is no room for it.
    """
    least = [_tokens(view, 1, _legible(view), budget) for view in views]
    wanted = [max(few, tokens_wanted(view, budget)) for few, view in zip(least, views, strict=True)]
    chosen = first_that_fit(least, room)
    given = shares([least[n] for n in chosen], [wanted[n] for n in chosen], room)
    found: list[Showing | None] = [None] * len(views)
    spare = room - sum(given)
    for number, share in zip(chosen, given, strict=True):
        showing = _largest(views[number], share + spare, budget)
        spare += share - showing.tokens
        found[number] = showing
    return found


def _largest(view: View, room: int, budget: Budget) -> Showing:
    """As many pictures as are legible, and those as large as they can be."""
    legible, full = _legible(view), _full(view)
    counts = range(view.most, 1, -1)
    legibles = (count for count in counts if _tokens(view, count, legible, budget) <= room)
    count = next(legibles, 1)

    def is_too_large(longest: int) -> bool:
        return _tokens(view, count, _scaled(full, longest), budget) > room

    sides = range(max(legible) + 1, max(full) + 1)
    longest = max(legible) + bisect_left(sides, True, key=is_too_large)
    size = _scaled(full, longest) if longest > max(legible) else legible
    tokens = _tokens(view, count, size, budget)
    return Showing(view=view, count=count, sizes=_sizes(view, size, budget), tokens=tokens)


def _sizes(view: View, size: Size, budget: Budget) -> list[Size]:
    """The size and smaller ones, none of which is illegible or takes more tokens."""
    found, least = [size], _legible(view)
    longest = round(max(size) * _SMALLER)
    while longest > max(least):
        found.append(_scaled(size, longest))
        longest = round(longest * _SMALLER)
    most = budget.tokens_of_picture(*size)
    return [size for size in [*found, least] if budget.tokens_of_picture(*size) <= most]


def _tokens(view: View, count: int, size: Size, budget: Budget) -> int:
    captions = sum(budget.tokens_of_text(caption) for caption in view.captions(count) if caption)
    return captions + count * budget.tokens_of_picture(*size)


def _full(view: View) -> Size:
    return _scaled(view.size, min(_LONGEST_SIDE, max(view.size)))


def _legible(view: View) -> Size:
    width, height = full = _full(view)
    scale = math.sqrt(view.legible_pixels / (width * height))
    return full if scale >= 1 else _scaled(full, max(1, int(max(full) * scale)))


def _scaled(size: Size, longest: int) -> Size:
    width, height = (max(1, side * longest // max(size)) for side in size)
    return width, height
