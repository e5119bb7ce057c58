"""BM25 as a share of the most that a query could give.

A term's score is idf * tf * (k1 + 1) / (tf + k1 * length), which tends to idf * (k1 + 1) in a text
that has it as often as can be. A list in which even the best page has only one of eight words stays
small: it is not sure, and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import tantivy

from mm_rag.collection.lexical.analysis import is_identifier, is_letter
from mm_rag.collection.lexical.languages import LANGUAGES
from mm_rag.collection.lexical.live import K1, LiveBM25, LiveCounts
from mm_rag.collection.lexical.query import Reading

TITLE_WEIGHT = 0.5
"""What a word of the title counts beside a word of the text."""

MOST_TERMS = 100
"""How many words of a query are searched for. The work grows with each; of a pasted chapter, the
rarest say what it is about, and the others are in every other text, too."""

_Clause: TypeAlias = tuple[tantivy.Occur, tantivy.Query]
_Fixed: TypeAlias = tuple[tantivy.Query, float]  # and the most that it could give


@dataclass(frozen=True)
class Weighed:
    """A reading, weighed.

    Attributes:
        query: Tantivy's.
        most: The most that a text could score by it: 0 if nothing is asked.
        constant: Those of its clauses whose scores do not depend on a text.
        live: Scores the others by what has not been deleted.
    """

    query: tantivy.Query
    most: float
    constant: Sequence[_Clause]
    live: LiveBM25


@dataclass(frozen=True)
class Scorer:
    """Weighs words by one state of the index.

    Attributes:
        searcher: That state.
        schema: What its fields are called.
    """

    searcher: tantivy.Searcher
    schema: tantivy.Schema

    @cached_property
    def languages(self) -> list[str]:
        """The languages that Segments are in."""
        return [language for language in LANGUAGES if self._in(language)]

    @cached_property
    def has_deleted(self) -> bool:
        """Whether tantivy counts texts that have been deleted, and not yet merged away."""
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

    def weigh(self, reading: Reading) -> Weighed:
        """What to ask tantivy, and what it amounts to."""
        terms = self._chosen(reading.terms)
        fixed = [*self._codes(reading), *self._begin(reading)]
        most = sum(best for _, best in fixed) + sum(self._most(df) for df, _ in terms)
        clauses = [(tantivy.Occur.Should, query) for query in self._terms(terms)]
        constant: list[_Clause] = [(tantivy.Occur.Should, query) for query, _ in fixed]
        clauses += constant
        # A condition, and no more: the words of a phrase are scored as all others are.
        for phrase in reading.phrases:
            needed = tantivy.Query.const_score_query(self._phrase(phrase), 0.0)
            clauses.append((tantivy.Occur.Must, needed))
        weights = {"title": TITLE_WEIGHT, "text": 1.0}
        live = LiveBM25(self._counts, [term for _, term in terms], weights)
        return Weighed(tantivy.Query.boolean_query(clauses), most, constant, live)

    def _chosen(self, terms: Iterable[str]) -> list[tuple[int, str]]:
        counted = ((self._df("text", term), term) for term in terms)
        # Words that no text has make all others less sure; they push none out.
        return sorted(counted, key=lambda pair: (not pair[0], pair))[:MOST_TERMS]

    def _terms(self, terms: Iterable[tuple[int, str]]) -> Iterator[tantivy.Query]:
        for _, term in terms:
            title = self._term("title", term, "freq")
            either = tantivy.Query.boost_query(title, TITLE_WEIGHT)
            yield self._term("text", term, "freq")
            yield either

    def scores(
        self, weighed: Weighed, found: Sequence[tuple[float, tantivy.DocAddress]]
    ) -> list[tuple[float, tantivy.DocAddress]]:
        """What texts score by what has not been deleted, in the order in which they were found.

        Args:
            weighed: By which they were found.
            found: Their scores as tantivy counts, and where they are.
        """
        if not self.has_deleted or not found:
            return list(found)
        documents: list[dict[str, list[str]]] = [
            self.searcher.doc(address).to_dict() for _, address in found
        ]
        constant = self._constant(weighed.constant, [one["id"][0] for one in documents])
        return [
            (weighed.live.score(one) + constant.get(one["id"][0], 0.0), address)
            for one, (_, address) in zip(documents, found, strict=True)
        ]

    def _constant(self, clauses: Sequence[_Clause], ids: Sequence[str]) -> dict[str, float]:
        """What does not depend on how often a text has a word, by its id."""
        if not clauses:
            return {}
        among = tantivy.Query.term_set_query(self.schema, "id", list(ids))
        needed = (tantivy.Occur.Must, tantivy.Query.const_score_query(among, 0.0))
        query = tantivy.Query.boolean_query([needed, *clauses])
        hits = self.searcher.search(query, len(ids), count=False).hits
        return {self.searcher.doc(address)["id"][0]: score for score, address in hits}

    def _codes(self, reading: Reading) -> Iterator[_Fixed]:
        for code, pieces in reading.codes:
            df = self._df("whole", code)
            if not df:
                continue  # written like that by nobody, it tells no texts apart; its pieces may
            score, most = self._once(df), self._most(df)
            if is_identifier(code):
                # As much as its pieces could ever give: texts that have it are before those that
                # have the pieces. Compounds like well-known are just one word more: weighed like
                # identifiers they cost 0.002 nDCG@10 on PubMedQA.
                given = sum(self._most(self._df("text", each)) for each in pieces)
                score = most = (1 + TITLE_WEIGHT) * given
            yield tantivy.Query.const_score_query(self._term("whole", code), score), most

    def _begin(self, reading: Reading) -> Iterator[_Fixed]:
        for beginning in reading.beginnings:
            query = self._beginning(beginning)
            found: Any = self.searcher.search(query, 1)
            scored = tantivy.Query.const_score_query(query, self._once(found.count))
            yield scored, self._most(found.count)

    def _once(self, df: int) -> float:
        """What a word gives that is once in a text of mean length."""
        return self._most(df) / (K1 + 1)

    def _most(self, df: int) -> float:
        return (K1 + 1) * self._counts.idf(df)

    def _phrase(self, phrase: tuple[str, ...]) -> tantivy.Query:
        return tantivy.Query.boolean_query(
            [(tantivy.Occur.Should, self._phrase_in(field, phrase)) for field in ("title", "text")]
        )

    def _phrase_in(self, field: str, phrase: tuple[str, ...]) -> tantivy.Query:
        last = phrase[-1]
        if len(phrase) == 1:
            return self._beginning(last, field) if is_letter(last) else self._term(field, last)
        if is_letter(last):
            return tantivy.Query.phrase_prefix_query(self.schema, field, list(phrase))
        return tantivy.Query.phrase_query(self.schema, field, list(phrase))

    def _term(self, field: str, term: str, option: str = "basic") -> tantivy.Query:
        return tantivy.Query.term_query(self.schema, field, term, option)

    def _beginning(self, beginning: str, field: str = "whole") -> tantivy.Query:
        return tantivy.Query.fuzzy_term_query(
            self.schema, field, beginning, distance=0, prefix=True
        )
