"""Split a text whose lines must stay whole, such as a log or a program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mm_rag_loaders.passages import count_words, passages

# Programs and logs have long runs without spaces: as many characters count as a word.
_CHARACTERS_OF_A_WORD = 8


@dataclass(frozen=True)
class Line:
    """A line of a text.

    Attributes:
        number: From 1. Parts of a very long line have the same number.
        text: The line, without its end.
    """

    number: int
    text: str


@dataclass(frozen=True)
class LinePassage:
    """Some lines of a text.

    Attributes:
        text: The lines.
        first: Number of the first line, from 1.
        last: Number of the last line.
    """

    text: str
    first: int
    last: int

    @property
    def place(self) -> str:
        """The place in words: `lines 10-42`."""
        return (
            f"line {self.first}" if self.first == self.last else f"lines {self.first}-{self.last}"
        )


def size_in_words(text: str) -> int:
    """Number of words; long runs without spaces count by their length."""
    return max(count_words(text), len(text) // _CHARACTERS_OF_A_WORD)


def line_passages(lines: Iterable[Line], *, max_words: int) -> Iterator[LinePassage]:
    """Yield passages of whole lines. Only a line that is too long itself is cut.

    Lines without words at the beginning and end of a passage are left out.
    """
    held: list[Line] = []
    words = 0
    for line in lines:
        size = size_in_words(line.text)
        if held and words + size > max_words:
            yield from _passage(held)
            held, words = [], 0
        if size > max_words:
            pieces = _cut(line.text, max_words)
            yield from (LinePassage(piece, line.number, line.number) for piece in pieces)
            continue
        held.append(line)
        words += size
    yield from _passage(held)


def _passage(lines: list[Line]) -> Iterator[LinePassage]:
    with_words = [at for at, line in enumerate(lines) if line.text.strip()]
    if with_words:
        kept = lines[with_words[0] : with_words[-1] + 1]
        text = "\n".join(line.text.rstrip() for line in kept)
        yield LinePassage(text, kept[0].number, kept[-1].number)


def _cut(line: str, max_words: int) -> Iterator[str]:
    """Cut a line between words, and runs without spaces anywhere."""
    most = max_words * _CHARACTERS_OF_A_WORD
    for start in range(0, len(line), 100 * most):
        for passage in passages(line[start : start + 100 * most], max_words=max_words):
            yield from (passage[at : at + most] for at in range(0, len(passage), most))
