"""Do the parts of a collection agree? And if not, what can be done about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mm_rag.collection.home import Home
from mm_rag.collection.ledger import Commit, Entry, Ledger
from mm_rag.collection.lexical import LexicalIndex
from mm_rag.collection.pictures import delete, orphans, references
from mm_rag.collection.report import VerifyReport
from mm_rag.collection.store import VectorStore
from mm_rag.collection.writer import SegmentWriter


@dataclass(frozen=True)
class Inspector:
    """Compares ledger, vectors, words and files."""

    store: VectorStore
    lexical: LexicalIndex
    ledger: Ledger
    home: Home

    def verify(self) -> VerifyReport:
        """Look at everything, change nothing."""
        known = self.ledger.ids()
        unsettled = set(self.ledger.unsettled())
        healthy = self.store.ids_with_vectors(sorted(known))
        words, unknown = self.lexical.ids(), self.store.ids() - known
        ours = set(self._ours(unknown - unsettled))
        referred = references(self.ledger)
        files = self.ledger.files().values()
        return VerifyReport(
            segments=len(known),
            missing_vectors=tuple(sorted(known - healthy)),
            missing_words=tuple(sorted(known - words)),
            strays=tuple(sorted((words - known) | (unknown & unsettled) | ours)),
            foreign=len(unknown - unsettled - ours),
            missing_files=tuple(
                sorted(p for p in referred if self.home.keeps(p) and not Path(p).is_file())
            ),
            orphaned_files=tuple(map(str, orphans(self.home, self.ledger))),
            unfinished=tuple(file.path for file in files if file.state == "unread"),
        )

    def repair(self, writer: SegmentWriter, report: VerifyReport) -> None:
        """Heal from the ledger what it can heal; have files read again that lack something.

        Segments that only Chroma has are taken in: the ledger was lost, or LangChain or LlamaIndex
        wrote them.
        """
        found = list(self._ours(set(report.strays) - set(self.ledger.unsettled())).values())
        writer.draft(found)
        writer.commit(Commit(added=[entry.segment.id for entry in found]))
        self.ledger.unsettle({*report.missing_vectors, *report.missing_words, *report.strays})
        writer.settle()
        referred = references(self.ledger) if report.missing_files else {}
        self.ledger.mark_unread(
            sha256 for path in report.missing_files for sha256 in referred.get(path, ())
        )
        delete(Path(path) for path in report.orphaned_files)

    def _ours(self, ids: set[str]) -> dict[str, Entry]:
        """Those that are Segments; what other programs keep under names of theirs stays theirs."""
        found = self.store.records(self.store.ids_with_vectors(sorted(ids)))
        return {id_: entry for id_, entry in found.items() if id_ == entry.segment.id}
