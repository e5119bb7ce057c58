"""Sync: make a collection equal to a folder.

Plan (what is new, changed, moved, gone) -> re-point what moved -> drop what is gone -> read the
rest in other processes, encode it here, write it in another thread.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

from mm_rag.collection.catalog import Catalog, CatalogFile, Commit, Entry
from mm_rag.collection.diff import Change, Move, Plan, Planner
from mm_rag.collection.encoding import SegmentEncoder
from mm_rag.collection.exclusion import Exclusion
from mm_rag.collection.missing import check_missing
from mm_rag.collection.pictures import Pictures
from mm_rag.collection.pipeline import BATCH, Pipeline
from mm_rag.collection.report import FileReport, SyncReport
from mm_rag.collection.writer import SegmentWriter
from mm_rag.errors import InputError
from mm_rag_loaders import LoadedFile, LoadOptions, Source, find_sources, load_files
from mm_rag_loaders.outcome import Event, OnProgress, Progress
from mm_rag_loaders.references import moved

_TAGGING = "tagging"  # the fact that Segments may not have the tags of their files


@dataclass(frozen=True, kw_only=True)
class SyncRequest:
    """What a sync is asked for.

    Attributes:
        sources: Files and folders, absolute.
        exclude: Files of the folders that are left out.
        tags: What all of the files are to be tagged with; None for as before.
        checksum: Whether files are compared by their content only.
        delete_missing: Whether most of what was in a folder may be removed.
    """

    sources: Sequence[Path]
    exclude: Exclusion
    tags: tuple[str, ...] | None = None
    checksum: bool = False
    delete_missing: bool = False


class FolderSync:
    """One run over some files and folders.

    Args:
        own: The collection's own folder, which is left out.
        catalog: Which files are in.
        writer: Where Segments go.
        encoder: Gives what makes their vectors; called only where there are some to make.
        options: How files are read.
        pictures: Which of the pictures that are drawn are kept.
        on_progress: Told how far it has come.
    """

    def __init__(
        self,
        own: Path,
        catalog: Catalog,
        writer: SegmentWriter,
        encoder: Callable[[], SegmentEncoder],
        options: LoadOptions,
        pictures: Pictures,
        on_progress: OnProgress | None = None,
    ) -> None:
        self._own, self._catalog, self._writer = own, catalog, writer
        self._made_encoder, self._options = encoder, replace(options, assets=pictures.store)
        self._pictures, self._on_progress = pictures, on_progress
        self._reports: dict[str, FileReport] = {}
        self._owners: dict[str, str] = {}
        self._progress = Progress(of=0)

    @cached_property
    def _encoder(self) -> SegmentEncoder:
        return self._made_encoder()

    def run(self, request: SyncRequest) -> SyncReport:
        """Index what is new or changed, remove what is gone, and say what was done.

        Raises:
            FilesMissing: Most files of a folder are gone, and the request does not allow that.
        """
        began = time.monotonic()
        # `mm-rag index .` must not index the collection that lies in the same folder.
        there = [s for s in find_sources(request.sources) if self._own not in Path(str(s)).parents]
        excluded = {str(source) for source in there if request.exclude.covers(source)}
        found = [source for source in there if str(source) not in excluded]
        self._show(Progress(of=len(found)))
        known = self._catalog.files()
        tags = None if request.tags is None else "\n".join(request.tags)
        planner = Planner(known, self._options, self._skip, checksum=request.checksum, tags=tags)
        plan = planner.plan(found, request.sources, excluded)
        if not request.delete_missing:
            check_missing(request.sources, known, [file.path for file in plan.gone])
        for file in plan.gone:
            reason = "excluded" if file.path in excluded else "no longer there"
            self._report(FileReport(path=file.path, state="removed", reason=reason))
        uses_tags = bool(tags) or any(file.tags for file in known.values())
        self._carry_out(plan, uses_tags=uses_tags)
        return self._finished(began)

    def remove(self, paths: Set[str], sources: Iterable[str]) -> SyncReport:
        """Remove files, and what was added by hand; copies of the files that are in stay.

        Args:
            paths: Of files that are known.
            sources: Of the Segments that were added by hand.
        """
        began = time.monotonic()
        known = self._catalog.files()
        plan = Planner(known, self._options, self._skip).plan_removal(paths)
        for path in sorted({*paths, *sources}):
            self._report(FileReport(path=path, state="removed"))
        uses_tags = any(file.tags for file in known.values())
        self._carry_out(plan, uses_tags=uses_tags)
        self._writer.commit(Commit(dropped=self._catalog.ids_from(sources)))
        return self._finished(began)

    def _carry_out(self, plan: Plan, *, uses_tags: bool) -> None:
        uses_tags = uses_tags or self._catalog.meta(_TAGGING) is not None
        if uses_tags:  # a run that is killed before it is through is finished by the next
            self._catalog.set_meta(**{_TAGGING: "yes"})
        self._owners = plan.owners
        for report in plan.reports:
            self._report(report)
        self._draft_moved(plan.moves)
        # All at once: files may have changed places, and none may lose what another has yet to get.
        self._writer.commit(
            Commit(
                written=[self._moved_row(move) for move in plan.moves],
                noted=plan.noted,
                forgotten=sorted(plan.left),
            )
        )
        self._read(plan.changes)
        if uses_tags:
            self._tag()
            self._catalog.set_meta(**{_TAGGING: None})

    def _finished(self, began: float) -> SyncReport:
        self._catalog.drop_staged()
        self._writer.update_indexes()
        return SyncReport(
            files=tuple(self._reports[path] for path in sorted(self._reports)),
            segments=self._catalog.counts(),
            seconds=time.monotonic() - began,
        )

    def _tag(self) -> None:
        """Give Segments the tags of their files. Nothing is encoded: tags are no words."""
        waiting, rows = list[Entry](), list[CatalogFile]()
        for file, tags in self._catalog.tagged_otherwise():
            there = self._catalog.content(file.sha256)
            waiting += [replace(old, segment=replace(old.segment, tags=tags)) for old in there]
            rows.append(file)
            if len(waiting) >= BATCH:
                self._write_again(waiting, rows)
        self._write_again(waiting, rows)

    def _write_again(self, entries: list[Entry], rows: list[CatalogFile]) -> None:
        self._writer.stage(entries)
        self._writer.commit(Commit(written=rows))
        entries.clear()
        rows.clear()

    def _draft_moved(self, moves: Sequence[Move]) -> None:
        """Draft what files' contents gave for their new paths, many files at a time.

        They are encoded anew only where a file's name is part of what the model is given.
        """
        pairs = (
            (old, moved(old.segment, move.now.path))
            for move in moves
            for old in self._catalog.content(move.now.sha256)
        )
        while some := list(islice(pairs, BATCH)):
            entries = {
                segment.id: replace(old, segment=segment)
                for old, segment in some
                if self._encoder.given(segment) == self._encoder.given(old.segment)
            }
            renamed = [segment for _, segment in some if segment.id not in entries]
            entries |= {entry.segment.id: entry for entry in self._encoder.entries(renamed)}
            self._writer.stage([entries[old.segment.id] for old, _ in some])

    def _moved_row(self, move: Move) -> CatalogFile:
        """The row that a file is to have where it is now."""
        old = move.source
        state = "incomplete" if old.state == "incomplete" else "indexed"
        row = replace(move.now, state=state, reason=old.reason, indexed_at=old.indexed_at)
        took = "was" if move.by_name else "takes the place of"
        reason = f"{took} {old.path}"
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
        self._note_duplicate(change.now, owner)
        self._skip(change.source)

    def _note_duplicate(self, row: CatalogFile, owner: str) -> None:
        self._note(replace(row, state="duplicate", reason=f"same content as {owner}"))

    def _index(self, loaded: LoadedFile, now: CatalogFile, pipeline: Pipeline) -> None:
        if loaded.state != "loaded":
            self._note(replace(now, state=loaded.state, reason=loaded.reason))
            return
        state = "incomplete" if loaded.incomplete else "indexed"
        # Its content may have changed since it was looked at, and be another file's by now.
        row = replace(now, sha256=loaded.sha256, state=state, reason="; ".join(loaded.notes))
        owner = self._owners.get(row.sha256, row.path)
        if owner != row.path:
            self._note_duplicate(row, owner)
            return
        self._owners[row.sha256] = row.path
        counts = Counter(segment.modality for segment in loaded.segments)
        self._report(
            FileReport(path=row.path, state=state, reason=row.reason, segments=dict(counts))
        )
        self._catalog.detach_staged(row.sha256)
        tags = tuple(row.tags.splitlines())
        pipeline.put(row, [replace(segment, tags=tags) for segment in loaded.segments])

    def _refuse(self, row: CatalogFile, error: InputError) -> None:
        """The model cannot take what the loader could."""
        self._owners.pop(row.sha256, None)
        self._catalog.detach_staged(row.sha256)
        self._note(replace(row, state="unreadable", reason=str(error)))

    def _note(self, row: CatalogFile) -> None:
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
