"""PageMatcher: which part of a document's text is printed on which page.

The text comes from the file itself, the pages from LibreOffice. Each page takes the next pieces of
the text whose beginnings are printed on it; a page without any of them takes none, and the pieces
that it might have had go to a later page.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from mm_rag.words import HAN_AND_KANA
from mm_rag_loaders.office.blocks import Aside, Block, Item

_WORD = re.compile(rf"[{HAN_AND_KANA}]|[^\W_{HAN_AND_KANA}]+")
_BEGINNING = 15  # words of a piece that decide on its page: it may go on on the next one
_SHARE = 0.4  # of these words' pairs which must be printed for a piece to count for the page
# Pairs that a piece without any of its own counts against the page at most: equations are printed
# in another order.
_MOST_AGAINST = 1.5
# Words that are looked at: twice those of the page, some more, and those that came too late before.
_PAGES, _MORE, _MOST_LATE = 2, 300, 5000
_FOREIGN = 0.5  # share of a line's words from which it is not from the text
_FEWEST_LETTERS = 4  # of lines that are not from the text: less is a page number or a logo
_ROMAN = re.compile(r"[ivxlc]+")


@dataclass
class _Entry:
    """A piece of the text with what belongs to it, and its words."""

    block: Block
    words: list[str]
    beside: list[Item] = field(default_factory=list[Item])

    @property
    def items(self) -> list[Item]:
        return [self.block, *self.beside]


class PageMatcher:
    """Hands out the text of a document page by page.

    Args:
        items: The text in reading order.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = iter(items)
        self._first: list[Item] = []
        self._pending: deque[_Entry] = deque()
        self._pending_words = 0
        self._late = 0
        self._running: set[str] = set()
        self._before: Sequence[Item] = ()

    def next_page(self, printed: str) -> list[Item]:
        """The items that begin on the next page.

        Args:
            printed: The words on the page.
        """
        words = _words(printed)
        self._fill(_PAGES * len(words) + _MORE + self._late)
        taken = [self._pending.popleft() for _ in range(self._end(words))]
        while len(taken) > 1 and taken[-1].block.kind == "heading" and self._pending:
            self._pending.appendleft(taken.pop())
        self._pending_words = sum(len(entry.words) for entry in self._pending)
        self._late = 0 if taken else min(self._late + len(words), _MOST_LATE)
        found, self._first = self._first, []
        for entry in taken:
            found += entry.items
        return found

    def rest(self) -> Iterator[Item]:
        """Yield the items that are on no page yet."""
        yield from self._first
        for entry in self._pending:
            yield from entry.items
        self._pending.clear()
        yield from self._items

    def others(self, printed: str, items: Sequence[Item], extra: str = "") -> str:
        """The lines of a page that are not from the text, such as words in a picture.

        Args:
            printed: The words on the page.
            items: Items that `next_page` gave for it.
            extra: Further words of the document, such as deleted ones.
        """
        near = [*self._before, *items]
        for entry in self._pending:
            near += entry.items
        self._before = items
        texts = [text for item in near for text in _texts(item)]
        known = set(_words(" ".join([*texts, extra])))
        for item in items:
            if isinstance(item, Aside) and item.metadata.get("running"):
                self._running |= set(_words(item.text))
        known |= self._running
        squeezed = "".join(_words(" ".join(texts)))
        found = [line for line in printed.splitlines() if _is_foreign(line, known, squeezed)]
        letters = sum(map(str.isalnum, "".join(found)))
        return "\n".join(found) if letters >= _FEWEST_LETTERS else ""

    def _fill(self, most: int) -> None:
        while self._pending_words < most:
            item = next(self._items, None)
            if item is None:
                return
            if isinstance(item, Block) and not item.is_attached:
                words = _words(item.text or item.head)
                self._pending.append(_Entry(item, words))
                self._pending_words += len(words) + 1
            elif self._pending:
                self._pending[-1].beside.append(item)
            else:
                self._first.append(item)

    def _end(self, words: Sequence[str]) -> int:
        """Number of pending entries that the page takes.

        Up to the end of the run of entries that fits the page best.
        """
        pairs, singles = Counter(pairwise(words)), Counter(words)
        best, end, run = 0.0, 0, 0.0
        for at, entry in enumerate(self._pending, 1):
            run = max(run, 0.0) + _gain(entry.words, pairs, singles)
            if run > best:
                best, end = run, at
        return end


def _gain(words: Sequence[str], pairs: Counter[tuple[str, str]], singles: Counter[str]) -> float:
    """Evidence that a piece begins on a page; the words that it uses are taken from the page."""
    if len(words) < 3:
        there = [word for word in words if singles[word] > 0]
        singles.subtract(there)
        return 0.5 * len(there) - 0.1 * len(words)
    hits = 0
    for at, pair in enumerate(pairwise(words)):
        if pairs[pair] > 0:
            pairs[pair] -= 1
            hits += at < _BEGINNING
    looked_at = min(len(words) - 1, _BEGINNING)
    return max(hits - _SHARE * looked_at, -_MOST_AGAINST)


def _texts(item: Item) -> list[str]:
    return [item.text] if isinstance(item, Aside) else [item.head, item.text]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _is_foreign(line: str, known: set[str], squeezed: str) -> bool:
    words = _words(line)
    spelled = [word for word in words if not word.isdecimal()] or words
    strange = [word for word in spelled if word not in known]
    if not strange or len(strange) <= _FOREIGN * len(spelled):
        return False
    if len(words) == 1 and (words[0].isdecimal() or _ROMAN.fullmatch(words[0])):
        return False
    # Letters that are printed apart, or words that are printed as one.
    return "".join(words) not in squeezed
