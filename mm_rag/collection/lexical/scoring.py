"""BM25 as a share of the most that a query could give.

A term's score is idf * tf * (k1 + 1) / (tf + k1 * length), which tends to idf * (k1 + 1) in a text
that has it as often as can be. A list in which even the best page has only one of eight words stays
small: it is not sure, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, TypeAlias

import tantivy

from mm_rag.collection.lexical.analysis import is_identifier, is_letter
from mm_rag.collection.lexical.languages import LANGUAGES
from mm_rag.collection.lexical.query import Reading

TITLE_WEIGHT = 0.5
"""What a word of the title counts beside a word of the text."""

MOST_TERMS = 100
"""How many words of a query are searched for. The work grows with each; of a pasted chapter, the
rarest say what it is about, and the others are in every other text, too."""

_K1 = 1.2  # tantivy's

_Clause: TypeAlias = tuple[tantivy.Occur, tantivy.Query]
_Weighed: TypeAlias = tuple[tantivy.Query, float]  # and the most that it could give


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
    def _n(self) -> int:
        # As `doc_freq` does, this counts deleted documents until tantivy merges them away.
        return sum(map(self._in, LANGUAGES))

    def _in(self, language: str) -> int:
        return self.searcher.doc_freq("language", language)

    def weigh(self, reading: Reading) -> tuple[tantivy.Query, float]:
        """Tantivy's query, and the most that a text could score by it: 0 if nothing is asked."""
        clauses: list[_Clause] = []
        most = 0.0
        weighed = (self._terms(reading.terms), self._codes(reading), self._begin(reading))
        for query, best in chain.from_iterable(weighed):
            clauses.append((tantivy.Occur.Should, query))
            most += best
        # A condition, and no more: the words of a phrase are scored as all others are.
        for phrase in reading.phrases:
            needed = tantivy.Query.const_score_query(self._phrase(phrase), 0.0)
            clauses.append((tantivy.Occur.Must, needed))
        return tantivy.Query.boolean_query(clauses), most

    def _terms(self, terms: Iterable[str]) -> Iterator[_Weighed]:
        counted = ((self.searcher.doc_freq("text", term), term) for term in terms)
        # Words that no text has make all others less sure; they push none out.
        for df, term in sorted(counted, key=lambda pair: (not pair[0], pair))[:MOST_TERMS]:
            title = self._term("title", term, "freq")
            either = tantivy.Query.boost_query(title, TITLE_WEIGHT)
            yield self._term("text", term, "freq"), self._most(df)
            yield either, 0.0

    def _codes(self, reading: Reading) -> Iterator[_Weighed]:
        for code, pieces in reading.codes:
            df = self.searcher.doc_freq("whole", code)
            if not df:
                continue  # written like that by nobody, it tells no texts apart; its pieces may
            score, most = self._once(df), self._most(df)
            if is_identifier(code):
                # As much as its pieces could ever give: texts that have it are before those that
                # have the pieces. Compounds like well-known are just one word more: weighed like
                # identifiers they cost 0.002 nDCG@10 on PubMedQA.
                given = sum(self._most(self.searcher.doc_freq("text", each)) for each in pieces)
                score = most = (1 + TITLE_WEIGHT) * given
            yield tantivy.Query.const_score_query(self._term("whole", code), score), most

    def _begin(self, reading: Reading) -> Iterator[_Weighed]:
        for beginning in reading.beginnings:
            query = self._beginning(beginning)
            found: Any = self.searcher.search(query, 1)
            scored = tantivy.Query.const_score_query(query, self._once(found.count))
            yield scored, self._most(found.count)

    def _once(self, df: int) -> float:
        """What a word gives that is once in a text of mean length."""
        return self._most(df) / (_K1 + 1)

    def _most(self, df: int) -> float:
        return (_K1 + 1) * math.log(1 + (self._n - df + 0.5) / (df + 0.5))

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
