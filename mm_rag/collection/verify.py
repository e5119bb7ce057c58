"""Do the parts of a collection agree? And if not, what can be done about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from mm_rag.collection.ledger import Ledger
from mm_rag.collection.lexical import LexicalIndex
from mm_rag.collection.report import VerifyReport
from mm_rag.collection.store import VectorStore


@dataclass(frozen=True)
class Inspector:
    """Compares ledger, vectors, words and files."""

    store: VectorStore
    lexical: LexicalIndex
    ledger: Ledger

    def verify(self) -> VerifyReport:
        """Look at everything, change nothing."""
        known = self.ledger.segment_ids()
        healthy = self.store.ids_with_vectors(sorted(known))
        strays = (self.store.ids() | self.lexical.ids()) - known
        return VerifyReport(
            segments=len(known),
            missing_vectors=tuple(sorted(known - healthy)),
            missing_words=tuple(sorted(known - self.lexical.ids())),
            strays=tuple(sorted(strays)),
            missing_files=tuple(sorted(self._missing_files(sorted(known)))),
            unfinished=tuple(
                file.path for file in self.ledger.files().values() if file.state == "writing"
            ),
        )

    def repair(self, report: VerifyReport) -> None:
        """Delete strays, and mark every file that lacks something to be indexed again."""
        self.store.drop(report.strays)
        self.lexical.drop(report.strays)
        damaged = {*report.missing_vectors, *report.missing_words}
        sources = self.ledger.sources_of(damaged) | self._sources_without(report.missing_files)
        for file in self.ledger.files().values():
            if file.sha256 in sources and file.is_in:
                self.ledger.put_file(replace(file, state="writing"))

    def _missing_files(self, ids: list[str]) -> set[str]:
        referred = self._references(ids)
        return {path for path in referred if not Path(path).is_file()}

    def _sources_without(self, missing: tuple[str, ...]) -> set[str]:
        referred = self._references(sorted(self.ledger.segment_ids())) if missing else {}
        return {sha256 for path in missing for sha256 in referred.get(path, ())}

    def _references(self, ids: list[str]) -> dict[str, set[str]]:
        """Every file that a Segment refers to, with the sha256 of the sources that need it."""
        referred: dict[str, set[str]] = {}
        for segment in self.store.get(ids).values():
            for path in (segment.media, segment.preview, segment.boxes):
                if path is not None:
                    referred.setdefault(path, set()).add(segment.sha256)
        return referred
