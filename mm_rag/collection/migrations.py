"""Migrations: what an older mm_rag wrote becomes what this one reads, format by format."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mm_rag.collection.catalog import FORMAT_VERSION, Catalog
from mm_rag.collection.lexical import LexicalIndex
from mm_rag.collection.store import VectorStore
from mm_rag.collection.writer import AT_ONCE


def migrate(catalog: Catalog, store: VectorStore, lexical: LexicalIndex) -> None:
    """Bring a collection to the present format. A run that is killed is done again."""
    for version in range(int(catalog.meta("format") or 1), FORMAT_VERSION):
        _MIGRATIONS[version](catalog, store, lexical)
        catalog.set_meta(format=str(version + 1))


def _from_1(catalog: Catalog, store: VectorStore, lexical: LexicalIndex) -> None:
    """Format 1 had Segments and vectors in Chroma only: the catalog takes them from there."""
    ids = sorted(catalog.ids_of_format_1())
    for start in range(0, len(ids), AT_ONCE):
        entries = list(store.records(ids[start : start + AT_ONCE]).values())
        lexical.put(entry.segment for entry in entries)  # a run that is killed here does it again
        catalog.adopt(entries)
    catalog.forget_format_1()


def _from_2(catalog: Catalog, store: VectorStore, lexical: LexicalIndex) -> None:
    """Format 3 knows more of files, and has tags; a catalog gets the columns when it is opened."""


def _from_3(catalog: Catalog, store: VectorStore, lexical: LexicalIndex) -> None:
    """Format 3 had no checksums, and named the collection's own files by absolute paths."""
    if not catalog.seal():
        catalog.set_meta(folder="")  # it was moved: Chroma's records name files that are gone


_MIGRATIONS: Mapping[int, Callable[[Catalog, VectorStore, LexicalIndex], None]] = {
    1: _from_1,
    2: _from_2,
    3: _from_3,
}
"""By the format that they begin with."""
