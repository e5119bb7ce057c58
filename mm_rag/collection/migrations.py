"""Migrations: what an older mm_rag wrote becomes what this one reads, format by format."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mm_rag.collection.catalog import FORMAT_VERSION, Ledger
from mm_rag.collection.lexical import LexicalIndex
from mm_rag.collection.store import VectorStore
from mm_rag.collection.writer import AT_ONCE


def migrate(ledger: Ledger, store: VectorStore, lexical: LexicalIndex) -> None:
    """Bring a collection to the present format. A run that is killed is done again."""
    for version in range(int(ledger.meta("format") or 1), FORMAT_VERSION):
        _MIGRATIONS[version](ledger, store, lexical)
        ledger.set_meta(format=str(version + 1))


def _from_1(ledger: Ledger, store: VectorStore, lexical: LexicalIndex) -> None:
    """Format 1 had Segments and vectors in Chroma only: the ledger takes them from there."""
    ids = sorted(ledger.ids_of_format_1())
    for start in range(0, len(ids), AT_ONCE):
        entries = list(store.records(ids[start : start + AT_ONCE]).values())
        lexical.put(entry.segment for entry in entries)  # a run that is killed here does it again
        ledger.adopt(entries)
    ledger.forget_format_1()


def _from_2(ledger: Ledger, store: VectorStore, lexical: LexicalIndex) -> None:
    """Format 3 knows more of files, and has tags; a ledger gets the columns when it is opened."""


def _from_3(ledger: Ledger, store: VectorStore, lexical: LexicalIndex) -> None:
    """Format 3 had no checksums, and named the collection's own files by absolute paths."""
    if not ledger.seal():
        ledger.set_meta(folder="")  # it was moved: Chroma's records name files that are gone


_MIGRATIONS: Mapping[int, Callable[[Ledger, VectorStore, LexicalIndex], None]] = {
    1: _from_1,
    2: _from_2,
    3: _from_3,
}
"""By the format that they begin with."""
