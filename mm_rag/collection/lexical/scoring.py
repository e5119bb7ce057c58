"""BM25, divided by the maximum possible for the query.

A term's score is idf * tf * (k1 + 1) / (tf + k1 * length), which tends to idf * (k1 + 1) in a text
that has it very often. A list whose best page has one of eight words keeps low scores.

tantivy counts deleted documents until it merges them away, which it may never do: in the number of
documents, the document frequencies and the mean lengths. Scores would depend on what was once
there. So if there are deleted documents, what tantivy finds is scored again, by its own formula and
the right counts.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import tantivy

from mm_rag.collection.lexical.analysis import LANGUAGES, is_identifier, is_letter
from mm_rag.collection.lexical.query import AnalyzedQuery

K1, B = 1.2, 0.75  # tantivy's

FIELDS = ("title", "text")

TITLE_WEIGHT = 0.5
"""Weight of a term in the title beside 1 in the text."""

MOST_TERMS = 100
"""Maximum number of query terms, the rarest. The work grows with each. The rarest words of a pasted
chapter identify it; the others are in every text."""

_Clause: TypeAlias = tuple[tantivy.Occur, tantivy.Query]
Scored: TypeAlias = tuple[float, tantivy.DocAddress]
_Fixed: TypeAlias = tuple[tantivy.Query, float]  # and its maximum score


@dataclass(frozen=True)
class WeightedQuery:
    """An analysed query as tantivy takes it.

    Attributes:
        query: Tantivy's query.
        clauses: Its clauses.
        maximum: The maximum score of any text: 0 for an empty query.
        constant: The clauses with the same score for every matching text.
        terms: Scores the other clauses without deleted documents.
    """

    query: tantivy.Query
    clauses: Sequence[_Clause]
    maximum: float
    constant: Sequence[_Clause]
    terms: LiveBM25


@dataclass(frozen=True)
class Scorer:
    """Weights queries by one state of the index.

    Attributes:
        searcher: That state.
        schema: Its fields.
    """

    searcher: tantivy.Searcher
    schema: tantivy.Schema

    @cached_property
    def languages(self) -> list[str]:
        """The languages of its segments."""
        return [language for language in LANGUAGES if self._in(language)]

    @cached_property
    def has_deleted(self) -> bool:
        """Whether tantivy still counts deleted documents."""
        return sum(map(self._in, LANGUAGES)) != self.searcher.num_docs

    @cached_property
    def _counts(self) -> LiveCounts:
        return LiveCounts(self.searcher, self.schema)

    def _df(self, field: str, term: str) -> int:
        if self.has_deleted:
            return self._counts.frequency(field, term)
        return self.searcher.doc_freq(field, term)

    def _in(self, language: str) -> int:
        return self.searcher.doc_freq("language", language)

    def weighted(self, query: AnalyzedQuery) -> WeightedQuery:
        """The tantivy query, and its maximum score."""
        terms = self._rarest(query.terms)
        fixed = [*self._codes(query), *self._prefixes(query)]
        maximum = sum(best for _, best in fixed) + sum(self._maximum(df) for df, _ in terms)
        clauses = [(tantivy.Occur.Should, each) for each in self._terms(terms)]
        constant: list[_Clause] = [(tantivy.Occur.Should, each) for each, _ in fixed]
        clauses += constant
        # Only a condition: the words of a phrase are scored like all others.
        for phrase in query.phrases:
            needed = tantivy.Query.const_score_query(self._phrase(phrase), 0.0)
            clauses.append((tantivy.Occur.Must, needed))
        weights = {"title": TITLE_WEIGHT, "text": 1.0}
        live = LiveBM25(self._counts, [term for _, term in terms], weights)
        return WeightedQuery(tantivy.Query.boolean_query(clauses), clauses, maximum, constant, live)

    def _rarest(self, terms: Iterable[str]) -> list[tuple[int, str]]:
        counted = ((self._df("text", term), term) for term in terms)
        # Terms that no text has lower the score of all texts; they displace no other term.
        return sorted(counted, key=lambda pair: (not pair[0], pair))[:MOST_TERMS]

    def _terms(self, terms: Iterable[tuple[int, str]]) -> Iterator[tantivy.Query]:
        for _, term in terms:
            title = self._term("title", term, "freq")
            either = tantivy.Query.boost_query(title, TITLE_WEIGHT)
            yield self._term("text", term, "freq")
            yield either

    def among(self, query: WeightedQuery, ids: Collection[str]) -> list[Scored]:
        """The documents of these ids that have all that the query requires."""
        n = min(len(ids), self.searcher.num_docs)
        if not n:
            return []
        among = tantivy.Query.term_set_query(self.schema, "id", list(ids))
        needed = (tantivy.Occur.Must, tantivy.Query.const_score_query(among, 0.0))
        whole = tantivy.Query.boolean_query([needed, *query.clauses])
        return list(self.searcher.search(whole, n, count=False).hits)

    def scores(self, query: WeightedQuery, found: Sequence[Scored]) -> list[Scored]:
        """The scores of texts without deleted documents, in the order of `found`.

        Args:
            query: The query that found them.
            found: Tantivy's scores, and the addresses.
        """
        if not self.has_deleted or not found:
            return list(found)
        documents: list[dict[str, list[str]]] = [
            self.searcher.doc(address).to_dict() for _, address in found
        ]
        constant = self._constant(query.constant, [one["id"][0] for one in documents])
        return [
            (query.terms.score(one) + constant.get(one["id"][0], 0.0), address)
            for one, (_, address) in zip(documents, found, strict=True)
        ]

    def _constant(self, clauses: Sequence[_Clause], ids: Sequence[str]) -> dict[str, float]:
        """The part of the scores that comes from constant clauses, by id."""
        if not clauses:
            return {}
        among = tantivy.Query.term_set_query(self.schema, "id", list(ids))
        needed = (tantivy.Occur.Must, tantivy.Query.const_score_query(among, 0.0))
        query = tantivy.Query.boolean_query([needed, *clauses])
        hits = self.searcher.search(query, len(ids), count=False).hits
        return {self.searcher.doc(address)["id"][0]: score for score, address in hits}

    def _codes(self, query: AnalyzedQuery) -> Iterator[_Fixed]:
        for code, pieces in query.codes:
            df = self._df("whole", code)
            if not df:
                continue  # in no text, so it does not distinguish any; its pieces may
            score, maximum = self._once(df), self._maximum(df)
            if is_identifier(code):
                # The maximum score of its pieces: texts that have it come before those that only
                # have the pieces. Compounds such as well-known are one more word: with the weight
                # of identifiers they cost 0.002 nDCG@10 on PubMedQA.
                by_pieces = sum(self._maximum(self._df("text", each)) for each in pieces)
                score = maximum = (1 + TITLE_WEIGHT) * by_pieces
            yield tantivy.Query.const_score_query(self._term("whole", code), score), maximum

    def _prefixes(self, query: AnalyzedQuery) -> Iterator[_Fixed]:
        for prefix in query.prefixes:
            matching = self._prefix(prefix)
            found: Any = self.searcher.search(matching, 1)
            scored = tantivy.Query.const_score_query(matching, self._once(found.count))
            yield scored, self._maximum(found.count)

    def _once(self, df: int) -> float:
        """The score of a term that occurs once in a text of mean length."""
        return self._maximum(df) / (K1 + 1)

    def _maximum(self, df: int) -> float:
        return (K1 + 1) * self._counts.idf(df)

    def _phrase(self, phrase: tuple[str, ...]) -> tantivy.Query:
        return tantivy.Query.boolean_query(
            [(tantivy.Occur.Should, self._phrase_in(field, phrase)) for field in ("title", "text")]
        )

    def _phrase_in(self, field: str, phrase: tuple[str, ...]) -> tantivy.Query:
        last = phrase[-1]
        if len(phrase) == 1:
            return self._prefix(last, field) if is_letter(last) else self._term(field, last)
        if is_letter(last):
            return tantivy.Query.phrase_prefix_query(self.schema, field, list(phrase))
        return tantivy.Query.phrase_query(self.schema, field, list(phrase))

    def _term(self, field: str, term: str, option: str = "basic") -> tantivy.Query:
        return tantivy.Query.term_query(self.schema, field, term, option)

    def _prefix(self, prefix: str, field: str = "whole") -> tantivy.Query:
        return tantivy.Query.fuzzy_term_query(self.schema, field, prefix, distance=0, prefix=True)


@dataclass(frozen=True)
class LiveCounts:
    """Document counts and mean lengths of one state of the index, without deleted documents.

    Attributes:
        searcher: That state.
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
        terms: The query's terms.
        weights: Weight of a term in each of the `FIELDS`.
    """

    counts: LiveCounts
    terms: Sequence[str]
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
        return sum(_gain(idfs[term], found[term], length) for term in self.terms if found[term])


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
