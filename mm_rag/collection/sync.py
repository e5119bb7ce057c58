"""Sync: make a collection equal to a folder.

A file's Segments are written in this order, so that a kill at any moment leaves nothing that the
next run does not finish: ledger says `writing`, and what is to be dropped later -> vectors -> words
-> ledger says `indexed`. What a changed file gave before is deleted only after that.
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
from mm_rag_loaders import LoadedFile, LoadOptions, find_sources, load_file
from mm_rag_loaders.hashing import file_sha256
from mm_rag_loaders.sidecars import sidecars_stamp

OnFile: TypeAlias = Callable[[int, int, Path], None]
"""Called before each file with its number from 0, how many there are, and its path."""

_SETTLED = ("indexed", "duplicate", "unsupported")
"""What needs no second look while the file stays as it is. What could not be read, or not wholly
because a reader was missing, is tried again: a password may be given, a package installed."""


@dataclass(frozen=True)
class FolderSync:
    """One run over some files and folders."""

    root: Path
    ledger: Ledger
    writer: SegmentWriter
    options: LoadOptions

    def run(self, sources: Sequence[Path], on_file: OnFile | None) -> SyncReport:
        """Index what is new or changed, remove what is gone, and say what was done."""
        began = time.monotonic()
        # `mm-rag index .` must not index the collection that lies in the same folder.
        found = [Path(str(source)) for source in find_sources(sources)]
        paths = [path for path in found if self.root not in path.parents]
        reports: dict[str, FileReport] = {}
        for number, path in enumerate(paths):
            if on_file:
                on_file(number, len(paths), path)
            reports[str(path)] = self._file(path)
        for report in self._remove_gone(sources, set(reports)):
            reports[report.path] = report
        self._drop_stale()
        for path in self._orphaned_duplicates():
            reports[str(path)] = self._file(path)
        return SyncReport(
            files=tuple(reports[path] for path in sorted(reports)),
            segments=self.ledger.segment_counts(),
            seconds=time.monotonic() - began,
        )

    def _file(self, path: Path) -> FileReport:
        name = str(path).encode("utf-8", "backslashreplace").decode()
        if name != str(path):
            return FileReport(path=name, state="unreadable", reason="its name is not UTF-8")
        known = self.ledger.file(name)
        try:
            if known and known.state in _SETTLED and _looks_same(path, known):
                return _unchanged(known)
            now = _look_at(path)
        except OSError as error:  # deleted in the middle of the run, or not ours to read
            reason = f"it cannot be opened: {error.strerror}"
            return FileReport(path=name, state="unreadable", reason=reason)
        if known and known.state in _SETTLED and _is_only_touched(known, now):
            self.ledger.put_file(replace(now, state=known.state, reason=known.reason))
            return _unchanged(known)
        return self._index(path, known, now)

    def _index(self, path: Path, known: LedgerFile | None, now: LedgerFile) -> FileReport:
        if known and known.sha256 != now.sha256:
            self.ledger.put_stale(known.sha256)
        if twin := self._twin(now):
            return self._done(replace(now, state="duplicate", reason=f"same content as {twin}"))
        self.ledger.put_file(now)
        loaded = load_file(path, self.options)
        if loaded.state != "loaded":
            self._forget_half_written(known, now)
            return self._done(replace(now, state=loaded.state, reason=loaded.reason))
        try:
            self.writer.replace_source(now.sha256, loaded.segments)
        except InputError as error:  # the model could not take what the loader could
            self.writer.drop_source(now.sha256)
            return self._done(replace(now, state="unreadable", reason=str(error)))
        return self._indexed(now, loaded)

    def _indexed(self, now: LedgerFile, loaded: LoadedFile) -> FileReport:
        counts = Counter(segment.modality for segment in loaded.segments)
        state = "incomplete" if loaded.incomplete else "indexed"
        self.ledger.put_file(replace(now, state=state, reason="; ".join(loaded.notes)))
        return FileReport(
            path=now.path,
            state="indexed",
            reason="; ".join(loaded.notes),
            segments=dict(counts),
        )

    def _forget_half_written(self, known: LedgerFile | None, now: LedgerFile) -> None:
        """Of content that was never begun there is nothing to delete."""
        if known and known.sha256 == now.sha256 and (known.is_in or known.state == "writing"):
            self.writer.drop_source(now.sha256)

    def _done(self, file: LedgerFile) -> FileReport:
        assert file.state not in ("writing", "incomplete")
        self.ledger.put_file(file)
        return FileReport(path=file.path, state=file.state, reason=file.reason)

    def _twin(self, now: LedgerFile) -> str | None:
        """Another file with the same content that is in already."""
        twins = self.ledger.files_with(now.sha256)
        others = (file.path for file in twins if file.is_in and file.path != now.path)
        return next((path for path in others if Path(path).is_file()), None)

    def _remove_gone(self, sources: Sequence[Path], found: set[str]) -> Iterator[FileReport]:
        for path, file in self.ledger.files().items():
            if path in found or Path(path).exists() or not _lies_in(Path(path), sources):
                continue
            self.ledger.put_stale(file.sha256)
            self.ledger.drop_file(path)
            yield FileReport(path=path, state="removed", reason="no longer there")

    def _drop_stale(self) -> None:
        """Delete content that no file has any more: of this run, or of one that was killed."""
        for sha256 in self.ledger.stale():
            if not any(file.is_in for file in self.ledger.files_with(sha256)):
                self.writer.drop_source(sha256)
            self.ledger.drop_stale(sha256)

    def _orphaned_duplicates(self) -> list[Path]:
        """Files that were left out for a twin which is gone now: they take its place."""
        files = self.ledger.files().values()
        owned = {file.sha256 for file in files if file.is_in}
        orphans = [file for file in files if file.state == "duplicate" and file.sha256 not in owned]
        for file in orphans:
            if Path(file.path).is_file():
                self.ledger.put_file(replace(file, state="writing"))
            else:
                self.ledger.drop_file(file.path)
        return [Path(file.path) for file in orphans if Path(file.path).is_file()]


def _unchanged(known: LedgerFile) -> FileReport:
    return FileReport(path=known.path, state="unchanged", reason=known.reason)


def _look_at(path: Path) -> LedgerFile:
    stat = path.stat()
    return LedgerFile(
        path=str(path),
        sha256=file_sha256(path),
        size=stat.st_size,
        mtime_ns=stat.st_mtime_ns,
        beside=sidecars_stamp(path),
        state="writing",
    )


def _looks_same(path: Path, known: LedgerFile) -> bool:
    stat = path.stat()
    seen = (stat.st_size, stat.st_mtime_ns, sidecars_stamp(path))
    return seen == (known.size, known.mtime_ns, known.beside)


def _is_only_touched(known: LedgerFile, now: LedgerFile) -> bool:
    return (known.sha256, known.beside) == (now.sha256, now.beside)


def _lies_in(path: Path, sources: Iterable[Path]) -> bool:
    roots = [source.absolute() for source in sources]
    return any(path == root or root in path.parents for root in roots)
