"""LexicalIndex: the words of all Segments, searched by BM25. tantivy, on disk, incremental."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import tantivy

from mm_rag.errors import CollectionError
from mm_rag.segment import Segment

_HEAP_BYTES = 50_000_000  # the writer's buffer; tantivy asks for 15 MB at least
_STEMMED = "en_stem"  # tantivy's own: lower case, English stemming

_K1 = 1.2  # tantivy's
_EVERY = "1"  # a word that every document has

TITLE_WEIGHT = 0.5
"""What a word of the title counts beside a word of the text."""


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("sha256", tokenizer_name="raw", index_option="basic")
    builder.add_text_field("every", tokenizer_name="raw", index_option="basic")
    builder.add_text_field("title", tokenizer_name=_STEMMED, index_option="freq")
    builder.add_text_field("text", tokenizer_name=_STEMMED, index_option="position")
    return builder.build()


class LexicalIndex:
    """The lexical index of one collection."""

    def __init__(self, path: Path) -> None:
        self._schema = _schema()
        try:
            self._index = tantivy.Index(self._schema, path=str(path))
        except (ValueError, OSError) as error:
            raise CollectionError(f"The lexical index {path} cannot be opened: {error}") from error
        self._analyzer = (
            tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
            .filter(tantivy.Filter.remove_long(40))
            .filter(tantivy.Filter.lowercase())
            .filter(tantivy.Filter.stemmer("english"))
            .build()
        )

    def put(self, segments: Iterable[Segment]) -> None:
        """Add Segments, replacing those of the same id."""
        writer = self._index.writer(heap_size=_HEAP_BYTES, num_threads=1)
        for segment in segments:
            writer.delete_documents_by_term("id", segment.id)
            writer.add_document(
                tantivy.Document(
                    id=segment.id,
                    sha256=segment.sha256,
                    every=_EVERY,
                    title=segment.title,
                    text=segment.text,
                )
            )
        self._commit(writer)

    def drop_source(self, sha256: str) -> None:
        """Delete all Segments of a file's content."""
        writer = self._index.writer(heap_size=_HEAP_BYTES, num_threads=1)
        writer.delete_documents_by_term("sha256", sha256)
        self._commit(writer)

    def drop(self, ids: Sequence[str]) -> None:
        """Delete Segments; unknown ids are no error."""
        writer = self._index.writer(heap_size=_HEAP_BYTES, num_threads=1)
        for id_ in ids:
            writer.delete_documents_by_term("id", id_)
        self._commit(writer)

    def _commit(self, writer: tantivy.IndexWriter) -> None:
        writer.commit()
        writer.wait_merging_threads()  # frees the writer's lock
        self._index.reload()

    def search(self, words: str, n: int) -> list[tuple[str, float]]:
        """The `n` Segments that share the rarest words with a query, best first.

        Returns:
            Pairs of an id and its BM25, as a share in [0, 1] of the most that the query could give.
        """
        terms = sorted(set(self._analyzer.analyze(words)))
        self._index.reload()
        searcher = self._index.searcher()  # one for all: addresses belong to their searcher
        most = self._best_possible(searcher, terms)
        if not most:
            return []
        found = searcher.search(self._query(terms), n)
        return [
            (searcher.doc(address)["id"][0], min(1.0, score / most))
            for score, address in found.hits
        ]

    def _best_possible(self, searcher: tantivy.Searcher, terms: Sequence[str]) -> float:
        """The BM25 of a text that has every term as often as can be.

        A term's score is idf * tf * (k1 + 1) / (tf + k1 * length), which tends to idf * (k1 + 1).
        """
        # As `doc_freq` does, this counts deleted documents until tantivy merges them away.
        n = searcher.doc_freq("every", _EVERY)
        found = (searcher.doc_freq("text", term) for term in terms)
        return (_K1 + 1) * sum(math.log(1 + (n - df + 0.5) / (df + 0.5)) for df in found)

    def ids(self) -> set[str]:
        """The ids of all Segments."""
        self._index.reload()
        searcher = self._index.searcher()
        if not searcher.num_docs:
            return set()
        found = searcher.search(tantivy.Query.all_query(), searcher.num_docs)
        return {searcher.doc(address)["id"][0] for _, address in found.hits}

    def _query(self, terms: Iterable[str]) -> tantivy.Query:
        # The terms are made by hand, not by tantivy's query parser: a user's words are no syntax.
        should = tantivy.Occur.Should
        clauses: list[tuple[tantivy.Occur, tantivy.Query]] = []
        for term in terms:
            title = tantivy.Query.term_query(self._schema, "title", term, "freq")
            clauses.append((should, tantivy.Query.term_query(self._schema, "text", term)))
            clauses.append((should, tantivy.Query.boost_query(title, TITLE_WEIGHT)))
        return tantivy.Query.boolean_query(clauses)
