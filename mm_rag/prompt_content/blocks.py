"""Items -> blocks of text and pictures that stay within a budget."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from mm_rag.errors import (
    InputError,
    MediaTooLarge,
    MissingExtra,
    SourceForbidden,
    UnreadableMedia,
)
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.prompt_content.pictures import (
    PicturePlan,
    Visual,
    even_shares,
    is_video,
    open_still,
    open_visual,
    plan_pictures,
    tokens_at_full_size,
    visual_key,
)
from mm_rag.prompt_content.text import ItemText, one_line_label
from mm_rag.prompt_content.types import Block, Budget, Item, Picture, Words, as_budget

logger = logging.getLogger(__name__)

# Notes in the place of a picture. They name no paths of this machine: an agent must not learn them.
_NO_ROOM = "[picture left out: no room]"
_UNREADABLE = "[picture cannot be shown: it cannot be read]"
_NOTES: Mapping[type[Exception], str] = {
    UnreadableMedia: "[picture cannot be shown: its file is missing or damaged]",
    MediaTooLarge: "[picture cannot be shown: it is too large]",
    SourceForbidden: "[picture cannot be shown: it may not be opened]",
    MissingExtra: "[picture cannot be shown: the package that reads it is not installed]",
}


def blocks_of(
    items: Iterable[Item],
    budget: Budget | int = Budget(),  # noqa: B008 - it is frozen
    *,
    policy: MediaPolicy = DEFAULT_POLICY,
    lenient: bool = True,
    fenced: bool = False,
) -> list[Block]:
    """Convert items to blocks for a chat message: for each its label and text, then its pictures.

    A picture or page becomes one Picture. A video clip becomes a few frames, each after its time.
    A recording is represented by its transcript. A picture that several items share is included
    once. Text gets up to half of the budget, plus what pictures do not need. Pictures get equal
    shares; what small ones do not need goes to the others; none is enlarged. What does not fit is
    cut or left out, starting with the last item, and the text says so. A text that is cut begins
    with the passage that matched the query.

    Args:
        items: Items, the best match first.
        budget: Bounds for all blocks together; a number is a number of tokens.
        policy: Whether and how pictures and videos may be opened.
        lenient: Replace a picture that is missing, damaged or forbidden by text that says so, and
            a video by its preview, and log a warning. False: raise the error.
        fenced: Put the text of each item between `<content>` and `</content>`, so that a chat
            model can tell the contents of files from the text around them.

    Raises:
        UnreadableMedia: Not lenient, and a picture or video is missing or damaged.
        MediaTooLarge: Not lenient, and a file exceeds a limit of the policy.
        SourceForbidden: Not lenient, and the policy does not allow opening a file.
        MissingExtra: Not lenient, and PyAV is not installed.
        InputError: The budget is invalid; or not lenient, and the time span of a clip is invalid.
    """
    builder = _Builder(as_budget(budget), policy, lenient=lenient, fenced=fenced)
    return list(builder.blocks(list(items)))


@dataclass(frozen=True, kw_only=True)
class _Opened:
    """An item whose picture or video has been opened.

    Attributes:
        item: The item.
        visual: Its picture or video; None if it has none, or an earlier item shows the same.
        note: Why the picture or video cannot be shown; empty if it can.
    """

    item: Item
    visual: Visual | None = None
    note: str = ""


class _Builder:
    def __init__(self, budget: Budget, policy: MediaPolicy, *, lenient: bool, fenced: bool) -> None:
        self._budget, self._policy = budget, policy
        self._lenient, self._fenced = lenient, fenced
        self._count = budget.tokens_of_text
        # Reserved for every item with a picture, so that it can always say why it is missing.
        self._note_tokens = max(map(self._count, (_NO_ROOM, _UNREADABLE, *_NOTES.values())))

    def blocks(self, items: Sequence[Item]) -> Iterator[Block]:
        texts = [self._text(item) for item in items]
        kept = self._how_many_fit(items, texts)
        tail = _left_out(len(items) - kept) if kept < len(items) else ""
        opened = list(self._open(items[:kept]))

        least = sum(text.least for text in texts[:kept])
        free = self._budget.tokens - self._count(tail) * bool(tail) - least
        free -= self._note_tokens * sum((o.visual is not None) + bool(o.note) for o in opened)
        words = self._cut(texts[:kept], least + free - self._tokens_for_pictures(opened, free))
        room = least + free - sum(map(self._count, words))
        plans = plan_pictures([o.visual for o in opened if o.visual], room, self._budget)

        shown = self._pictures(opened, plans)
        for text, each, pictures in zip(words, opened, shown, strict=True):
            yield from (Words(text=said) for said in (text, each.note) if said)
            yield from pictures
        if tail and free >= 0:
            yield Words(text=tail)

    def _text(self, item: Item) -> ItemText:
        best = item.metadata.get("matched")  # in a Hit's metadata: the passage that matched
        return ItemText(
            one_line_label(item.label),
            item.text,
            self._count,
            best=best if isinstance(best, str) else "",
            fenced=self._fenced,
        )

    def _how_many_fit(self, items: Sequence[Item], texts: Sequence[ItemText]) -> int:
        """Number of items whose shortest texts and notes fit into the budget."""
        # A video may need two: why it has no frames, and that there is no room for its preview.
        notes = [0 if visual_key(item) is None else 1 + is_video(item) for item in items]
        pairs = zip(texts, notes, strict=True)
        costs = [text.least + count * self._note_tokens for text, count in pairs]
        if sum(costs) <= self._budget.tokens:
            return len(items)
        room = self._budget.tokens - self._count(_left_out(len(items)))
        return sum(total <= room for total in accumulate(costs))

    def _open(self, items: Sequence[Item]) -> Iterator[_Opened]:
        """Open the picture or video of each item; one that several items share only once."""
        seen: set[Hashable] = set()
        for item in items:
            key = visual_key(item)
            if key is None or key in seen:
                yield _Opened(item=item)
                continue
            seen.add(key)
            try:
                yield _Opened(
                    item=item, visual=open_visual(item, self._budget.frames, self._policy)
                )
            except (InputError, MissingExtra) as error:
                if not self._lenient:
                    raise _labelled(error, item.label) from error
                yield self._without_video(item, error)

    def _without_video(self, item: Item, error: InputError | MissingExtra) -> _Opened:
        """Fall back to the preview of a video that cannot be opened."""
        try:
            preview = open_still(item, self._policy) if is_video(item) else None
        except InputError:
            preview = None
        return _Opened(item=item, visual=preview, note=_note(error, item.label))

    def _tokens_for_pictures(self, opened: Sequence[_Opened], free: int) -> int:
        """Tokens that pictures can use, of the half of the budget that text leaves them."""
        half = min(self._budget.tokens // 2, free)
        plans = plan_pictures([o.visual for o in opened if o.visual], half, self._budget)
        wanted = [tokens_at_full_size(plan.visual, self._budget) for plan in plans if plan]
        return min(half, sum(wanted))

    def _cut(self, texts: Sequence[ItemText], room: int) -> list[str]:
        """The texts, cut to even shares of `room` tokens."""
        least = [text.least for text in texts]
        whole = [self._count(text.within(room)) for text in texts]
        wanted = [max(pair) for pair in zip(least, whole, strict=True)]
        shares = even_shares(least, wanted, room)
        return [text.within(share) for text, share in zip(texts, shares, strict=True)]

    def _pictures(
        self, opened: Sequence[_Opened], plans: Sequence[PicturePlan | None]
    ) -> Iterator[list[Block]]:
        """For each item its pictures, or a note on why they are missing."""
        bytes_left, left = self._budget.bytes, sum(plan.count for plan in plans if plan)
        following = iter(plans)
        for each in opened:
            plan = next(following) if each.visual else None
            if plan is None:
                yield [Words(text=_NO_ROOM)] if each.visual else []
                continue
            blocks = self._encoded(each.item, plan, bytes_left * plan.count // left)
            left -= plan.count
            bytes_left -= sum(len(block.data) for block in blocks if isinstance(block, Picture))
            yield blocks

    def _encoded(self, item: Item, plan: PicturePlan, max_bytes: int) -> list[Block]:
        try:
            return plan.blocks(max_bytes, self._policy) or [Words(text=_NO_ROOM)]
        except (InputError, MissingExtra) as error:
            if not self._lenient:
                raise _labelled(error, item.label) from error
            return [Words(text=_note(error, item.label))]


def _labelled(error: InputError | MissingExtra, label: str) -> InputError | MissingExtra:
    """The same error with the item's label in front."""
    return type(error)(f"{label}: {error}" if label else str(error))


def _note(error: InputError | MissingExtra, label: str) -> str:
    """Log the error; return the note that a chat model may read."""
    logger.warning("%s cannot be shown: %s", label, error)
    return next((note for kind, note in _NOTES.items() if isinstance(error, kind)), _UNREADABLE)


def _left_out(count: int) -> str:
    return f"[{count:,} more left out: no room]"
