"""Splitting a text into passages that are short enough to be embedded as one thought."""

from __future__ import annotations

import re
from collections.abc import Iterator

PASSAGE_WORDS = 150
_OVERLAP = 0.15
# Chinese, Japanese and Korean are written without spaces: each letter counts as a word, and so does
# every 40 characters of what is no word at all.
_NO_SPACES = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
# Nothing before the word: a run of blanks would be looked through from each of its characters.
_WORD = re.compile(rf"(?:[{_NO_SPACES}]|[^\s{_NO_SPACES}]{{1,40}})\s*")
_SENTENCE_END = re.compile(
    r"(?<=[.!?])[\"'\u2019\u201d)\]]*\s+(?![a-z\u00df-\u00ff])|(?<=[\u3002\uff01\uff1f])"
)
_PARAGRAPH_END = re.compile(r"\n\s*\n")


def passages(text: str, *, max_words: int = PASSAGE_WORDS) -> list[str]:
    """Split a text at the ends of its paragraphs, sentences or lines.

    Every word of the text is in a passage, in order. A passage begins with the last sentences of
    the one before, up to 15% of `max_words`, so that no thought is cut off from its beginning.

    Args:
        text: In reading order; an empty line ends a paragraph.
        max_words: Longest passage. A scrap at the end of the text is added to the passage before
            it where both together are at most a quarter over.

    Returns:
        The passages; none for a text without words.
    """
    pieces = list(_pieces(text, max_words))
    found: list[list[str]] = []
    current: list[str] = []
    fresh = 0
    for piece in pieces:
        if fresh and _words(current) + _words([piece]) > max_words:
            found.append(current)
            current, fresh = _tail(current, max_words, _words([piece])), 0
        current.append(piece)
        fresh += 1
    if fresh:
        _append_last(found, current, fresh, max_words)
    return ["".join(passage).strip() for passage in found]


def _append_last(found: list[list[str]], last: list[str], fresh: int, max_words: int) -> None:
    scrap = last[-fresh:]
    if found and _words(scrap) < max_words / 4 and _words(found[-1] + scrap) <= 1.25 * max_words:
        found[-1].extend(scrap)
    else:
        found.append(last)


def _words(pieces: list[str]) -> int:
    return sum(len(_WORD.findall(piece)) for piece in pieces)


def _tail(passage: list[str], max_words: int, next_words: int) -> list[str]:
    """The last sentences of a passage that fit before the next piece."""
    room = min(_OVERLAP * max_words, max_words - next_words)
    tail: list[str] = []
    for piece in reversed(passage[1:]):
        if _words([piece, *tail]) > room:
            break
        tail.insert(0, piece)
    return tail


def _pieces(text: str, max_words: int) -> Iterator[str]:
    """Sentences with the space that follows them; together they are the text."""
    for paragraph in _cut(text, _PARAGRAPH_END):
        for sentence in _cut(paragraph, _SENTENCE_END):
            if _words([sentence]) <= max_words / 2:
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
    """A table or a list: by its lines, and where a line is too long, by its words."""
    for line in sentence.splitlines(keepends=True):
        words = _WORD.findall(line)
        for start in range(0, len(words), most):
            yield "".join(words[start : start + most])
