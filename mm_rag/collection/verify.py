"""Verify and repair: compare catalog, vectors, lexical index and files, and restore them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mm_rag.collection.assets import damaged_assets, delete, orphans, references
from mm_rag.collection.catalog import Catalog, CheckedRow, Commit, Entry, OwnFiles
from mm_rag.collection.lexical import LexicalIndex
from mm_rag.collection.report import VerifyReport
from mm_rag.collection.storage import StorageLocation
from mm_rag.collection.store import VectorStore
from mm_rag.collection.writer import SegmentWriter
from mm_rag.errors import InputError
from mm_rag.segment import Segment


@dataclass(frozen=True)
class Inspector:
    """Compares and repairs the parts of one collection."""

    store: VectorStore
    lexical: LexicalIndex
    catalog: Catalog
    storage: StorageLocation

    def verify(self) -> VerifyReport:
        """Compare everything, change nothing."""
        known = self.catalog.ids()
        unsettled = set(self.catalog.out_of_sync())
        healthy = self.store.ids_with_vectors(sorted(known))
        words, unknown = self.lexical.ids(), self.store.ids() - known
        ours = set(self._ours(unknown - unsettled))
        damaged, differing = self._compared(healthy - unsettled)
        # With a damaged record, whose files are unknown, no file can be called an orphan.
        referred = {} if damaged else references(self.catalog)
        spoilt = damaged_assets(self.storage)
        files = self.catalog.files().values()
        return VerifyReport(
            segments=len(known),
            damaged_segments=tuple(sorted(damaged)),
            differing=tuple(sorted(differing)),
            missing_vectors=tuple(sorted(known - healthy)),
            missing_words=tuple(sorted(known - words)),
            strays=tuple(sorted((words - known) | (unknown & unsettled) | ours)),
            foreign=len(unknown - unsettled - ours),
            missing_files=tuple(sorted(p for p in referred if not Path(p).is_file())),
            damaged_files=tuple(map(str, spoilt)),
            orphaned_files=() if damaged else tuple(map(str, orphans(self.storage, self.catalog))),
            unfinished=tuple(file.path for file in files if file.state == "unread"),
        )

    def _compared(self, healthy: set[str]) -> tuple[list[str], set[str]]:
        """The ids of damaged rows of the catalog, and those for which Chroma differs.

        Args:
            healthy: Ids whose vectors Chroma should have and can return.
        """
        damaged, differing = list[str](), set[str]()
        for rows in self.catalog.rows_to_check():
            damaged += [row.id for row in rows if not row.is_sound]
            sound = [row.entry for row in rows if row.is_sound and row.id in healthy]
            differing |= self.store.differing(sound)
        return damaged, differing

    def repair(
        self,
        writer: SegmentWriter,
        report: VerifyReport,
        encode: Callable[[Sequence[Segment]], list[Entry]],
    ) -> list[str]:
        """Restore what can be restored; mark files with lost parts to be read again.

        Segments that only Chroma has are added: the catalog was lost, or LangChain or LlamaIndex
        wrote them.

        Args:
            writer: The collection's writer.
            report: What `verify` found.
            encode: Makes the vectors of Segments again.

        Returns:
            The ids of Segments that are lost; their files are marked to be read again.
        """
        lost = self._heal_rows(encode) if report.damaged_segments else []
        # Restored rows may have had damaged ids, which are then not strays.
        strays = set(report.strays) - set(self.catalog.out_of_sync()) - self.catalog.ids()
        found = list(self._ours(strays).values())
        writer.stage(found)
        writer.commit(Commit(added=[entry.segment.id for entry in found]))
        self.catalog.mark_out_of_sync(
            {*report.missing_vectors, *report.missing_words, *report.strays, *report.differing}
        )
        writer.update_indexes()
        referred = references(self.catalog) if report.missing_files or report.damaged_files else {}
        self.catalog.mark_unread(
            sha256
            for path in (*report.missing_files, *report.damaged_files)
            for sha256 in referred.get(path, ())
        )
        delete(Path(path) for path in (*report.orphaned_files, *report.damaged_files))
        return lost

    def _heal_rows(self, encode: Callable[[Sequence[Segment]], list[Entry]]) -> list[str]:
        """Restore damaged rows from Chroma or by encoding again; return the ids of lost ones."""
        own, lost = OwnFiles(self.storage.folder), list[CheckedRow]()
        for rows in self.catalog.rows_to_check():
            damaged = [row for row in rows if not row.is_sound]
            if not damaged:
                continue
            copies = self._copies({id_ for row in damaged for id_ in row.ids})
            healed = {row.rowid: row.healed(copies, own) for row in damaged}
            entries = [entry for entry in healed.values() if entry is not None]
            again = [row for row in damaged if healed[row.rowid] is None]
            encoded = _encoded([row for row in again if row.record_is_sound], encode)
            self.catalog.replace_rows(damaged, [*entries, *encoded.values()])
            lost += [row for row in again if row.rowid not in encoded]
            self.catalog.mark_out_of_sync({id_ for row in damaged for id_ in row.ids})
        self.catalog.mark_unread(row.sha256 for row in lost)
        return [row.id for row in lost]

    def _copies(self, ids: set[str]) -> dict[str, Entry]:
        found = self.store.records(self.store.ids_with_vectors(sorted(ids)))
        return {id_: entry for id_, entry in found.items() if id_ == entry.segment.id}

    def _ours(self, ids: set[str]) -> dict[str, Entry]:
        """The records that are Segments under their own ids; all others are other programs'."""
        found = self.store.records(self.store.ids_with_vectors(sorted(ids)))
        return {id_: entry for id_, entry in found.items() if id_ == entry.segment.id}


def _encoded(
    rows: Sequence[CheckedRow], encode: Callable[[Sequence[Segment]], list[Entry]]
) -> dict[int, Entry]:
    """By number of the row, the Segments that can be encoded again."""
    left = list(rows)
    while left:
        try:
            entries = encode([row.segment for row in left if row.segment is not None])
        except InputError as error:  # for example, its picture is gone
            if error.position is None:
                return {}
            left.pop(error.position)
            continue
        return {row.rowid: entry for row, entry in zip(left, entries, strict=True)}
    return {}
