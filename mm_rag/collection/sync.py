"""Sync: make a collection equal to files and folders.

diff -> load -> encode -> write -> report:

1. `Comparison` compares the files with the catalog.
2. Moved, missing and touched files are committed at once.
3. New and changed files are loaded in worker processes, encoded here, and written in another
   thread (`IndexingPipeline`).
4. Segments get the tags of their files.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import closing
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, cast
from unicodedata import normalize

from mm_rag.collection.assets import CollectionAssets
from mm_rag.collection.catalog import Catalog, CatalogFile, Commit, Entry, State
from mm_rag.collection.diff import Change, Comparison, Diff, Move, check_missing
from mm_rag.collection.encoding import SegmentEncoder
from mm_rag.collection.pipeline import BATCH, IndexingPipeline, Rejected
from mm_rag.collection.report import FileReport, SyncReport
from mm_rag.collection.writer import SegmentWriter
from mm_rag.content import Url
from mm_rag.errors import InputError
from mm_rag_loaders import LoadedFile, LoadOptions, Source, find_sources, load_files, moved
from mm_rag_loaders.outcome import OnProgress, ProgressTracker, in_one_line


@dataclass(frozen=True, kw_only=True)
class SyncRequest:
    """The arguments of a sync.

    Attributes:
        sources: Files and folders, absolute.
        exclude: Files of the folders to leave out.
        tags: Tags for all of the files; None to keep theirs.
        checksum: Whether files are compared by content only.
        delete_missing: Whether most files of a folder may be removed.
    """

    sources: Sequence[Path]
    exclude: Exclusion
    tags: tuple[str, ...] | None = None
    checksum: bool = False
    delete_missing: bool = False


class FolderSync:
    """One run of `sync` or `remove`.

    Args:
        own: The collection's own folder, which is left out.
        catalog: The catalog.
        writer: Writes segments and commits changes.
        encoder: Makes the encoder of segments. It is called only if there are segments to encode,
            so that a sync without changes loads no model.
        options: Options of the loaders.
        assets: The collection's pictures.
        on_progress: Called with the progress.
    """

    def __init__(
        self,
        own: Path,
        catalog: Catalog,
        writer: SegmentWriter,
        encoder: Callable[[], SegmentEncoder],
        options: LoadOptions,
        assets: CollectionAssets,
        on_progress: OnProgress | None = None,
    ) -> None:
        self._own, self._catalog, self._writer = own, catalog, writer
        self._make_encoder, self._assets = encoder, assets
        self._options = replace(options, assets=assets.store)
        self._on_progress = on_progress
        self._began = time.monotonic()
        self._reports: dict[str, FileReport] = {}
        self._owners: dict[str, str] = {}  # by sha256: the path under which content is indexed
        self._progress = ProgressTracker(0, None)

    @cached_property
    def _encoder(self) -> SegmentEncoder:
        return self._make_encoder()

    def run(self, request: SyncRequest) -> SyncReport:
        """Index new and changed files, and remove missing and excluded ones.

        Raises:
            FilesMissing: Most files of a folder are missing, and the request does not allow that.
        """
        found, excluded = self._find(request)
        self._progress = ProgressTracker(len(found), self._on_progress)
        known = self._catalog.files()
        tags = None if request.tags is None else "\n".join(request.tags)
        comparison = Comparison(
            known, self._options, self._progress, checksum=request.checksum, tags=tags
        )
        diff = comparison.with_files(found, request.sources, excluded)
        if not request.delete_missing:
            check_missing(request.sources, known, [file.path for file in diff.gone])
        for file in diff.gone:
            reason = "excluded" if file.path in excluded else "no longer there"
            self._report(FileReport(path=file.path, state="removed", reason=reason))
        self._apply(diff, retag=bool(tags) or any(file.tags for file in known.values()))
        return self._finished()

    def remove(self, paths: Set[str], sources: Iterable[str]) -> SyncReport:
        """Remove files and added segments. Copies of the removed files stay.

        Args:
            paths: Files of the catalog.
            sources: Sources of segments that were added by `Collection.add`.
        """
        known = self._catalog.files()
        diff = Comparison(known, self._options, self._progress).without(paths)
        for path in sorted({*paths, *sources}):
            self._report(FileReport(path=path, state="removed"))
        self._apply(diff, retag=any(file.tags for file in known.values()))
        self._writer.commit(Commit(dropped=self._catalog.ids_from(sources)))
        return self._finished()

    def _find(self, request: SyncRequest) -> tuple[list[Source], set[str]]:
        """The files to index, and the paths of the excluded ones."""
        # `mm-rag index .` must not index the collection that lies in the same folder.
        there = [s for s in find_sources(request.sources) if self._own not in Path(str(s)).parents]
        excluded = {str(source) for source in there if request.exclude.covers(source)}
        return [source for source in there if str(source) not in excluded], excluded

    def _apply(self, diff: Diff, *, retag: bool) -> None:
        """Commit moves and removals, then index the changed files, then tag."""
        retag = retag or self._catalog.state().tags_outdated
        if retag:  # if this run is killed before it has tagged, the next one does
            self._catalog.advance(State.tagging_begun)
        self._owners = dict(diff.owners)
        for report in diff.reports:
            self._report(report)
        self._stage_moved(diff.moves)
        # In one commit: files may have swapped places, and the content of one must not be dropped
        # before the other has it.
        self._writer.commit(
            Commit(
                written=[self._report_move(move) for move in diff.moves],
                noted=diff.noted,
                forgotten=sorted(diff.forgotten),
            )
        )
        self._index(diff.changes)
        if retag:
            self._tag()
            self._catalog.advance(State.tagging_ended)

    def _stage_moved(self, moves: Sequence[Move]) -> None:
        """Stage the segments of moved files with their new paths, in batches.

        They are encoded again only if the file name is part of the model's input.
        """
        pairs = (
            (old, moved(old.segment, move.row.path))
            for move in moves
            for old in self._catalog.content(move.row.sha256)
        )
        while batch := list(islice(pairs, BATCH)):
            entries = {
                segment.id: replace(old, segment=segment)
                for old, segment in batch
                if self._encoder.given(segment) == self._encoder.given(old.segment)
            }
            renamed = [segment for _, segment in batch if segment.id not in entries]
            entries |= {entry.segment.id: entry for entry in self._encoder.entries(renamed)}
            self._writer.stage([entries[old.segment.id] for old, _ in batch])

    def _report_move(self, move: Move) -> CatalogFile:
        """Report a move; return the row of the new path."""
        old = move.old
        state = "incomplete" if old.state == "incomplete" else "indexed"
        row = replace(move.row, state=state, reason=old.reason, indexed_at=old.indexed_at)
        verb = "was" if move.is_rename else "takes the place of"
        self._report(FileReport(path=row.path, state="moved", reason=f"{verb} {old.path}"))
        return row

    def _index(self, changes: Sequence[Change]) -> None:
        """Load, encode and write changed files; of equal ones, the first that can be read."""
        left = list(changes)
        while left:
            first, left = self._one_per_content(left)
            if first:
                self._load_and_write(first)

    def _one_per_content(self, changes: Sequence[Change]) -> tuple[list[Change], list[Change]]:
        """Files to read now, and files to look at again when those with their content are read."""
        now, later = list[Change](), list[Change]()
        reading = set[str]()
        for change in changes:
            sha256, path = change.row.sha256, change.row.path
            owner = self._owners.get(sha256, path)
            if owner != path:
                self._note_duplicate(change.row, owner)
                self._progress.done(change.source.name)
            elif sha256 in reading:
                later.append(change)
            else:
                reading.add(sha256)
                now.append(change)
        return now, later

    def _load_and_write(self, changes: Sequence[Change]) -> None:
        sources = [change.source for change in changes]
        with (
            IndexingPipeline(self._encoder, self._writer, self._assets) as pipeline,
            closing(load_files(sources, self._options, self._progress.after)) as files,
        ):
            for change, loaded in zip(changes, files, strict=True):
                row = self._accept(loaded, change.row)
                if row is not None:
                    tags = tuple(row.tags.splitlines())
                    segments = [replace(segment, tags=tags) for segment in loaded.segments]
                    self._note_rejected(pipeline.put(row, segments))
            self._note_rejected(pipeline.flush())

    def _accept(self, loaded: LoadedFile, row: CatalogFile) -> CatalogFile | None:
        """The row of a file to be encoded and written; None for one that is only noted."""
        if loaded.state != "loaded":
            self._note(replace(row, state=loaded.state, reason=loaded.reason))
            return None
        state = "incomplete" if loaded.incomplete else "indexed"
        # The content may have changed since the comparison, and may now equal another file's.
        reason = in_one_line(loaded.notes)
        row = replace(row, sha256=loaded.sha256, state=state, reason=reason)
        owner = self._owners.setdefault(row.sha256, row.path)
        if owner != row.path:
            self._note_duplicate(row, owner)
            return None
        counts = Counter(segment.modality for segment in loaded.segments)
        self._report(
            FileReport(
                path=row.path,
                state=state,
                reason=row.reason,
                notes=loaded.notes,
                segments=dict(counts),
            )
        )
        self._catalog.detach_staged(row.sha256)
        return row

    def _note_rejected(self, rejected: Sequence[Rejected]) -> None:
        """Note files that could be read and cannot be encoded."""
        for row, error in rejected:
            self._owners.pop(row.sha256, None)
            self._catalog.detach_staged(row.sha256)
            self._note(replace(row, state="unreadable", reason=str(error)))

    def _note_duplicate(self, row: CatalogFile, owner: str) -> None:
        self._note(replace(row, state="duplicate", reason=f"same content as {owner}"))

    def _note(self, row: CatalogFile) -> None:
        """Commit and report a file that has no segments in the collection."""
        assert not row.is_in
        self._writer.commit(Commit(noted=[row]))
        self._report(FileReport(path=row.path, state=row.state, reason=row.reason))

    def _tag(self) -> None:
        """Give segments the tags of their files. Nothing is encoded: tags are not searched."""
        entries, rows = list[Entry](), list[CatalogFile]()
        for file, tags in self._catalog.tagged_otherwise():
            there = self._catalog.content(file.sha256)
            entries += [replace(old, segment=replace(old.segment, tags=tags)) for old in there]
            rows.append(file)
            if len(entries) >= BATCH:
                self._write_again(entries, rows)
                entries, rows = [], []
        self._write_again(entries, rows)

    def _write_again(self, entries: Sequence[Entry], rows: Sequence[CatalogFile]) -> None:
        self._writer.stage(entries)
        self._writer.commit(Commit(written=rows))

    def _report(self, report: FileReport) -> None:
        self._reports[report.path] = report

    def _finished(self) -> SyncReport:
        self._catalog.drop_staged()
        self._writer.update_indexes()
        return SyncReport(
            files=tuple(self._reports[path] for path in sorted(self._reports)),
            segments=self._catalog.counts(),
            seconds=time.monotonic() - self._began,
        )


class Exclusion:
    """Patterns of file and folder names, similar to those of rsync and .gitignore.

    A pattern without a slash is compared with the names of the file and of every folder between it
    and the synced folder: `"*.tmp"`, `"drafts"`. A pattern with a slash is compared with their
    paths, absolute or relative to the synced folder: `"drafts/*.pdf"`. `*` matches any characters,
    including slashes, `?` one character, `[ab]` one of these, `**/` any folders.

    Args:
        patterns: One or several patterns, or none.

    Raises:
        InputError: A pattern is empty or no str.
    """

    def __init__(self, patterns: str | Sequence[str]) -> None:
        given = [patterns] if isinstance(patterns, str) else list(cast("Sequence[Any]", patterns))
        for pattern in given:
            if not isinstance(pattern, str) or not pattern.strip("/ "):
                raise InputError(f"exclude takes patterns such as '*.tmp'; got {pattern!r:.100}.")
        self._patterns = [spelling for pattern in given for spelling in _spellings(pattern)]

    def covers(self, source: Source) -> bool:
        """Whether a file, or a folder that it lies in, matches a pattern."""
        path, root = source.location, source.within
        if not self._patterns or isinstance(path, Url):
            return False
        inside = path.relative_to(root) if root and root in path.parents else Path(path.name)
        names = [normalize("NFC", name) for name in inside.parts]
        paths = [*_with_folders(inside), *_with_folders(path)]
        return any(
            fnmatchcase(place, pattern)
            for pattern in self._patterns
            for place in (paths if "/" in pattern else names)
        )


def _spellings(pattern: str) -> Iterator[str]:
    """The normalised forms of a pattern: a path begins with a slash, a name has none."""
    bare = normalize("NFC", pattern).removeprefix("./").rstrip("/")
    if "/" not in bare:
        yield bare
        return
    path = f"/{bare.lstrip('/')}"
    yield path
    if "/**/" in path:
        yield path.replace("/**/", "/")


def _with_folders(path: Path) -> Iterator[str]:
    """A path and its parent folders, each with a leading slash."""
    for place in (path, *path.parents):
        if place.name:
            yield f"/{normalize('NFC', place.as_posix().lstrip('/'))}"
