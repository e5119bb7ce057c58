"""Sync: make a collection equal to a folder.

A file's Segments are written in this order, so that a kill at any moment leaves nothing that the
next run does not finish: ledger says `writing`, and what is to be dropped later -> vectors -> words
-> ledger says `indexed`. What a changed file gave before is deleted only after that.
"""

from __future__ import annotations

import errno
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from mm_rag.collection.ledger import Ledger, LedgerFile
from mm_rag.collection.report import FileReport, SyncReport
from mm_rag.collection.writer import SegmentWriter
from mm_rag.errors import InputError, SourceForbidden
from mm_rag_loaders import LoadedFile, LoadOptions, Source, find_sources, load_files
from mm_rag_loaders.hashing import file_sha256
from mm_rag_loaders.outcome import Event
from mm_rag_loaders.places import local_path
from mm_rag_loaders.progress import OnProgress, Progress
from mm_rag_loaders.sidecars import reader_stamp

_SETTLED = ("indexed", "duplicate", "unsupported")
"""What needs no second look while the file stays as it is. What could not be read, or not wholly
because a reader was missing, is tried again: a password may be given, a package installed."""


@dataclass(frozen=True)
class _Begun:
    """A file that is being read.

    Attributes:
        known: What the ledger said of it before.
        now: What it is now.
    """

    known: LedgerFile | None
    now: LedgerFile


class FolderSync:
    """One run over some files and folders.

    Args:
        root: The collection's own folder, which is left out.
        ledger: Which files are in.
        writer: Where Segments go.
        options: How files are read.
        on_progress: Told how far it has come.
    """

    def __init__(
        self,
        root: Path,
        ledger: Ledger,
        writer: SegmentWriter,
        options: LoadOptions,
        on_progress: OnProgress | None,
    ) -> None:
        self._root, self._ledger, self._writer = root, ledger, writer
        self._options, self._on_progress = options, on_progress
        self._reports: dict[str, FileReport] = {}
        self._begun: dict[str, _Begun] = {}
        self._progress = Progress(of=0)

    def run(self, sources: Sequence[Path]) -> SyncReport:
        """Index what is new or changed, remove what is gone, and say what was done."""
        began = time.monotonic()
        # `mm-rag index .` must not index the collection that lies in the same folder.
        found = [s for s in find_sources(sources) if self._root not in Path(str(s)).parents]
        self._show(Progress(of=len(found)))
        self._read(found)
        self._remove_gone(sources)
        self._drop_stale()
        self._read(self._orphaned_duplicates())
        return SyncReport(
            files=tuple(self._reports[path] for path in sorted(self._reports)),
            segments=self._ledger.segment_counts(),
            seconds=time.monotonic() - began,
        )

    def _read(self, sources: Sequence[Source]) -> None:
        """Read what has changed, several files at a time, and write what is in it, in order."""
        left = list(sources)
        while left:
            twins: list[Source] = []
            changed = self._changed(left, twins)
            with closing(load_files(changed, self._options, self._on_event)) as files:
                for loaded in files:
                    self._report(self._index(loaded, self._begun.pop(loaded.source)))
            left = twins

    def _changed(self, sources: Sequence[Source], twins: list[Source]) -> Iterator[Source]:
        """Those that have to be read; all others have their report then, or are `twins`.

        A twin has the content of a file that is being read: it must wait for what becomes of that.
        """
        for source in sources:
            begun = self._look_at(source)
            if isinstance(begun, FileReport):
                self._report(begun)
                self._show(self._progress.done(source.name))
            elif any(begun.now.sha256 == other.now.sha256 for other in self._begun.values()):
                twins.append(source)
            else:
                self._begun[str(source)] = begun
                self._ledger.put_file(begun.now)
                yield source

    def _look_at(self, source: Source) -> FileReport | _Begun:
        name = str(source).encode("utf-8", "backslashreplace").decode()
        if name != str(source):
            return FileReport(path=name, state="unreadable", reason="its name is not UTF-8")
        known = self._ledger.file(name)
        try:
            path = local_path(source, self._options)
            if known and known.state in _SETTLED and _looks_same(path, known, self._options):
                return _unchanged(known)
            now = _as_it_is(path, name, self._options)
        except SourceForbidden as error:
            return self._refused(name, known, error)
        except InputError as error:
            return FileReport(path=name, state="unreadable", reason=str(error))
        except OSError as error:  # deleted in the middle of the run, or not ours to read
            reason = f"it cannot be opened: {error.strerror}"
            return FileReport(path=name, state="unreadable", reason=reason)
        if known and known.state in _SETTLED and _is_only_touched(known, now):
            self._ledger.put_file(replace(now, state=known.state, reason=known.reason))
            return _unchanged(known)
        if known and known.sha256 != now.sha256:
            self._ledger.put_stale(known.sha256)
        if twin := self._twin(now):
            return self._done(replace(now, state="duplicate", reason=f"same content as {twin}"))
        return _Begun(known, now)

    def _refused(self, name: str, known: LedgerFile | None, error: SourceForbidden) -> FileReport:
        """Of what may not be opened (any more) nothing stays."""
        if known:
            self._ledger.put_stale(known.sha256)
            self._ledger.drop_file(name)
        return FileReport(path=name, state="refused", reason=str(error))

    def _index(self, loaded: LoadedFile, begun: _Begun) -> FileReport:
        known, now = begun.known, begun.now
        if loaded.state != "loaded":
            self._forget_half_written(known, now)
            return self._done(replace(now, state=loaded.state, reason=loaded.reason))
        if loaded.sha256 != now.sha256:  # it has changed since it was looked at
            self._ledger.put_stale(now.sha256)
            now = replace(now, sha256=loaded.sha256)
            self._ledger.put_file(now)
        try:
            self._writer.replace_source(now.sha256, loaded.segments)
        except InputError as error:  # the model could not take what the loader could
            self._writer.drop_source(now.sha256)
            return self._done(replace(now, state="unreadable", reason=str(error)))
        return self._indexed(now, loaded)

    def _indexed(self, now: LedgerFile, loaded: LoadedFile) -> FileReport:
        counts = Counter(segment.modality for segment in loaded.segments)
        state = "incomplete" if loaded.incomplete else "indexed"
        self._ledger.put_file(replace(now, state=state, reason="; ".join(loaded.notes)))
        return FileReport(
            path=now.path,
            state="indexed",
            reason="; ".join(loaded.notes),
            segments=dict(counts),
        )

    def _forget_half_written(self, known: LedgerFile | None, now: LedgerFile) -> None:
        """Of content that was never begun there is nothing to delete."""
        if known and known.sha256 == now.sha256 and (known.is_in or known.state == "writing"):
            self._writer.drop_source(now.sha256)

    def _done(self, file: LedgerFile) -> FileReport:
        assert file.state not in ("writing", "incomplete")
        self._ledger.put_file(file)
        return FileReport(path=file.path, state=file.state, reason=file.reason)

    def _twin(self, now: LedgerFile) -> str | None:
        """Another file with the same content that is in already."""
        twins = self._ledger.files_with(now.sha256)
        others = (file.path for file in twins if file.is_in and file.path != now.path)
        return next((path for path in others if Path(path).is_file()), None)

    def _remove_gone(self, sources: Sequence[Path]) -> None:
        for path, file in self._ledger.files().items():
            if path in self._reports or not _lies_in(Path(path), sources) or _may_exist(path):
                continue
            self._ledger.put_stale(file.sha256)
            self._ledger.drop_file(path)
            self._report(FileReport(path=path, state="removed", reason="no longer there"))

    def _drop_stale(self) -> None:
        """Delete content that no file has any more: of this run, or of one that was killed."""
        for sha256 in self._ledger.stale():
            if not any(file.is_in for file in self._ledger.files_with(sha256)):
                self._writer.drop_source(sha256)
            self._ledger.drop_stale(sha256)

    def _orphaned_duplicates(self) -> list[Source]:
        """Files that were left out for a twin which is gone now: they take its place."""
        files = self._ledger.files().values()
        owned = {file.sha256 for file in files if file.is_in}
        orphans = [file for file in files if file.state == "duplicate" and file.sha256 not in owned]
        for file in orphans:
            if Path(file.path).is_file():
                self._ledger.put_file(replace(file, state="writing"))
            else:
                self._ledger.drop_file(file.path)
        return [Source(Path(file.path)) for file in orphans if Path(file.path).is_file()]

    def _report(self, report: FileReport) -> None:
        self._reports[report.path] = report

    def _on_event(self, event: Event) -> None:
        self._show(self._progress.after(event))

    def _show(self, progress: Progress) -> None:
        self._progress = progress
        if self._on_progress:
            self._on_progress(progress)


def _unchanged(known: LedgerFile) -> FileReport:
    return FileReport(path=known.path, state="unchanged", reason=known.reason)


def _as_it_is(path: Path, name: str, options: LoadOptions) -> LedgerFile:
    stat = path.stat()
    return LedgerFile(
        path=name,
        sha256=file_sha256(path, options.policy),
        size=stat.st_size,
        mtime_ns=stat.st_mtime_ns,
        beside=reader_stamp(path, options),
        state="writing",
    )


def _looks_same(path: Path, known: LedgerFile, options: LoadOptions) -> bool:
    stat = path.stat()
    seen = (stat.st_size, stat.st_mtime_ns, reader_stamp(path, options))
    return seen == (known.size, known.mtime_ns, known.beside)


def _is_only_touched(known: LedgerFile, now: LedgerFile) -> bool:
    return (known.sha256, known.beside) == (now.sha256, now.beside)


def _may_exist(path: str) -> bool:
    """Whether it is there, or cannot be seen for the moment."""
    try:
        Path(path).stat()
    except OSError as error:
        return error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
    return True


def _lies_in(path: Path, sources: Iterable[Path]) -> bool:
    roots = [source.absolute() for source in sources]
    return any(path == root or root in path.parents for root in roots)
