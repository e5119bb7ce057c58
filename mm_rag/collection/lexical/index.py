"""LexicalIndex: adds, deletes and searches segments by their words."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import tantivy

from mm_rag._forking import ForkableLock
from mm_rag.collection.damage import KnownFiles, is_panic, is_whole
from mm_rag.collection.lexical.analysis import (
    PLAIN,
    cleaned,
    codes,
    language_of,
    spaced,
    stems,
)
from mm_rag.collection.lexical.query import analyzed_query, parse_query
from mm_rag.collection.lexical.scoring import Scored, Scorer, WeightedQuery
from mm_rag.errors import CollectionError, MMRagError
from mm_rag.segment import Segment

_SPACES = "mm_rag_spaces"  # the tokenizer's name in the index

_HEAP_BYTES = 50_000_000  # the writer's buffer; tantivy asks for 15 MB at least

_TIES = 16  # times as many texts as wanted are retrieved if all have the same score

_OPENING = "It holds nothing that is not elsewhere: delete that folder and repair() makes it again."
_READING = "If it is damaged or gone, delete its folder and repair() makes it again."
_WRITING = "Is the disk full or read-only, or does another process write to it?"


class WordMatch(NamedTuple):
    """What a segment has of a query's words.

    Attributes:
        score: BM25 over the fields, in nats.
        share: The score divided by the maximum possible for the query, in [0, 1].
        codes: The share, by rarity, of the query's rare identifiers that it has, in [0, 1].
        nearness: How close together it has the query's words, in [0, 1].
    """

    score: float = 0.0
    share: float = 0.0
    codes: float = 0.0
    nearness: float = 0.0


class LexicalIndex:
    """The words of one collection's segments, searched by BM25.

    Many threads and processes may search while one writes. Two writers wait for each other in one
    process, and raise an error in two.

    Args:
        path: An existing folder, empty or with an index in it; None to keep it in memory.

    Raises:
        CollectionError: The folder is missing, damaged, or another version's.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known = None if path is None else known_words(path)
        self._schema = _make_schema()
        self._writing = ForkableLock()
        with self._explained("opened", _OPENING):
            self._index = _open_index(self._schema, path)

    def put(self, segments: Iterable[Segment]) -> None:
        """Add segments, replacing those with the same id, in one commit.

        Raises:
            CollectionError: They cannot be written; none is added.
        """
        self.change(segments, ())

    def drop(self, ids: Sequence[str]) -> None:
        """Delete segments; unknown ids are ignored.

        Raises:
            CollectionError: It cannot be written; none is deleted.
        """
        self.change((), ids)

    def change(self, new: Iterable[Segment], gone: Sequence[str]) -> None:
        """Delete segments, and add others or replace those with the same id, in one commit.

        Raises:
            CollectionError: It cannot be written; nothing has changed.
        """
        new = iter(new)
        first = next(new, None)
        if first is None and not gone:
            return
        with self._writing, self._explained("written", _WRITING):
            writer = self._index.writer(heap_size=_HEAP_BYTES, num_threads=1)
            try:
                # A writer killed while committing left files with the next names.
                writer.garbage_collect_files()
                for id_ in gone:
                    writer.delete_documents_by_term("id", id_)
                for segment in chain([] if first is None else [first], new):
                    writer.delete_documents_by_term("id", segment.id)
                    writer.add_document(_document_of(segment))
                writer.commit()
                writer.wait_merging_threads()
            finally:
                del writer  # frees tantivy's lock, even while the error is referenced
            self._index.reload()
            if self._known is not None:
                self._known.note()

    def search(self, words: str, n: int) -> list[tuple[str, WordMatch]]:
        """The `n` segments with the highest BM25 for a query, best first.

        Words in double quotes are a required phrase; `valv*` matches any word that begins so.

        Returns:
            Pairs of an id and what it has of the query.

        Raises:
            CollectionError: The index was damaged since it was opened.
        """
        with self._explained("searched", _READING):
            scorer = Scorer(self._searcher(), self._schema)
            found = self._best(
                scorer, words, lambda query: _found(scorer.searcher, query.query, query.maximum, n)
            )
            # Ties in an order that does not depend on when they were written.
            return sorted(found.items(), key=lambda pair: (-pair[1].share, pair[0]))[:n]

    def matches(self, words: str, ids: Collection[str]) -> dict[str, WordMatch]:
        """What segments have of a query, by id; those that lack something required are left out.

        Args:
            words: The query, as in `search`.
            ids: Segments that something else found. Unknown ids are left out.

        Raises:
            CollectionError: The index was damaged since it was opened.
        """
        if not ids:
            return {}
        with self._explained("searched", _READING):
            scorer = Scorer(self._searcher(), self._schema)
            return self._best(scorer, words, lambda query: scorer.among(query, ids))

    def _best(
        self, scorer: Scorer, words: str, find: Callable[[WeightedQuery], Sequence[Scored]]
    ) -> dict[str, WordMatch]:
        """What `find` finds, by id.

        A query is too short to tell its language: it is analysed in every language of the index,
        and a segment counts by its best score.
        """
        parsed = parse_query(words)
        analyses = dict.fromkeys(analyzed_query(parsed, each) for each in scorer.languages)
        best: dict[tuple[int, int], tuple[WordMatch, tantivy.DocAddress]] = {}
        for query in map(scorer.weighted, analyses):
            for score, address in scorer.scores(query, find(query)):
                share = min(1.0, score / query.maximum) if query.maximum else 0.0
                key = (address.segment_ord, address.doc)
                if key not in best or share > best[key][0].share:
                    best[key] = (WordMatch(score, share), address)
        return {scorer.searcher.doc(at)["id"][0]: match for match, at in best.values()}

    def is_sound(self) -> bool:
        """Whether the files are as they were written, and can be read completely."""
        if self._path is None or self._known is None:
            return True
        return self._known.are_sound() and is_whole(self._path, "words")

    def __len__(self) -> int:
        """Number of segments."""
        with self._explained("read", _READING):
            return self._searcher().num_docs

    def ids(self) -> set[str]:
        """The ids of all segments.

        Raises:
            CollectionError: The index was damaged since it was opened.
        """
        with self._explained("read", _READING):
            searcher = self._searcher()
            if not searcher.num_docs:
                return set()
            every = searcher.search(tantivy.Query.all_query(), searcher.num_docs, count=False)
            return {searcher.doc(address)["id"][0] for _, address in every.hits}

    def _searcher(self) -> tantivy.Searcher:
        self._index.reload()  # another process may have written
        return self._index.searcher()  # one for a whole search: addresses belong to their searcher

    @contextmanager
    def _explained(self, done: str, advice: str) -> Generator[None]:
        try:
            yield
        except BaseException as error:
            # With damaged files tantivy raises errors of any class, and its Rust code panics.
            is_ours = isinstance(error, MMRagError)
            if is_ours or not (isinstance(error, Exception) or is_panic(error)):
                raise
            where = "in memory" if self._path is None else str(self._path)
            raise CollectionError(
                f"The lexical index {where} cannot be {done}: {error}. {advice}"
            ) from error


def known_words(path: Path) -> KnownFiles:
    """The recorded state of an index's files."""
    return KnownFiles(path, path.with_name(f"{path.name}.state"))


def _found(
    searcher: tantivy.Searcher, query: tantivy.Query, maximum: float, n: int
) -> list[Scored]:
    """The best documents by tantivy's score: `n`, or more if the last of them are tied."""
    n = min(n, searcher.num_docs)
    if n < 1 or not maximum:
        return []
    hits = searcher.search(query, n, count=False).hits
    # tantivy breaks ties by when documents were written: all that are tied are retrieved.
    wanted = n
    while len(hits) == wanted < searcher.num_docs and wanted < _TIES * n:
        if hits[-1][0] < hits[n - 1][0]:
            break
        wanted = min(4 * wanted, searcher.num_docs)
        hits = searcher.search(query, wanted, count=False).hits
    return list(hits)


def _make_schema() -> tantivy.Schema:
    """The fields of the index.

    `title` and `text` hold stems in the segment's language. All languages share the two fields,
    because BM25 compares a text's length with the mean of its field over all segments: with a field
    for each language, the only German page among a thousand would be 1,000 times as long as the
    mean, and score next to nothing. `whole` holds words as they are written, and codes.
    """
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("sha256", tokenizer_name="raw", index_option="basic")
    builder.add_text_field("language", tokenizer_name="raw", index_option="basic")
    # Stored, with their lengths, to score without deleted documents (`scoring`).
    for name in ("title", "text"):
        builder.add_text_field(name, stored=True, tokenizer_name=_SPACES, index_option="position")
        builder.add_integer_field(f"{name}_length", fast=True)
    builder.add_text_field("whole", tokenizer_name=_SPACES, index_option="basic")
    return builder.build()


def _open_index(schema: tantivy.Schema, path: Path | None) -> tantivy.Index:
    """The index in a folder, or a new one in memory."""
    index = tantivy.Index(schema, path=None if path is None else str(path))
    # tantivy is given terms that `analysis` made, separated by spaces.
    spaces = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
    index.register_tokenizer(_SPACES, spaces)
    return index


def _document_of(segment: Segment) -> tantivy.Document:
    """A segment as it is indexed."""
    title, text = (spaced(cleaned(part), ends=True) for part in (segment.title, segment.text))
    language = language_of(segment.text if segment.text.strip() else segment.title)
    in_title, in_text = stems(title, language), stems(text, language)
    whole = {*stems(title, PLAIN), *stems(text, PLAIN), *codes(title), *codes(text)}
    return tantivy.Document(
        id=segment.id,
        sha256=segment.sha256,
        language=language,
        title=" ".join(in_title),
        title_length=len(in_title),
        text=" ".join(in_text),
        text_length=len(in_text),
        whole=" ".join(whole),
    )
