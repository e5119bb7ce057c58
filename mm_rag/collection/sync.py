"""Sync: make a collection equal to a folder.

A file's Segments are written in this order, so that a kill at any moment leaves nothing that the
next run does not finish: ledger says `writing` -> vectors -> words -> ledger says `indexed`. What a
changed file gave before is deleted only after that.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from mm_rag.collection.ledger import Ledger, LedgerFile
from mm_rag.collection.report import FileReport, SyncReport
from mm_rag.collection.writer import SegmentWriter
from mm_rag.errors import InputError
from mm_rag_loaders import LoadOptions, find_files, load_file
from mm_rag_loaders.hashing import file_sha256

OnFile: TypeAlias = Callable[[int, int, Path], None]
"""Called before each file with its number from 0, how many there are, and its path."""


@dataclass(frozen=True)
class FolderSync:
    """One run over some files and folders."""

    ledger: Ledger
    writer: SegmentWriter
    options: LoadOptions

    def run(self, sources: Sequence[Path], on_file: OnFile | None) -> SyncReport:
        """Index what is new or changed, remove what is gone, and say what was done."""
        began = time.monotonic()
        paths = find_files(sources)
        reports: dict[str, FileReport] = {}
        for number, path in enumerate(paths):
            if on_file:
                on_file(number, len(paths), path)
            reports[str(path)] = self._file(path)
        for report in self._remove_gone(sources, set(reports)):
            reports[report.path] = report
        for path in self._orphaned_duplicates():
            reports[str(path)] = self._file(path)
        return SyncReport(
            files=tuple(reports[path] for path in sorted(reports)),
            segments=self.ledger.segment_counts(),
            seconds=time.monotonic() - began,
        )

    def _file(self, path: Path) -> FileReport:
        known = self.ledger.files().get(str(path))
        if known and known.state in ("indexed", "duplicate") and _looks_same(path, known):
            return self._unchanged(known)
        now = _look_at(path)
        if known and known.state == "indexed" and known.sha256 == now.sha256:
            self.ledger.put_file(replace(now, state="indexed", reason=known.reason))
            return self._unchanged(known)
        report = self._index(path, now)
        if known and known.sha256 != now.sha256:
            self._drop_content(known.sha256)
        return report

    def _unchanged(self, known: LedgerFile) -> FileReport:
        return FileReport(path=known.path, state="unchanged", reason=known.reason)

    def _index(self, path: Path, now: LedgerFile) -> FileReport:
        twin = self._twin(now)
        if twin:
            return self._done(replace(now, state="duplicate", reason=f"same content as {twin}"))
        self.ledger.put_file(now)
        loaded = load_file(path, self.options)
        if loaded.state != "loaded":
            self._forget(now.sha256)
            return self._done(replace(now, state=loaded.state, reason=loaded.reason))
        try:
            self.writer.write(loaded.segments)
        except InputError as error:  # the model could not take what the loader could
            self._forget(now.sha256)
            return self._done(replace(now, state="unreadable", reason=str(error)))
        counts = Counter(segment.modality for segment in loaded.segments)
        notes = "; ".join(loaded.notes)
        return self._done(replace(now, state="indexed", reason=notes), counts)

    def _done(self, file: LedgerFile, counts: Counter[str] | None = None) -> FileReport:
        assert file.state != "writing"
        self.ledger.put_file(file)
        return FileReport(
            path=file.path, state=file.state, reason=file.reason, segments=dict(counts or {})
        )

    def _twin(self, now: LedgerFile) -> str | None:
        """Another file with the same content that is in already."""
        return next(
            (
                file.path
                for file in self.ledger.files().values()
                if file.sha256 == now.sha256
                and file.path != now.path
                and file.state == "indexed"
                and Path(file.path).is_file()
            ),
            None,
        )

    def _remove_gone(self, sources: Sequence[Path], found: set[str]) -> Iterator[FileReport]:
        for path, file in self.ledger.files().items():
            if path in found or Path(path).exists() or not _lies_in(Path(path), sources):
                continue
            self.ledger.drop_file(path)
            self._drop_content(file.sha256)
            yield FileReport(path=path, state="removed", reason="no longer there")

    def _orphaned_duplicates(self) -> list[Path]:
        """Files that were left out for a twin which is gone now: they take its place."""
        files = self.ledger.files().values()
        owned = {file.sha256 for file in files if file.state == "indexed"}
        orphans = [file for file in files if file.state == "duplicate" and file.sha256 not in owned]
        for file in orphans:
            self.ledger.put_file(replace(file, state="writing"))
        return [Path(file.path) for file in orphans]

    def _drop_content(self, sha256: str) -> None:
        if not any(
            file.sha256 == sha256 and file.state == "indexed"
            for file in self.ledger.files().values()
        ):
            self._forget(sha256)

    def _forget(self, sha256: str) -> None:
        self.writer.drop_source(sha256)


def _look_at(path: Path) -> LedgerFile:
    stat = path.stat()
    return LedgerFile(
        path=str(path),
        sha256=file_sha256(path),
        size=stat.st_size,
        mtime_ns=stat.st_mtime_ns,
        state="writing",
    )


def _looks_same(path: Path, known: LedgerFile) -> bool:
    stat = path.stat()
    return (stat.st_size, stat.st_mtime_ns) == (known.size, known.mtime_ns)


def _lies_in(path: Path, sources: Iterable[Path]) -> bool:
    roots = [source.absolute() for source in sources]
    return any(path == root or root in path.parents for root in roots)
