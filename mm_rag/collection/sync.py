"""Sync: make a collection equal to a folder.

Plan (what is new, changed, moved, gone) -> re-point what moved -> drop what is gone -> read the
rest in other processes, encode it here, write it in another thread.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from mm_rag.collection.encoding import SegmentEncoder
from mm_rag.collection.ledger import Commit, Ledger, LedgerFile
from mm_rag.collection.pictures import Pictures
from mm_rag.collection.pipeline import Pipeline
from mm_rag.collection.plan import Change, Move, Planner
from mm_rag.collection.report import FileReport, SyncReport
from mm_rag.collection.writer import SegmentWriter
from mm_rag.errors import InputError
from mm_rag_loaders import LoadedFile, LoadOptions, Source, find_sources, load_files
from mm_rag_loaders.moved import moved
from mm_rag_loaders.outcome import Event
from mm_rag_loaders.progress import OnProgress, Progress


class FolderSync:
    """One run over some files and folders.

    Args:
        own: The collection's own folder, which is left out.
        ledger: Which files are in.
        writer: Where Segments go.
        encoder: Makes their vectors.
        options: How files are read.
        pictures: Which of the pictures that are drawn are kept.
        on_progress: Told how far it has come.
    """

    def __init__(
        self,
        own: Path,
        ledger: Ledger,
        writer: SegmentWriter,
        encoder: SegmentEncoder,
        options: LoadOptions,
        pictures: Pictures,
        on_progress: OnProgress | None,
    ) -> None:
        self._own, self._ledger, self._writer, self._encoder = own, ledger, writer, encoder
        self._options = replace(options, assets=pictures.store)
        self._pictures, self._on_progress = pictures, on_progress
        self._reports: dict[str, FileReport] = {}
        self._owners: dict[str, str] = {}
        self._progress = Progress(of=0)

    def run(self, sources: Sequence[Path]) -> SyncReport:
        """Index what is new or changed, remove what is gone, and say what was done."""
        began = time.monotonic()
        # `mm-rag index .` must not index the collection that lies in the same folder.
        found = [s for s in find_sources(sources) if self._own not in Path(str(s)).parents]
        self._show(Progress(of=len(found)))
        planner = Planner(self._ledger.files(), self._options, self._skip)
        plan = planner.plan(found, sources)
        self._owners = plan.owners
        for report in plan.reports:
            self._report(report)
        for file in plan.gone:
            self._report(FileReport(path=file.path, state="removed", reason="no longer there"))
        moved_to = [self._move(move) for move in plan.moves]
        # All at once: files may have changed places, and none may lose what another has yet to get.
        self._writer.commit(Commit(written=moved_to, noted=plan.noted, forgotten=sorted(plan.left)))
        self._read(plan.changes)
        self._ledger.drop_drafts()
        self._writer.settle()
        return SyncReport(
            files=tuple(self._reports[path] for path in sorted(self._reports)),
            segments=self._ledger.counts(),
            seconds=time.monotonic() - began,
        )

    def _move(self, move: Move) -> LedgerFile:
        """Draft what a file's content gave for its new path; return the row that it is to have.

        It is encoded anew only where its name is part of what the model is given.
        """
        there = self._ledger.content(move.now.sha256)
        pairs = [(old, moved(old.segment, move.now.path)) for old in there]
        entries = {
            segment.id: replace(old, segment=segment)
            for old, segment in pairs
            if self._encoder.given(segment) == self._encoder.given(old.segment)
        }
        renamed = [segment for _, segment in pairs if segment.id not in entries]
        entries |= {entry.segment.id: entry for entry in self._encoder.entries(renamed)}
        row = replace(move.now, state="indexed", reason=move.source.reason)
        self._ledger.detach_drafts(row.sha256)
        self._writer.draft([entries[old.segment.id] for old in there])
        took = "was" if move.by_name else "takes the place of"
        reason = f"{took} {move.source.path}"
        self._report(FileReport(path=row.path, state="moved", reason=reason))
        return row

    def _read(self, changes: Sequence[Change]) -> None:
        """Read what has changed, several files at a time, and write what is in it, in order."""
        left = list(changes)
        while left:
            twins: list[Change] = []
            begun: dict[str, Change] = {}
            sources = self._to_read(left, begun, twins)
            with (
                Pipeline(self._encoder, self._writer, self._refuse, self._pictures) as pipeline,
                closing(load_files(sources, self._options, self._on_event)) as files,
            ):
                for loaded in files:
                    self._index(loaded, begun.pop(loaded.source).now, pipeline)
            left = twins

    def _to_read(
        self, changes: Sequence[Change], begun: dict[str, Change], twins: list[Change]
    ) -> Iterator[Source]:
        """Those that have to be read; all others are copies of what is in, or `twins`.

        A twin has the content of a file that is being read: it must wait for what becomes of that.
        """
        reading: set[str] = set()
        for change in changes:
            sha256, path = change.now.sha256, change.now.path
            owner = self._owners.get(sha256, path)
            if owner != path:
                self._leave_out(change, owner)
            elif sha256 in reading:
                twins.append(change)
            else:
                reading.add(sha256)
                begun[path] = change
                yield change.source

    def _leave_out(self, change: Change, owner: str) -> None:
        self._note(replace(change.now, state="duplicate", reason=f"same content as {owner}"))
        self._skip(change.source)

    def _index(self, loaded: LoadedFile, now: LedgerFile, pipeline: Pipeline) -> None:
        if loaded.state != "loaded":
            self._note(replace(now, state=loaded.state, reason=loaded.reason))
            return
        state = "incomplete" if loaded.incomplete else "indexed"
        # Its content may have changed since it was looked at.
        row = replace(now, sha256=loaded.sha256, state=state, reason="; ".join(loaded.notes))
        self._owners[row.sha256] = row.path
        counts = Counter(segment.modality for segment in loaded.segments)
        self._report(
            FileReport(path=row.path, state="indexed", reason=row.reason, segments=dict(counts))
        )
        self._ledger.detach_drafts(row.sha256)
        pipeline.put(row, loaded.segments)

    def _refuse(self, row: LedgerFile, error: InputError) -> None:
        """The model cannot take what the loader could."""
        self._owners.pop(row.sha256, None)
        self._ledger.detach_drafts(row.sha256)
        self._note(replace(row, state="unreadable", reason=str(error)))

    def _note(self, row: LedgerFile) -> None:
        assert row.state not in ("incomplete", "unread")  # of what is in, or was
        self._writer.commit(Commit(noted=[row]))
        self._report(FileReport(path=row.path, state=row.state, reason=row.reason))

    def _report(self, report: FileReport) -> None:
        self._reports[report.path] = report

    def _skip(self, source: Source) -> None:
        self._show(self._progress.done(source.name))

    def _on_event(self, event: Event) -> None:
        self._show(self._progress.after(event))

    def _show(self, progress: Progress) -> None:
        self._progress = progress
        if self._on_progress:
            self._on_progress(progress)
