"""BM25 and its maximum, requirements, and rare identifiers of a query.

A term's score is idf * tf * (k1 + 1) / (tf + k1 * length), which tends to idf * (k1 + 1) in a text
that has it very often. A list whose best page has one of eight words keeps low shares.

Tried, and left out: feedback from the best documents (RM3) costs 0.012 to 0.039 nDCG@10 on man
pages, PubMedQA and sentences that end abstracts, and gains 0.010 (-0.010 to 0.030) on questions of
manuals; the distance of adjacent query words gains 0.013 (-0.002 to 0.029) on man pages, and costs
0.011 and 0.012 on the questions and the sentences; other k1 and b, as much or less.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import tantivy

from mm_rag.collection.lexical.analysis import LANGUAGES, is_letter
from mm_rag.collection.lexical.asking import ASKING_WEIGHT
from mm_rag.collection.lexical.identifiers import Identifier, Kind
from mm_rag.collection.lexical.live import K1, LiveBM25, LiveCounts
from mm_rag.collection.lexical.query import AnalyzedQuery, ParsedQuery

ABOUT_WEIGHT = 0.5
"""Weight of a term in title, heading and file name beside 1 in the text."""

MOST_TERMS = 100
"""Maximum number of query terms, the rarest. The work grows with each. The rarest words of a pasted
chapter identify it; the others are in every text."""

_RARE: Mapping[Kind, float] = {"code": 0.2, "number": 0.05, "name": 0.01}
"""Largest share of the documents that have a rare identifier. A customer's number is on each of
their invoices; of words that only look like a name, most are more frequent."""
_ALWAYS_RARE = 3  # documents: a page, and two passages of it

_CERTAINTY: Mapping[Kind, float] = {"code": 1.0, "number": 0.3, "name": 0.3}
"""The right answers to 1,000 questions had their rare codes in 90 to 100 of 100 cases, their rare
names in 80 to 95, and their rare numbers in 20 to 100."""

MISSPELT_WEIGHT = 0.5
"""Weight of a word that is spelt almost like one of the query that no text has. NDCG@10 of BM25
alone on 56 generated questions with misspelt words: 0.827 without, 1.000 with (gain 0.099 to 0.254,
95%)."""

_Clause: TypeAlias = tuple[tantivy.Occur, tantivy.Query]
Scored: TypeAlias = tuple[float, tantivy.DocAddress]
_Fixed: TypeAlias = tuple[tantivy.Query, float]  # and its maximum score


@dataclass(frozen=True)
class Named:
    """An identifier of a query that some document has.

    Attributes:
        identifier: The identifier.
        query: Finds the documents.
        df: Number of documents.
    """

    identifier: Identifier
    query: tantivy.Query
    df: int


@dataclass(frozen=True)
class QueryParts:
    """Parts of a query that mean the same in every language.

    Attributes:
        named: Its identifiers.
        required: Clauses for its phrases and prefixes.
        best: Maximum score of these clauses.
        misspelt: Clauses for words spelt almost like those that no document has.
    """

    named: Sequence[Named]
    required: Sequence[_Clause]
    best: float
    misspelt: Sequence[_Clause]


@dataclass(frozen=True)
class WeightedQuery:
    """An analysed query as tantivy takes it.

    Attributes:
        clauses: Tantivy's clauses.
        maximum: The maximum score of any text: 0 for an empty query.
        constant: The clauses with the same score for every matching text.
        terms: Scores the other clauses without deleted documents.
    """

    clauses: Sequence[_Clause]
    maximum: float
    constant: Sequence[_Clause]
    terms: LiveBM25


@dataclass(frozen=True)
class Scorer:
    """Weights queries by one state of the index.

    Attributes:
        searcher: The searcher of that state.
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

    # What does not depend on the language.

    def parts(self, query: ParsedQuery, analyses: Iterable[AnalyzedQuery]) -> QueryParts:
        """The parts of a query that mean the same in every language."""
        # Only conditions: the words of a phrase are scored like all others.
        required = [
            (tantivy.Occur.Must, _constant(self._phrase(phrase), 0.0)) for phrase in query.phrases
        ]
        best = 0.0
        for prefix in query.prefixes:
            scored, maximum = self._scored_prefix(prefix)
            required.append((tantivy.Occur.Must, scored))
            best += maximum
        named = filter(None, map(self._named, query.identifiers))
        misspelt = self._misspelt(query, analyses)
        return QueryParts(tuple(named), required, best, list(misspelt))

    def _phrase(self, phrase: tuple[str, ...]) -> tantivy.Query:
        last = phrase[-1]
        if len(phrase) == 1:
            return self._prefix("exact", last) if is_letter(last) else self._term("exact", last)
        if is_letter(last):
            return tantivy.Query.phrase_prefix_query(self.schema, "exact", list(phrase))
        return tantivy.Query.phrase_query(self.schema, "exact", list(phrase))

    def _scored_prefix(self, prefix: str) -> _Fixed:
        matching = _any(self._prefix(field, prefix) for field in ("exact", "codes"))
        count = self._count(matching)
        return _constant(matching, self._once(count)), self._maximum(count)

    def _named(self, identifier: Identifier) -> Named | None:
        field = "exact" if identifier.kind == "name" else "codes"
        for forms in (identifier.forms, identifier.otherwise):
            dfs = {form: df for form in forms if (df := self._df(field, form))}
            if dfs:
                query = _any(self._term(field, form) for form in dfs)
                df = self._count(query) if len(dfs) > 1 else sum(dfs.values())
                return Named(identifier, query, df)
        return None

    def lacks_codes(self, query: ParsedQuery) -> bool:
        """Whether the query has codes, and no document has any of them."""
        codes = [each for each in query.identifiers if each.kind == "code"]
        return bool(codes) and not any(map(self._named, codes))

    def _misspelt(self, query: ParsedQuery, analyses: Iterable[AnalyzedQuery]) -> Iterator[_Clause]:
        """Words spelt almost like those that no document has."""
        known = {term for each in analyses for term in each.terms if self._df("text", term)}
        for word, spellings in query.unknown(known, self.languages):
            for distance in range(1, spellings + 1):
                near = tantivy.Query.fuzzy_term_query(self.schema, "exact", word, distance)
                if df := self._count(near):
                    score = MISSPELT_WEIGHT * self._once(df)
                    yield tantivy.Occur.Should, _constant(near, score)
                    break

    # What depends on it.

    def weighted(self, query: AnalyzedQuery, parts: QueryParts) -> WeightedQuery:
        """The tantivy clauses, and the maximum score."""
        terms = {
            term: (ASKING_WEIGHT if term in query.lesser else 1.0, df)
            for df, term in self._rarest(query.terms)
        }
        fixed = [
            *self._identifiers(query, parts.named),
            *self._codes(query),
            *map(self._scored_prefix, query.letters),
        ]
        maximum = parts.best + sum(best for _, best in fixed)
        maximum += sum(weight * self._maximum(df) for weight, df in terms.values())
        weights = {term: weight for term, (weight, _) in terms.items()}
        constant = [(tantivy.Occur.Should, each) for each, _ in fixed]
        constant += [*parts.misspelt, *parts.required]
        scored = [(tantivy.Occur.Should, each) for each in self._terms(weights)]
        live = LiveBM25(self._counts, weights, {"about": ABOUT_WEIGHT, "text": 1.0})
        return WeightedQuery([*scored, *constant], maximum, constant, live)

    def _rarest(self, terms: Iterable[str]) -> list[tuple[int, str]]:
        counted = ((self._df("text", term), term) for term in terms)
        # Terms that no text has lower the score of all texts; they displace no other term.
        return sorted(counted, key=lambda pair: (not pair[0], pair))[:MOST_TERMS]

    def _terms(self, weights: Mapping[str, float]) -> Iterator[tantivy.Query]:
        for term, weight in weights.items():
            text, about = (self._term(field, term, "freq") for field in ("text", "about"))
            yield text if weight == 1.0 else tantivy.Query.boost_query(text, weight)
            yield tantivy.Query.boost_query(about, weight * ABOUT_WEIGHT)

    def _identifiers(self, query: AnalyzedQuery, named: Sequence[Named]) -> Iterator[_Fixed]:
        pieces = dict(query.identifiers)
        for each in named:
            if each.identifier.kind == "code":
                score = self._of_pieces(pieces[each.identifier])
                yield _constant(each.query, score), score
            elif each.identifier.kind == "number":
                yield _constant(each.query, self._once(each.df)), self._maximum(each.df)

    def _codes(self, query: AnalyzedQuery) -> Iterator[_Fixed]:
        for code in query.codes:
            df = self._df("codes", code)
            if not df:
                continue  # in no text, so it does not distinguish any; its pieces may
            yield _constant(self._term("codes", code), self._once(df)), self._maximum(df)

    def _of_pieces(self, pieces: Iterable[str]) -> float:
        """The maximum score of pieces: texts with the whole come before those with only these.

        Compounds such as well-known, and short numbers such as 64.4, are one more word: with this
        weight they cost 0.002 nDCG@10 on PubMedQA and 0.010 on sentences that end abstracts.
        """
        return (1 + ABOUT_WEIGHT) * sum(self._maximum(self._df("text", each)) for each in pieces)

    # Finding.

    def find(self, query: WeightedQuery, n: int) -> list[Scored]:
        """The `n` best documents."""
        found = self.searcher.search(
            tantivy.Query.boolean_query(list(query.clauses)), n, count=False
        )
        return self._live(query, found.hits)

    def among(self, query: WeightedQuery, ids: Collection[str]) -> list[Scored]:
        """The documents of these ids that have all that the query requires."""
        return self._live(query, self._among(query.clauses, ids))

    def codes(self, named: Sequence[Named], ids: Collection[str]) -> dict[str, float]:
        """The share, by rarity, of the rare identifiers that documents have, by id."""
        clauses, total = self._rare(named)
        if not clauses:
            return {}
        found = self._among(clauses, ids)
        return {self.id_of(address): _share(score, total) for score, address in found}

    def with_codes(self, named: Sequence[Named], n: int) -> list[Scored]:
        """The `n` documents with the most of the rare identifiers, with that share."""
        clauses, total = self._rare(named)
        if not clauses:
            return []
        hits = self.searcher.search(tantivy.Query.boolean_query(clauses), n, count=False).hits
        return [(_share(score, total), address) for score, address in hits]

    def id_of(self, address: tantivy.DocAddress) -> str:
        """The id of a document."""
        return self.searcher.doc(address)["id"][0]

    def _rare(self, named: Sequence[Named]) -> tuple[list[_Clause], float]:
        """Clauses with the rarity of each rare identifier, and the sum of all."""
        n = self.searcher.num_docs
        rare = [
            (each, self._counts.idf(each.df))
            for each in named
            if each.df <= max(_ALWAYS_RARE, _RARE[each.identifier.kind] * n)
        ]
        clauses = [
            (tantivy.Occur.Should, _constant(each.query, idf * _CERTAINTY[each.identifier.kind]))
            for each, idf in rare
        ]
        return clauses, sum(idf for _, idf in rare)

    def _among(self, clauses: Sequence[_Clause], ids: Collection[str]) -> list[Scored]:
        n = min(len(ids), self.searcher.num_docs)
        if not n:
            return []
        # 0.9 ms for 100 ids, seven words and 50,000 documents; with a term set 5.5 ms.
        among = _any(self._term("id", id_) for id_ in ids)
        needed = (tantivy.Occur.Must, _constant(among, 0.0))
        query = tantivy.Query.boolean_query([needed, *clauses])
        return list(self.searcher.search(query, n, count=False).hits)

    def _live(self, query: WeightedQuery, found: Sequence[Scored]) -> list[Scored]:
        """The scores without deleted documents, in the order of `found`."""
        if not self.has_deleted or not found:
            return list(found)
        documents: list[dict[str, list[str]]] = [
            self.searcher.doc(address).to_dict() for _, address in found
        ]
        constant = self._constant_scores(query.constant, [one["id"][0] for one in documents])
        return [
            (query.terms.score(one) + constant.get(one["id"][0], 0.0), address)
            for one, (_, address) in zip(documents, found, strict=True)
        ]

    def _constant_scores(self, clauses: Sequence[_Clause], ids: Sequence[str]) -> dict[str, float]:
        """The part of the scores that comes from constant clauses, by id."""
        if not clauses:
            return {}
        hits = self._among(clauses, ids)
        return {self.id_of(address): score for score, address in hits}

    # Scores and queries.

    def _once(self, df: int) -> float:
        """The score of a term that occurs once in a text of mean length."""
        return self._maximum(df) / (K1 + 1)

    def _maximum(self, df: int) -> float:
        return (K1 + 1) * self._counts.idf(df)

    def _count(self, query: tantivy.Query) -> int:
        found: Any = self.searcher.search(query, 1)  # its annotations forget `count`
        return int(found.count or 0)

    def _term(self, field: str, term: str, option: str = "basic") -> tantivy.Query:
        return tantivy.Query.term_query(self.schema, field, term, option)

    def _prefix(self, field: str, prefix: str) -> tantivy.Query:
        return tantivy.Query.fuzzy_term_query(self.schema, field, prefix, distance=0, prefix=True)


def _constant(query: tantivy.Query, score: float) -> tantivy.Query:
    return tantivy.Query.const_score_query(query, score)


def _any(queries: Iterable[tantivy.Query]) -> tantivy.Query:
    return tantivy.Query.boolean_query([(tantivy.Occur.Should, each) for each in queries])


def _share(score: float, total: float) -> float:
    return min(1.0, round(score / total, 6))  # tantivy's scores have seven digits
