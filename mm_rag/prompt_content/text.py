"""The text of an item: its label and words, cut to a number of tokens."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable

from mm_rag._printing import visible

OPENING, CLOSING = "<content>", "</content>"
"""Tags around text from files, which separate it from what mm_rag itself says."""

_CONTENT_TAG = re.compile(r"<(?=\s*/?\s*content\b)", re.IGNORECASE)
_MAX_LABEL = 200  # characters
_UNSPACED = 20  # mean characters per word above which a script is taken to have no spaces


def one_line_label(label: str) -> str:
    """Collapse whitespace, escape control characters, and limit the length to 200 characters."""
    line = " ".join(_encodable(label).split())
    return line if len(line) <= _MAX_LABEL else f"{line[: _MAX_LABEL - 3]}..."


def _encodable(text: str) -> str:
    """Replace control characters and lone surrogates, which no message can carry."""
    return visible(text.encode("utf-8", "replace").decode("utf-8"))


def defused(text: str) -> str:
    """Break `<content>` and `</content>` tags in untrusted text, and replace control characters."""
    text = visible(text)
    return _CONTENT_TAG.sub("< ", text) if "content" in text.lower() else text


class ItemText:
    """An item's label and text, which can be cut to a number of tokens.

    The label is always included. The text is cut at a word boundary, and the cut is reported:
    `[... cut: 1,240 more words]`.

    Args:
        label: A single line.
        text: Text of any length.
        tokens_of_text: Counts tokens.
        best: The passage of `text` that matters most. If `text` must be cut, it starts with this.
        fenced: Whether to put the text between `<content>` and `</content>`.
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
        self._best_first = f"{best}\n[...]\n{self._whole}" if leads else self._whole
        self._count = tokens_of_text

    def _prepared(self, text: str) -> str:
        text = _encodable(text).strip()
        return defused(text) if self._fenced else text

    @property
    def least(self) -> int:
        """Tokens of the shortest form: the label alone, or the whole text if it is no longer."""
        label_only = self._count(self._up_to(self._best_first, 0))
        whole = self._up_to(self._whole, len(self._whole))
        return self._count(whole) if self.within(label_only) == whole else label_only

    def within(self, max_tokens: int) -> str:
        """As much of the text as fits into `max_tokens`; never less than the label."""
        end = self._end(self._whole, max_tokens)
        if end == len(self._whole):
            return self._up_to(self._whole, end)
        return self._up_to(self._best_first, self._end(self._best_first, max_tokens))

    def _end(self, text: str, max_tokens: int) -> int:
        """Number of characters of `text` that fit: exponential, then binary search."""
        end = 256
        while end < len(text) and self._fits(text, end, max_tokens):
            end *= 2
        end = min(end, len(text))
        if self._fits(text, end, max_tokens):
            return end
        return bisect_left(range(1, end), True, key=lambda n: not self._fits(text, n, max_tokens))

    def _fits(self, text: str, end: int, max_tokens: int) -> bool:
        return self._count(self._up_to(text, end)) <= max_tokens

    def _up_to(self, text: str, end: int) -> str:
        """Label, the first `end` characters without a partial last word, and a note on the cut."""
        head, note = text[:end], ""
        if end < len(text):
            head = _without_partial_word(head, text[end]).rstrip()
            note = _cut_note(text, len(head))
        head = f"{OPENING}\n{head}\n{CLOSING}" if self._fenced and head else head
        return "\n".join(filter(None, (self._label, head, note)))


def _without_partial_word(head: str, following: str) -> str:
    """Drop a word that the cut divides, unless it is more than half of `head`."""
    if following.isspace():
        return head
    whole = head[: max(head.rfind(space) for space in " \n\t") + 1]
    return whole if len(whole) > len(head) // 2 else head


def _cut_note(text: str, end: int) -> str:
    if len(text) > _UNSPACED * len(text.split()):
        return f"[... cut: {len(text) - end:,} more characters]"
    return f"[... cut: {len(text[end:].split()):,} more words]"
