"""Cutting texts that are longer than a model takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def split_text(tokenizer: Any, text: str, *, limit: int, overlap: int) -> list[str]:
    """Cut `text` into pieces that a model takes whole, at the beginnings of words.

    Args:
        tokenizer: A fast tokenizer of transformers.
        text: Any text.
        limit: Tokens that the model takes, its special ones included.
        overlap: Tokens that a piece shares with the one before it, or a few more.
    """
    size = limit - tokenizer.num_special_tokens_to_add()
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    places: list[tuple[int, int]] = encoded["offset_mapping"]
    words: list[int | None] = encoded.word_ids(0)
    pieces: list[str] = []
    start = 0
    while len(places) - start > size:
        stop = _word_start(words, start + size, after=start)
        pieces.append(text[places[start][0] : places[stop - 1][1]])
        start = _word_start(words, stop - overlap, after=start)
    return [*pieces, text[places[start][0] :] if places else text]


def _word_start(words: Sequence[int | None], position: int, *, after: int) -> int:
    """The last beginning of a word up to `position`, or `position` where there is none `after`."""
    start = max(position, after + 1)
    while start > after + 1 and words[start] == words[start - 1]:
        start -= 1
    return start if start > after + 1 else max(position, after + 1)
