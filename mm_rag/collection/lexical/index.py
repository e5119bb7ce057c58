"""LexicalIndex: finds Segments by their words."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import tantivy

from mm_rag._forking import ForkableLock
from mm_rag.collection.damage import KnownFiles, is_panic, is_whole
from mm_rag.collection.lexical.query import parse, read
from mm_rag.collection.lexical.schema import as_document, make_schema, open_index
from mm_rag.collection.lexical.scoring import Scorer, Weighed
from mm_rag.errors import CollectionError, MMRagError
from mm_rag.segment import Segment

_HEAP_BYTES = 50_000_000  # the writer's buffer; tantivy asks for 15 MB at least

_EQUALS = 16  # times as many texts as are wanted are looked at, where all score the same

_OPENING = "It holds nothing that is not elsewhere: delete that folder and repair() makes it again."
_READING = "If it is damaged or gone, delete its folder and repair() makes it again."
_WRITING = "Is the disk full or read-only, or does another process write to it?"


class LexicalIndex:
    """The words of one collection's Segments, searched by BM25.

    Many threads and processes may search while one writes; two writers wait for each other in one
    process, and are an error in two.

    Args:
        path: An existing folder: an empty one, or one with an index in it. None keeps it in memory.

    Raises:
        CollectionError: The folder is missing, damaged, or another version's.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known = None if path is None else known_words(path)
        self._schema = make_schema()
        self._writing = ForkableLock()
        with self._explained("opened", _OPENING):
            self._index = open_index(self._schema, path)

    def put(self, segments: Iterable[Segment]) -> None:
        """Add Segments, replacing those of the same id, in one commit.

        Raises:
            CollectionError: They cannot be written; none of them is in.
        """
        self.change(segments, ())

    def drop(self, ids: Sequence[str]) -> None:
        """Delete Segments; unknown ids are no error.

        Raises:
            CollectionError: It cannot be written; all of them are still in.
        """
        self.change((), ids)

    def change(self, new: Iterable[Segment], gone: Sequence[str]) -> None:
        """Delete Segments, and add others, replacing those of the same id, in one commit.

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
                # A writer that was killed in its commit left files of the names that come next.
                writer.garbage_collect_files()
                for id_ in gone:
                    writer.delete_documents_by_term("id", id_)
                for segment in chain([] if first is None else [first], new):
                    writer.delete_documents_by_term("id", segment.id)
                    writer.add_document(as_document(segment))
                writer.commit()
                writer.wait_merging_threads()
            finally:
                del writer  # frees tantivy's lock, even while somebody keeps the error
            self._index.reload()
            if self._known is not None:
                self._known.note()

    def search(self, words: str, n: int) -> list[tuple[str, float]]:
        """The `n` Segments that share the rarest words with a query, best first.

        Words in double quotes are a phrase that must be there; `valv*` is any word that begins so.

        Returns:
            Pairs of an id and its BM25, as a share in [0, 1] of the most that the query could give.

        Raises:
            CollectionError: The index was damaged since it was opened.
        """
        question = parse(words)
        with self._explained("searched", _READING):
            searcher = self._searcher()
            scorer = Scorer(searcher, self._schema)
            # A query does not say its language, and is too short to tell: it is taken to be in each
            # that there is, and a Segment is as good as the best of these finds it.
            readings = dict.fromkeys(read(question, each) for each in scorer.languages)
            best: dict[tuple[int, int], tuple[float, tantivy.DocAddress]] = {}
            for weighed in map(scorer.weigh, readings):
                hits = scorer.scores(weighed, _found(searcher, weighed, n))
                for score, address in hits:
                    share = min(1.0, score / weighed.most)
                    key = (address.segment_ord, address.doc)
                    best[key] = max(best.get(key, (0.0, address)), (share, address), key=_share)
            found = [(searcher.doc(address)["id"][0], share) for share, address in best.values()]
            # Equals in an order that does not depend on when they were written.
            return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:n]

    def is_sound(self) -> bool:
        """Whether the files are what was written, and everything in them can be read."""
        if self._path is None or self._known is None:
            return True
        return self._known.are_sound() and is_whole(self._path, "words")

    def __len__(self) -> int:
        """How many Segments there are."""
        with self._explained("read", _READING):
            return self._searcher().num_docs

    def ids(self) -> set[str]:
        """The ids of all Segments.

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
            # Damaged files make tantivy raise whatever it likes, and its Rust code panic.
            is_ours = isinstance(error, MMRagError)
            if is_ours or not (isinstance(error, Exception) or is_panic(error)):
                raise
            where = "in memory" if self._path is None else str(self._path)
            raise CollectionError(
                f"The lexical index {where} cannot be {done}: {error}. {advice}"
            ) from error


def known_words(path: Path) -> KnownFiles:
    """The files of an index as they were last written."""
    return KnownFiles(path, path.with_name(f"{path.name}.state"))


def _found(
    searcher: tantivy.Searcher, weighed: Weighed, n: int
) -> list[tuple[float, tantivy.DocAddress]]:
    n, query = min(n, searcher.num_docs), weighed.query
    if n < 1 or not weighed.most:
        return []
    hits = searcher.search(query, n, count=False).hits
    # tantivy cuts a row of equals by when they were written: all of them are looked at.
    wanted = n
    while len(hits) == wanted < searcher.num_docs and wanted < _EQUALS * n:
        if hits[-1][0] < hits[n - 1][0]:
            break
        wanted = min(4 * wanted, searcher.num_docs)
        hits = searcher.search(query, wanted, count=False).hits
    return list(hits)


def _share(found: tuple[float, tantivy.DocAddress]) -> float:
    return found[0]
