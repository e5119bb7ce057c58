"""Counts and BM25 without deleted documents.

tantivy counts deleted documents until it merges them away, which it may never do: in the number of
documents, the document frequencies and the mean lengths. Scores would depend on what was once
there. So if there are deleted documents, what tantivy finds is scored again, by its own formula and
the right counts.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import tantivy

K1, B = 1.2, 0.75  # tantivy's

FIELDS = ("about", "text")


@dataclass(frozen=True)
class LiveCounts:
    """Document counts and mean lengths of one state of the index, without deleted documents.

    Attributes:
        searcher: The searcher of that state.
        schema: Its fields.
    """

    searcher: tantivy.Searcher
    schema: tantivy.Schema

    @property
    def n(self) -> int:
        """Number of documents."""
        return self.searcher.num_docs

    def frequency(self, field: str, term: str) -> int:
        """Number of documents with a term."""
        query = tantivy.Query.term_query(self.schema, field, term, "basic")
        found: Any = self.searcher.search(query, 1)  # its annotations forget `count`
        return int(found.count or 0)

    def idf(self, df: int) -> float:
        """Inverse document frequency of a term that is in `df` documents."""
        return math.log(1 + (self.n - df + 0.5) / (df + 0.5))

    @cached_property
    def mean_lengths(self) -> Mapping[str, float]:
        """Mean number of terms in each of the `FIELDS`."""
        sums = {name: {"sum": {"field": f"{name}_length"}} for name in FIELDS}
        sums_of = self.searcher.aggregate(tantivy.Query.all_query(), sums)
        return {name: float(sums_of[name]["value"] or 0.0) / max(1, self.n) for name in FIELDS}


@dataclass(frozen=True)
class LiveBM25:
    """Scores documents by terms, without deleted documents.

    Attributes:
        counts: Counts of the index.
        terms: The query's terms, and their weights.
        weights: Weight of a term in each of the `FIELDS`.
    """

    counts: LiveCounts
    terms: Mapping[str, float]
    weights: Mapping[str, float]

    @cached_property
    def _idfs(self) -> Mapping[str, Mapping[str, float]]:
        counts = self.counts
        return {
            field: {term: counts.idf(counts.frequency(field, term)) for term in self.terms}
            for field in FIELDS
        }

    def score(self, document: Mapping[str, Sequence[str]]) -> float:
        """The score of one document, by its stored terms."""
        return sum(
            self.weights[field] * self._in(field, " ".join(document.get(field, ())).split())
            for field in FIELDS
        )

    def _in(self, field: str, words: Sequence[str]) -> float:
        found = Counter(words)
        mean = self.counts.mean_lengths[field]
        length = 1 - B + B * _counted_length(len(words)) / mean if mean else 1.0
        idfs = self._idfs[field]
        return sum(
            weight * _gain(idfs[term], found[term], length)
            for term, weight in self.terms.items()
            if found[term]
        )


def _gain(idf: float, tf: int, length: float) -> float:
    return idf * tf * (K1 + 1) / (tf + K1 * length)


def _lengths() -> Iterable[int]:
    """The lengths that tantivy can tell apart: it stores each in one byte."""
    for code in range(256):
        if code < 24:
            yield code
            continue
        mantissa, shift = (code - 24) & 7, ((code - 24) >> 3) - 1
        yield 24 + (mantissa if shift < 0 else (mantissa | 8) << shift)


_LENGTHS = tuple(_lengths())


def _counted_length(length: int) -> int:
    return _LENGTHS[bisect_right(_LENGTHS, length) - 1]
