"""Split a text into passages that are short enough to be embedded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from mm_rag.words import HAN_AND_KANA, HANGUL

PASSAGE_WORDS = 150
_OVERLAP = 0.15
_ENOUGH = 0.5  # share of `max_words` from which a heading ends the passage before it
# Chinese, Japanese and Korean are written without spaces: each character counts as a word. So do
# every 40 characters of a longer run without spaces.
_NO_SPACES = HAN_AND_KANA + HANGUL
# Spaces only after the word: before it, a run of blanks would be scanned from each of its places.
_WORD = re.compile(rf"(?:[{_NO_SPACES}]|[^\s{_NO_SPACES}]{{1,40}})\s*")
_SENTENCE_END = re.compile(
    r"(?<=[.!?])[\"'\u2019\u201d)\]]*\s+(?![a-z\u00df-\u00ff])|(?<=[\u3002\uff01\uff1f])"
)
_PARAGRAPH_END = re.compile(r"\n\s*\n")
_TABLE_HEAD_ROWS = 2  # the names of the columns, and the line of dashes


class Part(Protocol):
    """A piece of a text of a kind: `text`, `heading`, `caption`, `table` or `picture`."""

    @property
    def level(self) -> int:
        """Level of a heading, 1 for the highest; 0 for other kinds."""
        ...

    @property
    def kind(self) -> str:
        """The kind."""
        ...

    @property
    def text(self) -> str:
        """The words; Markdown for a table."""
        ...


@dataclass(frozen=True)
class TextPart:
    """A piece of a text.

    Attributes:
        kind: `text`, `heading`, `caption`, `table` or `picture`.
        text: The words; Markdown for a table.
        level: Level of a heading, 1 for the highest; 0 for other kinds.
    """

    kind: str
    text: str
    level: int = 0


@dataclass(frozen=True)
class Passage:
    """A passage of a text.

    Attributes:
        text: The words.
        heading: The nearest heading above it, or the one it begins with, or the path of headings
            (`"Costs > 2024"`); empty without headings.
    """

    text: str
    heading: str = ""


@dataclass(frozen=True)
class _Piece:
    """An uncut piece of text, with the space that follows it.

    Attributes:
        sticks: Whether it belongs to the next piece, so that it must not end a passage.
        head: The head of its table, repeated if a passage begins with this row.
        section: The heading above it.
        is_repeated: Whether it may be repeated at the beginning of the next passage.
    """

    text: str
    sticks: bool = False
    head: str = ""
    section: str = ""
    is_heading: bool = False
    is_repeated: bool = True

    @cached_property
    def words(self) -> int:
        return len(_WORD.findall(self.text))


def count_words(text: str) -> int:
    """Number of words, as in `max_words`."""
    return len(_WORD.findall(text))


def passages(text: str, *, max_words: int = PASSAGE_WORDS) -> list[str]:
    """Split a text at the ends of its paragraphs, sentences or lines.

    Every word of the text is in a passage, in order. A passage begins with the last sentences of
    the one before, up to 15% of `max_words`, which keeps context.

    Args:
        text: In reading order; an empty line ends a paragraph.
        max_words: Longest passage. A short rest at the end of the text is added to the passage
            before it if that exceeds `max_words` by at most a quarter.

    Returns:
        The passages; an empty list for a text without words.
    """
    pieces = [_Piece(piece) for piece in _cut_text(text, max_words)]
    return [passage.text for passage in _filled(pieces, max_words)]


def passages_of(
    parts: Sequence[Part],
    *,
    max_words: int = PASSAGE_WORDS,
    heading: str = "",
    nested: bool = False,
    above: Sequence[tuple[int, str]] = (),
) -> list[Passage]:
    """Split a page, or another text with known parts, as `passages` does.

    A heading stays with what follows it, and a caption with its table or picture. A table is cut
    between rows, and its head is repeated.

    Args:
        parts: In reading order.
        max_words: Longest passage, not counting the repeated head of a table.
        heading: The nearest heading above the first part.
        nested: Whether `Passage.heading` is the path of headings above it instead of the nearest.
        above: Level and text of each heading above the first part, for `nested`.
    """
    pieces: list[_Piece] = []
    path = list(above)
    heading = heading or _path(path)
    for at, part in enumerate(parts):
        if part.kind == "heading":
            path = [one for one in path if nested and one[0] < part.level]
            path.append((part.level, " ".join(part.text.split())))
            heading = _path(path)
        following = parts[at + 1].kind if at + 1 < len(parts) else ""
        pieces += _pieces_of(part, following, heading, max_words)
    return _filled(pieces, max_words)


def _path(headings: Sequence[tuple[int, str]]) -> str:
    return " > ".join(text for _, text in headings)


def _pieces_of(part: Part, following: str, section: str, max_words: int) -> Iterator[_Piece]:
    text = part.text + "\n\n"
    match part.kind:
        case "heading":
            yield _Piece(text, True, "", section, is_heading=True, is_repeated=False)
        case "caption":
            *begin, last = _cut_text(text, max_words)
            yield from (_Piece(piece, section=section) for piece in begin)
            yield _Piece(last, following in ("table", "picture"), "", section)
        case "table":
            yield from _table_pieces(part.text, following == "caption", section, max_words)
        case _:
            yield from (_Piece(piece, section=section) for piece in _cut_text(text, max_words))


def _table_pieces(text: str, is_captioned: bool, section: str, max_words: int) -> Iterator[_Piece]:
    lines = text.splitlines(keepends=True)
    head, body = "".join(lines[:_TABLE_HEAD_ROWS]), lines[_TABLE_HEAD_ROWS:]
    yield _Piece(head, True, "", section, is_repeated=False)
    for at, line in enumerate(body):
        is_last = at + 1 == len(body)
        row = line.rstrip("\n") + ("\n\n" if is_last else "\n")
        # A long row is cut like a text.
        whole = len(_WORD.findall(row)) <= max_words
        for piece in [row] if whole else _split_long(row, max(1, max_words // 2)):
            yield _Piece(piece, is_last and is_captioned, head, section, is_repeated=False)


def _filled(pieces: Sequence[_Piece], max_words: int) -> list[Passage]:
    """Collect pieces until a passage is full."""
    found: list[list[_Piece]] = []
    current: list[_Piece] = []
    fresh = 0
    for piece in pieces:
        if fresh and _is_full(current, piece, max_words):
            moved = _stuck(current[-fresh:])
            kept = current[: len(current) - len(moved)]
            found.append(kept)
            opening = moved or [piece]
            tail = _tail(kept, max_words, _words([*moved, piece])) if _goes_on(opening[0]) else []
            current, fresh = [*tail, *moved], len(moved)
        current.append(piece)
        fresh += 1
    if fresh:
        _append_last(found, current, fresh, max_words)
    return [_passage(pieces) for pieces in found]


def _is_full(current: list[_Piece], piece: _Piece, max_words: int) -> bool:
    words = _words(current)
    if words + piece.words > max_words:
        # Pieces that stick to this one move with it, unless nothing else would be left.
        return len(_stuck(current)) < len(current) or words > max_words / 2
    return piece.is_heading and words >= _ENOUGH * max_words and not current[-1].sticks


def _stuck(pieces: list[_Piece]) -> list[_Piece]:
    """The last pieces that stick to the next one; none if all of them do."""
    count = 0
    while count < len(pieces) and pieces[-1 - count].sticks:
        count += 1
    return pieces[len(pieces) - count :] if 0 < count < len(pieces) else []


def _goes_on(first: _Piece) -> bool:
    return first.is_repeated and not first.is_heading


def _passage(pieces: list[_Piece]) -> Passage:
    head = pieces[0].head
    text = head + "".join(piece.text for piece in pieces)
    first = next((piece for piece in pieces if not piece.is_heading), pieces[0])
    return Passage(text.strip(), (first if pieces[0].is_heading else pieces[0]).section)


def _append_last(found: list[list[_Piece]], last: list[_Piece], fresh: int, max_words: int) -> None:
    scrap = last[-fresh:]
    if (
        found
        and not scrap[0].is_heading
        and _words(scrap) < max_words / 4
        and _words([*found[-1], *scrap]) <= 1.25 * max_words
    ):
        found[-1].extend(scrap)
    else:
        found.append(last)


def _words(pieces: Sequence[_Piece]) -> int:
    return sum(piece.words for piece in pieces)


def _tail(passage: list[_Piece], max_words: int, next_words: int) -> list[_Piece]:
    """The last sentences of a passage that fit before the next piece."""
    room = min(_OVERLAP * max_words, max_words - next_words)
    tail: list[_Piece] = []
    for piece in reversed(passage[1:]):
        if not piece.is_repeated or _words([piece, *tail]) > room:
            break
        tail.insert(0, piece)
    return tail


def _cut_text(text: str, max_words: int) -> Iterator[str]:
    """Sentences with the space that follows them; concatenated they give the text."""
    for paragraph in _cut(text, _PARAGRAPH_END):
        for sentence in _cut(paragraph, _SENTENCE_END):
            if len(_WORD.findall(sentence)) <= max_words / 2:
                yield from [sentence] if sentence.strip() else []
            else:
                yield from _split_long(sentence, max(1, max_words // 2))


def _cut(text: str, border: re.Pattern[str]) -> Iterator[str]:
    start = 0
    for match in border.finditer(text):
        yield text[start : match.end()]
        start = match.end()
    yield text[start:]


def _split_long(sentence: str, most: int) -> Iterator[str]:
    """Split a table or list by lines, and lines that are too long by words."""
    for line in sentence.splitlines(keepends=True):
        words = _WORD.findall(line)
        for start in range(0, len(words), most):
            yield "".join(words[start : start + most])
