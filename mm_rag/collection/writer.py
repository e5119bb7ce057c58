"""SegmentWriter: entries -> catalog (staged) and Chroma -> catalog (committed) and lexical index.

At whatever moment a process is killed, the catalog says what the collection holds, and
`update_indexes` makes Chroma and the lexical index hold the same.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mm_rag.collection.catalog import Catalog, Commit, Entry
from mm_rag.collection.lexical import LexicalIndex
from mm_rag.collection.store import VectorStore
from mm_rag.segment import Segment

AT_ONCE = 2_000
"""Segments held in memory while the indexes are updated."""


@dataclass(frozen=True)
class SegmentWriter:
    """Writes to all three parts of a collection, one thread at a time.

    Attributes:
        store: Chroma's vectors.
        lexical: The lexical index.
        catalog: The catalog, which the other two follow.
        dropped: The ids of Segments that were deleted.
    """

    store: VectorStore
    lexical: LexicalIndex
    catalog: Catalog
    dropped: list[str] = field(default_factory=list[str])
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def stage(self, entries: Sequence[Entry]) -> None:
        """Write Segments that no search shows before they are committed."""
        with self._lock:
            if entries:
                self.catalog.stage(entries)
                self.store.put(entries)

    def commit(self, commit: Commit) -> None:
        """Make staged Segments visible, and delete those that are gone.

        The lexical index gets them only now: BM25 would count staged ones, too.
        """
        if not any(vars(commit).values()):
            return
        with self._lock, self.catalog.hold_commits():
            shown = self.catalog.staged_ids(commit)
            gone = self.catalog.commit(commit)
            self.dropped.extend(gone)
            self.lexical.change(self._segments(shown), gone)
            self.store.drop(gone)
            self.catalog.finish_commit([*shown, *gone])

    def update_indexes(self) -> None:
        """Make Chroma and the lexical index hold what the catalog says.

        Ids of damaged rows of the catalog are left as they are, and out of sync: the copies may be
        sound.
        """
        left = self.catalog.out_of_sync()
        for start in range(0, len(left), AT_ONCE):
            ids = left[start : start + AT_ONCE]
            entries, damaged = self.catalog.sound_entries(ids)
            self._put(entries)
            self.catalog.mark_in_sync(entry.segment.id for entry in entries)
            self._drop(sorted(set(ids) - damaged - {entry.segment.id for entry in entries}))
        self.catalog.finish_commit(())

    def _segments(self, ids: Sequence[str]) -> Iterator[Segment]:
        for start in range(0, len(ids), AT_ONCE):
            found, _ = self.catalog.sound_entries(ids[start : start + AT_ONCE])
            yield from (entry.segment for entry in found)

    def _put(self, entries: Sequence[Entry]) -> None:
        self.store.put(entries)
        self.lexical.put(entry.segment for entry in entries)

    def _drop(self, ids: Sequence[str]) -> None:
        self.store.drop(ids)
        self.lexical.drop(ids)
        self.catalog.mark_in_sync(ids)
