"""Fitting: items -> blocks that stay within a budget."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from mm_rag.errors import InputError, MissingExtra
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.prompt_content.block import Block, Picture, Words
from mm_rag.prompt_content.budget import Budget, as_budget
from mm_rag.prompt_content.item import Item
from mm_rag.prompt_content.sharing import shares
from mm_rag.prompt_content.showing import Showing, share_pictures, tokens_wanted
from mm_rag.prompt_content.sight import Sight, labelled, look_at, reason
from mm_rag.prompt_content.view import place_of
from mm_rag.prompt_content.wording import (
    NO_ROOM,
    NOT_SHOWN,
    Wording,
    left_out,
    not_shown,
    shown_label,
)


def blocks_of(
    items: Iterable[Item],
    budget: Budget | int = Budget(),  # noqa: B008 - it is frozen
    *,
    policy: MediaPolicy = DEFAULT_POLICY,
    lenient: bool = True,
    fenced: bool = False,
) -> list[Block]:
    """What a chat model is shown of some items: for each its label and words, then its pictures.

    A picture or page is one Picture, a clip of a video a few frames, each under its time; a
    recording is what is said in it. What several items show is shown once. Words take up to half of
    the budget, and what pictures leave; each picture gets the same share, and what small ones leave
    goes to the others; none is enlarged. What does not fit is cut or left out, from the last item
    on, and the words say so; a text that is cut begins with the passage that was found.

    Args:
        items: The best first.
        budget: What all blocks together may take; a number is one of tokens.
        policy: Whether and how pictures and videos may be opened.
        lenient: Whether a picture that is missing, damaged or forbidden becomes words that say so,
            and a clip whose video is, its preview. What was wrong is logged as a warning. False
            raises it.
        fenced: Whether the text of each item stands between `<content>` and `</content>`, so that a
            chat model can tell what files say from what it is told about them.

    Raises:
        UnreadableMedia: Not lenient, and a picture or video is missing or damaged.
        MediaTooLarge: Not lenient, and it is over a limit of the policy.
        SourceForbidden: Not lenient, and the policy does not allow to open it.
        MissingExtra: Not lenient, and PyAV is not installed.
        InputError: The budget is none; or not lenient, and a clip has times that make no sense.
    """
    return list(
        _Fitting(as_budget(budget), policy, lenient=lenient, fenced=fenced).blocks(list(items))
    )


class _Fitting:
    def __init__(self, budget: Budget, policy: MediaPolicy, *, lenient: bool, fenced: bool) -> None:
        self._budget, self._policy = budget, policy
        self._lenient, self._fenced = lenient, fenced
        self._count = budget.tokens_of_text
        # Every item that should show something keeps the room to say that it does not.
        self._excuse = max(self._count(NO_ROOM), self._count(NOT_SHOWN))

    def blocks(self, items: Sequence[Item]) -> Iterator[Block]:
        wordings = [self._wording(item) for item in items]
        kept = self._with_room(items, wordings)
        tail = left_out(len(items) - kept) if kept < len(items) else ""
        sights = list(look_at(items[:kept], self._budget, self._policy, lenient=self._lenient))
        least = sum(wording.least for wording in wordings[:kept])
        free = self._budget.tokens - self._count(tail) * bool(tail) - least
        free -= self._excuse * sum((s.view is not None) + bool(s.problem) for s in sights)
        notes, free = self._notes(sights, free)
        words = self._words(wordings[:kept], least + free - self._for_pictures(sights, free))
        room = least + free - sum(map(self._count, words))
        showings = share_pictures([s.view for s in sights if s.view], room, self._budget)
        shown = self._shown(sights, showings)
        for text, note, pictures in zip(words, notes, shown, strict=True):
            yield from (Words(text=said) for said in (text, note) if said)
            yield from pictures
        if tail and free >= 0:
            yield Words(text=tail)

    def _wording(self, item: Item) -> Wording:
        # Of a Hit: the words of the passage that was found.
        best = item.metadata.get("matched")
        return Wording(
            shown_label(item.label),
            item.text,
            self._count,
            best=best if isinstance(best, str) else "",
            fenced=self._fenced,
        )

    def _with_room(self, items: Sequence[Item], wordings: Sequence[Wording]) -> int:
        """How many items there is room for at the very least."""
        # A clip may have both: its preview, which is left out, and the reason why it has no frames.
        excuses = [0 if place_of(item) is None else 2 * self._excuse for item in items]
        costs = [w.least + excuse for w, excuse in zip(wordings, excuses, strict=True)]
        if sum(costs) <= self._budget.tokens:
            return len(items)
        room = self._budget.tokens - self._count(left_out(len(items)))
        return sum(total <= room for total in accumulate(costs))

    def _notes(self, sights: Sequence[Sight], free: int) -> tuple[list[str], int]:
        """What is wrong with an item's picture, and the tokens that are free then."""
        notes: list[str] = []
        for sight in sights:
            note = not_shown(sight.problem) if sight.problem else ""
            more = max(0, self._count(note) - self._excuse) if note else 0
            if more > free:
                note, more = NOT_SHOWN, 0
            notes.append(note)
            free -= more
        return notes, free

    def _for_pictures(self, sights: Sequence[Sight], free: int) -> int:
        """The tokens that words leave to pictures, which these can use."""
        views = [sight.view for sight in sights if sight.view]
        most = min(self._budget.tokens // 2, free)
        showings = share_pictures(views, most, self._budget)
        wanted = [tokens_wanted(shown.view, self._budget) for shown in showings if shown]
        return min(most, sum(wanted))

    def _words(self, wordings: Sequence[Wording], room: int) -> list[str]:
        least = [wording.least for wording in wordings]
        whole = [self._count(wording.within(room)) for wording in wordings]
        wanted = [max(pair) for pair in zip(least, whole, strict=True)]
        given = shares(least, wanted, room)
        return [wording.within(share) for wording, share in zip(wordings, given, strict=True)]

    def _shown(
        self, sights: Sequence[Sight], showings: Sequence[Showing | None]
    ) -> Iterator[list[Block]]:
        """For each item its pictures, or why there are none."""
        bytes_left, left = self._budget.bytes, sum(shown.count for shown in showings if shown)
        following = iter(showings)
        for sight in sights:
            showing = next(following) if sight.view else None
            if showing is None:
                yield [Words(text=NO_ROOM)] if sight.view else []
                continue
            blocks = self._pictures(sight, showing, bytes_left * showing.count // left)
            left -= showing.count
            bytes_left -= sum(len(block.data) for block in blocks if isinstance(block, Picture))
            yield blocks

    def _pictures(self, sight: Sight, showing: Showing, max_bytes: int) -> list[Block]:
        try:
            pictures = list(showing.pictures(max_bytes, self._policy))
        except (InputError, MissingExtra) as error:
            if not self._lenient:
                raise labelled(error, sight.item.label) from error
            note = not_shown(reason(error, sight.item.label))
            fits = self._count(note) <= showing.tokens + self._excuse
            return [Words(text=note if fits else NOT_SHOWN)]
        return pictures or [Words(text=NO_ROOM)]
