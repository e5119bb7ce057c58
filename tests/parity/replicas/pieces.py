"""Tokenizers' vocabularies, learnt the same in every process.

The trainers of `tokenizers` break some ties by the order of a hash table; then each run of the
tests would have a model of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import pairwise

Word = tuple[str, ...]
Merge = tuple[str, str]


def learn_merges(
    words: Iterable[Word], count: int, join: Callable[[str, str], str] = str.__add__
) -> list[Merge]:
    """The pairs of symbols to merge, most frequent first, ties by the alphabet.

    Args:
        words: The words of a text, each cut into symbols.
        count: How many pairs at most.
        join: What two symbols become.
    """
    counts = Counter(words)
    merges: list[Merge] = []
    while len(merges) < count and (pairs := _count_pairs(counts)):
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        merged: Counter[Word] = Counter()
        for word, times in counts.items():
            merged[_merge(word, best, join)] += times
        counts = merged
    return merges


def _count_pairs(counts: Counter[Word]) -> Counter[Merge]:
    pairs: Counter[Merge] = Counter()
    for word, times in counts.items():
        for pair in pairwise(word):
            pairs[pair] += times
    return pairs


def _merge(word: Word, pair: Merge, join: Callable[[str, str], str]) -> Word:
    symbols: list[str] = []
    for symbol in word:
        if symbols and (symbols[-1], symbol) == pair:
            symbols[-1] = join(*pair)
        else:
            symbols.append(symbol)
    return tuple(symbols)
