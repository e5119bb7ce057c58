"""Sight: an item, and what was found when somebody looked at it."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mm_rag.errors import (
    InputError,
    MediaTooLarge,
    MissingExtra,
    SourceForbidden,
    UnreadableMedia,
)
from mm_rag.media.policy import MediaPolicy
from mm_rag.prompt_content.budget import Budget
from mm_rag.prompt_content.item import Item
from mm_rag.prompt_content.view import View, clip_of, is_clip, place_of, still_of

logger = logging.getLogger(__name__)

_REASONS: Mapping[type[Exception], str] = {
    UnreadableMedia: "its file is missing or damaged",
    MediaTooLarge: "it is too large",
    SourceForbidden: "it may not be opened",
    MissingExtra: "what would read it is not installed",
}


@dataclass(frozen=True, kw_only=True)
class Sight:
    """An item, and what was found when somebody looked at it.

    Attributes:
        item: The item.
        view: What there is to see; None where there is nothing, or it is shown already.
        problem: Why there is nothing to see though there should be; empty where all is well.
    """

    item: Item
    view: View | None = None
    problem: str = ""


def look_at(
    items: Sequence[Item], budget: Budget, policy: MediaPolicy, *, lenient: bool
) -> Iterator[Sight]:
    """Look at each item; what several of them show is seen once.

    Args:
        items: The best first.
        budget: How many frames of a clip it has room for.
        policy: Whether and how files may be opened.
        lenient: Whether what cannot be shown becomes a `problem`.

    Raises:
        InputError: Not lenient, and a file is missing, damaged or forbidden; the label is named.
        MissingExtra: Not lenient, and PyAV is not installed.
    """
    seen: set[Hashable] = set()
    for item in items:
        place = place_of(item)
        if place is None or place in seen:
            yield Sight(item=item)
            continue
        seen.add(place)
        try:
            yield Sight(item=item, view=_view(item, budget, policy))
        except (InputError, MissingExtra) as error:
            if not lenient:
                raise labelled(error, item.label) from error
            yield _instead(item, error, policy)


def labelled(error: InputError | MissingExtra, label: str) -> InputError | MissingExtra:
    """The same error, which says what it is about."""
    return type(error)(f"{label}: {error}" if label else str(error))


def _view(item: Item, budget: Budget, policy: MediaPolicy) -> View | None:
    if is_clip(item):
        return clip_of(item, budget.frames, policy)
    return still_of(item, policy)


def _instead(item: Item, error: InputError | MissingExtra, policy: MediaPolicy) -> Sight:
    """For a clip, the preview that was made when its video was still there."""
    try:
        view = still_of(item, policy) if is_clip(item) else None
    except InputError:
        view = None
    return Sight(item=item, view=view, problem=reason(error, item.label))


def reason(error: InputError | MissingExtra, label: str) -> str:
    """Why something cannot be shown, for a chat model: without the paths of this machine.

    Args:
        error: What was raised; logged whole.
        label: What it is about.
    """
    logger.warning("%s cannot be shown: %s", label, error)
    for kind, words in _REASONS.items():
        if isinstance(error, kind):
            return words
    return "it cannot be read"
