"""Which words of a text to show for a query, and which of them to mark."""

from __future__ import annotations

from collections.abc import Iterator

from mm_rag.words import is_common, plain_words, stem


def excerpt(text: str, query: str, *, length: int = 40) -> list[tuple[str, bool]]:
    """The part of a text that says most about a query.

    Args:
        text: What was read of a page, picture or clip.
        query: The user's words.
        length: Most words to return.

    Returns:
        Pieces of the text in order; True marks those that the query asked for. Whitespace is
        collapsed, and an ellipsis stands where the text goes on.
    """
    tokens = [token for token in text.split() if token.strip("|-")]  # no marks of tables
    wanted = {stem(word) for word in plain_words(query) if not is_common(word)}
    found = [frozenset(map(stem, plain_words(token))) & wanted for token in tokens]
    start = _best_window(found, length)
    end = min(start + length, len(tokens))
    marked = [(tokens[i], bool(found[i])) for i in range(start, end)]
    pieces = list(_joined(marked))
    if start > 0:
        pieces.insert(0, ("… ", False))
    if end < len(tokens):
        pieces.append((" …", False))
    return pieces


def _best_window(found: list[frozenset[str]], length: int) -> int:
    """Where to begin, so that most different words, and then most words, are seen."""

    def worth(start: int) -> tuple[int, int]:
        window = found[start : start + length]
        return len(frozenset[str]().union(*window)), sum(map(bool, window))

    starts = range(max(1, len(found) - length + 1))
    best = max(starts, key=worth)
    first = next((i for i in range(best, len(found)) if found[i]), best)
    return min(max(first - 6, 0), starts[-1])


def _joined(marked: list[tuple[str, bool]]) -> Iterator[tuple[str, bool]]:
    for i, (word, is_wanted) in enumerate(marked):
        if i:
            yield " ", False
        yield word, is_wanted
