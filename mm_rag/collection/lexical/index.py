"""LexicalIndex: adds, deletes and searches segments by their words."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from contextlib import contextmanager
from itertools import chain, takewhile
from pathlib import Path
from typing import NamedTuple, TypeAlias

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
from mm_rag.collection.lexical.identifiers import forms_in
from mm_rag.collection.lexical.live import FIELDS
from mm_rag.collection.lexical.query import ParsedQuery, analyzed_query, parse_query
from mm_rag.collection.lexical.scoring import Scored, Scorer, WeightedQuery
from mm_rag.errors import CollectionError, MMRagError
from mm_rag.segment import Segment

# The tokenizer's name in the index. Another number makes indexes of older versions again, which is
# needed whenever texts are indexed in another way.
_SPACES = "mm_rag_spaces_2"

_HEAP_BYTES = 50_000_000  # the writer's buffer; tantivy asks for 15 MB at least

_TIES = 16  # times as many texts as wanted are retrieved if all have the same score

_OPENING = "It holds nothing that is not elsewhere: delete that folder and repair() makes it again."
_READING = "If it is damaged or gone, delete its folder and repair() makes it again."
_WRITING = "Is the disk full or read-only, or does another process write to it?"


class WordMatch(NamedTuple):
    """Match of a segment with a query's words.

    Attributes:
        score: BM25 over the fields, in nats.
        share: The score divided by the maximum possible for the query, in [0, 1].
        codes: The share, by rarity, of the query's rare identifiers that it has, in [0, 1]. Names
            and numbers count 0.3 of a code.
    """

    score: float = 0.0
    share: float = 0.0
    codes: float = 0.0


class QueryMatches(NamedTuple):
    """Matches of a query in one state of the index.

    Attributes:
        best: The best segments by BM25 and their matches, best first.
        others: The matches of segments that something else found, by id; without those that lack
            something required.
        requires: Whether the query requires phrases or beginnings of words.
        lacks_codes: Whether the query has codes, and no segment has any of them.
    """

    best: list[tuple[str, WordMatch]]
    others: dict[str, WordMatch]
    requires: bool
    lacks_codes: bool


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

        Words in quotation marks are required as they are written, in a row; so is a word that
        begins like `valv*`.

        Returns:
            Pairs of an id and what it has of the query.

        Raises:
            CollectionError: The index was damaged since it was opened.
        """
        return self.match(words, n, ()).best

    def matches(self, words: str, ids: Collection[str]) -> dict[str, WordMatch]:
        """Match segments with a query, by id; those that lack something required are left out.

        Args:
            words: The query, as in `search`.
            ids: Segments that something else found. Unknown ids are left out.

        Raises:
            CollectionError: The index was damaged since it was opened.
        """
        return self.match(words, 0, ids).others

    def match(self, words: str, n: int, ids: Collection[str]) -> QueryMatches:
        """The results of `search` and `matches`, and facts about the query, for one state.

        Raises:
            CollectionError: The index was damaged since it was opened.
        """
        parsed = parse_query(words)
        with self._explained("searched", _READING):
            scorer = Scorer(self._searcher(), self._schema)
            search = _Search(scorer, parsed)
            return QueryMatches(
                best=search.best(n),
                others=search.among(ids),
                requires=bool(parsed.phrases or parsed.prefixes),
                lacks_codes=scorer.lacks_codes(parsed),
            )

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


_Key: TypeAlias = tuple[int, int]
_Match: TypeAlias = tuple[WordMatch, tantivy.DocAddress]


class _Search:
    """One query to one state of the index.

    A query is too short to tell its language: it is analysed in every language of the index, and a
    segment counts by its best score.

    Args:
        scorer: The scorer of that state.
        parsed: The query.
    """

    def __init__(self, scorer: Scorer, parsed: ParsedQuery) -> None:
        analyses = dict.fromkeys(analyzed_query(parsed, each) for each in scorer.languages)
        self._scorer = scorer
        parts = scorer.parts(parsed, analyses)
        self._named = parts.named
        self._queries = [scorer.weighted(analysis, parts) for analysis in analyses]

    def best(self, n: int) -> list[tuple[str, WordMatch]]:
        """The `n` best segments, best first. Those with rare identifiers are among them."""
        n = min(n, self._scorer.searcher.num_docs)
        if n < 1:
            return []
        found = self._matches(lambda query: self._found(query, n))
        coded = {_key(at): (share, at) for share, at in self._scorer.with_codes(self._named, n)}
        others = [self._scorer.id_of(at) for key, (_, at) in coded.items() if key not in found]
        found |= self._matches(lambda query: self._scorer.among(query, others))
        found = {
            key: (match._replace(codes=coded[key][0]) if key in coded else match, at)
            for key, (match, at) in found.items()
        }
        # Ties in an order that does not depend on when they were written.
        first = _first(found.values(), n)
        best = [(self._scorer.id_of(at), match) for match, at in first]
        wanted = sorted(best, key=lambda pair: (-pair[1].codes, -pair[1].share, pair[0]))[:n]
        return sorted(wanted, key=lambda pair: (-pair[1].share, pair[0]))

    def among(self, ids: Collection[str]) -> dict[str, WordMatch]:
        """Those of these segments that have all that is required."""
        if not ids:
            return {}
        codes = self._scorer.codes(self._named, ids)
        found = self._matches(lambda query: self._scorer.among(query, ids))
        by_id = {self._scorer.id_of(at): match for match, at in found.values()}
        return {i: match._replace(codes=codes.get(i, 0.0)) for i, match in by_id.items()}

    def _found(self, query: WeightedQuery, n: int) -> list[Scored]:
        """The best documents by tantivy's score: `n`, or more if the last of them are tied."""
        if not query.maximum:
            return []
        hits = self._scorer.find(query, n)
        # tantivy breaks ties by when documents were written: all that are tied are retrieved.
        wanted, most = n, self._scorer.searcher.num_docs
        while len(hits) == wanted < most and wanted < _TIES * n:
            if hits[-1][0] < hits[n - 1][0]:
                break
            wanted = min(4 * wanted, most)
            hits = self._scorer.find(query, wanted)
        return hits

    def _matches(self, find: Callable[[WeightedQuery], Sequence[Scored]]) -> dict[_Key, _Match]:
        """Matches of all that `find` returns."""
        best: dict[_Key, _Match] = {}
        for query in self._queries:
            for score, address in find(query):
                share = min(1.0, score / query.maximum) if query.maximum else 0.0
                key = _key(address)
                if key not in best or share > best[key][0].share:
                    best[key] = (WordMatch(score, share), address)
        return best


def _key(address: tantivy.DocAddress) -> _Key:
    return (address.segment_ord, address.doc)


def _first(matches: Iterable[_Match], n: int) -> list[_Match]:
    """The `n` best, and those that are tied with the last of them."""
    ordered = sorted(matches, key=lambda pair: (-pair[0].codes, -pair[0].share))
    if len(ordered) <= n:
        return ordered
    last = ordered[n - 1][0]
    tied = takewhile(lambda pair: pair[0][1:3] == last[1:3], ordered[n:])
    return [*ordered[:n], *tied]


def _make_schema() -> tantivy.Schema:
    """The fields of the index.

    `about` (title, heading and file name) and `text` hold stems in the segment's language. All
    languages share the two fields, because BM25 compares a text's length with the mean of its field
    over all segments: with a field for each language, the only German page among a thousand would
    be 1,000 times as long as the mean, and score next to nothing. `exact` holds the words of both
    as they are written, in order, and `codes` what is joined, and the forms of identifiers.
    """
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("sha256", tokenizer_name="raw", index_option="basic")
    builder.add_text_field("language", tokenizer_name="raw", index_option="basic")
    # Stored, with their lengths, to score without deleted documents (`scoring`).
    for name in FIELDS:
        builder.add_text_field(name, stored=True, tokenizer_name=_SPACES, index_option="freq")
        builder.add_integer_field(f"{name}_length", fast=True)
    builder.add_text_field("exact", tokenizer_name=_SPACES, index_option="position")
    builder.add_text_field("codes", tokenizer_name=_SPACES, index_option="basic")
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
    heading = segment.metadata.get("heading", "")
    parts = (segment.title, str(heading), segment.name, segment.text)
    title, heading, name, text = (spaced(cleaned(part), ends=True) for part in parts)
    language = language_of(segment.text if segment.text.strip() else segment.title)
    about = stems(title, language)
    # The title is often the file name in words, or the heading.
    about += [word for word in stems(f"{heading} {name}", language) if word not in about]
    in_text = stems(text, language)
    whole = " ".join((title, heading, name, text))
    return tantivy.Document(
        id=segment.id,
        sha256=segment.sha256,
        language=language,
        about=" ".join(about),
        about_length=len(about),
        text=" ".join(in_text),
        text_length=len(in_text),
        # A phrase is in one of them: tantivy leaves a gap between values.
        exact=[" ".join(stems(part, PLAIN)) for part in (title, heading, name, text)],
        codes=" ".join({*codes(whole), *forms_in(whole)}),
    )
