"""Wording: an item's words, cut to the room there is, and saying so."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable

from mm_rag._printing import visible

NO_ROOM = "[picture left out: no room]"
NOT_SHOWN = "[picture cannot be shown]"

OPENING, CLOSING = "<content>", "</content>"
"""Between these stands what files say, as opposed to what mm_rag says of them."""

_FENCE = re.compile(r"<(?=\s*/?\s*content\b)", re.IGNORECASE)
_LONGEST_LABEL = 200  # characters; a path may have thousands
_LONGEST_REASON = 300
_SPACED = 20  # characters a word on average: beyond, it is a script without spaces


def shown_label(label: str) -> str:
    """A label in one line that is not endless."""
    line = " ".join(_sendable(label).split())
    return line if len(line) <= _LONGEST_LABEL else f"{line[: _LONGEST_LABEL - 3]}..."


def _sendable(text: str) -> str:
    """Without control characters, nor halves of letters, with which no message is sent."""
    return visible(text.encode("utf-8", "replace").decode("utf-8"))


def defused(text: str) -> str:
    """A text that ends no fence which it stands in, and has no control characters."""
    text = visible(text)
    return _FENCE.sub("< ", text) if "content" in text.lower() else text


def not_shown(reason: str) -> str:
    """What stands where a picture should."""
    return f"[picture cannot be shown: {' '.join(reason.split())[:_LONGEST_REASON]}]"


def left_out(count: int) -> str:
    """What stands in the place of items."""
    return f"[{count:,} more left out: no room]"


class Wording:
    """An item's label and text, to be cut to the room there is.

    The label is there in any case. The text is cut at a word, and what is missing is counted:
    `[... cut: 1,240 more words]`.

    Args:
        label: In one line.
        text: Of any length.
        tokens_of_text: Counts tokens.
        best: The part of it that matters most; a text that has to be cut begins with it.
        fenced: Whether the text stands between `<content>` and `</content>`.
    """

    def __init__(
        self,
        label: str,
        text: str,
        tokens_of_text: Callable[[str], int],
        *,
        best: str = "",
        fenced: bool = False,
    ) -> None:
        self._label, self._fenced = label, fenced
        self._whole, best = self._prepared(text), self._prepared(best)
        leads = best and not self._whole.startswith(best)
        self._cut = f"{best}\n[...]\n{self._whole}" if leads else self._whole
        self._count = tokens_of_text

    def _prepared(self, text: str) -> str:
        text = _sendable(text).strip()
        return defused(text) if self._fenced else text

    @property
    def least(self) -> int:
        """The tokens that it takes at least."""
        bare = self._count(self._before(self._cut, 0))
        whole = self._before(self._whole, len(self._whole))
        return self._count(whole) if self.within(bare) == whole else bare

    def within(self, room: int) -> str:
        """As much of it as there is room for, in tokens; that is no less than `least`."""
        end = self._reach(self._whole, room)
        if end == len(self._whole):
            return self._before(self._whole, end)
        return self._before(self._cut, self._reach(self._cut, room))

    def _reach(self, text: str, room: int) -> int:
        """How many characters of a text there is room for."""
        end = 256
        while end < len(text) and self._fits(text, end, room):
            end *= 2
        end = min(end, len(text))
        if self._fits(text, end, room):
            return end
        return bisect_left(range(1, end), True, key=lambda n: not self._fits(text, n, room))

    def _fits(self, text: str, end: int, room: int) -> bool:
        return self._count(self._before(text, end)) <= room

    def _before(self, text: str, end: int) -> str:
        """All that comes before a character of a text, up to the last word that is whole."""
        head, missing = text[:end], ""
        if end < len(text):
            head = _whole_words(head, text[end]).rstrip()
            missing = _missing(text, len(head))
        head = f"{OPENING}\n{head}\n{CLOSING}" if self._fenced and head else head
        return "\n".join(filter(None, (self._label, head, missing)))


def _missing(text: str, end: int) -> str:
    if len(text) > _SPACED * len(text.split()):
        return f"[... cut: {len(text) - end:,} more characters]"
    return f"[... cut: {len(text[end:].split()):,} more words]"


def _whole_words(head: str, following: str) -> str:
    """Without the word that is cut in two, unless that is most of it."""
    if following.isspace():
        return head
    whole = head[: max(head.rfind(space) for space in " \n\t") + 1]
    return whole if len(whole) > len(head) // 2 else head
