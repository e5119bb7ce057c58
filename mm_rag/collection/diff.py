"""Compare the files of folders with the catalog: new, changed, moved and missing files.

All files are inspected before any is read: only then is it known which of them have moved.
"""

from __future__ import annotations

import errno
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeGuard

from mm_rag.collection.catalog import CatalogFile
from mm_rag.collection.report import FileReport
from mm_rag.errors import FilesMissing, InputError, SourceForbidden
from mm_rag_loaders import LoadOptions, Source
from mm_rag_loaders.file_stamp import (
    ContentHash,
    FileStamp,
    file_sha256,
    reader_stamp,
    without_stem,
)
from mm_rag_loaders.loader import local_path
from mm_rag_loaders.outcome import ProgressTracker

_SETTLED = ("indexed", "duplicate", "unsupported")
"""States of files that are not read again while they stay the same. Files that could not be read,
or only in part because a reader was missing, are tried again: a password may have been given or a
package installed."""

_FEW_MISSING = 3  # files that may be missing from a folder, whatever their share of it
_MOST_MISSING = 0.5  # share of a folder's files


@dataclass(frozen=True)
class Change:
    """A file that is new or has changed.

    Attributes:
        source: The file, with its sha256.
        row: Its row in the catalog, if it can be read.
    """

    source: Source
    row: CatalogFile


@dataclass(frozen=True)
class Move:
    """Indexed content that is now found at another path.

    Attributes:
        old: The row of the path where it was.
        row: The row of the path where it is.
        is_rename: Whether the file itself was moved there; otherwise a copy replaces a missing
            file.
    """

    old: CatalogFile
    row: CatalogFile
    is_rename: bool


@dataclass
class Diff:
    """The differences between files and catalog.

    Attributes:
        reports: Reports of files that need no change.
        noted: Rows to be replaced without changing segments.
        moves: Content that gets another path.
        changes: Files to be read, or left out as duplicates.
        gone: Rows of missing files, without those that moved away.
        forgotten: Paths to be deleted from the catalog: missing and refused files.
        owners: By sha256, the path under which content stays indexed.
    """

    reports: list[FileReport] = field(default_factory=list[FileReport])
    noted: list[CatalogFile] = field(default_factory=list[CatalogFile])
    moves: list[Move] = field(default_factory=list[Move])
    changes: list[Change] = field(default_factory=list[Change])
    gone: list[CatalogFile] = field(default_factory=list[CatalogFile])
    forgotten: set[str] = field(default_factory=set[str])
    owners: dict[str, str] = field(default_factory=dict[str, str])


class Comparison:
    """Builds one `Diff`.

    Args:
        known: The files of the catalog by path.
        options: Options of the loaders.
        progress: Counts files that are inspected and need not be read.
        checksum: Whether all files are compared by content, which reads each of them.
        tags: Tags that all found files get, as in `CatalogFile`; None to keep theirs.
    """

    def __init__(
        self,
        known: dict[str, CatalogFile],
        options: LoadOptions,
        progress: ProgressTracker,
        *,
        checksum: bool = False,
        tags: str | None = None,
    ) -> None:
        self._known, self._options, self._progress = known, options, progress
        self._checksum, self._tags = checksum, tags
        self._owners = {file.sha256: file for file in known.values() if file.is_in}
        self._copies: dict[str, list[CatalogFile]] = defaultdict(list)
        for file in known.values():
            if file.state == "duplicate":
                self._copies[file.sha256].append(file)
        self._touched: dict[str, CatalogFile] = {}
        self._diff = Diff()

    def with_files(
        self, found: Sequence[Source], roots: Sequence[Path], excluded: Set[str] = frozenset()
    ) -> Diff:
        """Compare with the files found in folders.

        Args:
            found: The files that should be in the collection.
            roots: The files and folders that were searched.
            excluded: Paths of existing files that should not be in the collection.
        """
        changed = [change for source in found if (change := self._inspect(source))]
        names = {str(source) for source in found}
        self._note_gone(names, roots, {change.row.sha256 for change in changed}, excluded)
        return self._finished(changed)

    def without(self, paths: Set[str]) -> Diff:
        """Remove files of the catalog, whether they still exist or not."""
        for path in sorted(paths):
            self._diff.gone.append(self._known[path])
            self._diff.forgotten.add(path)
        return self._finished([])

    def _inspect(self, source: Source) -> Change | None:
        """The change of a file; for a file without one, its report and row are noted."""
        name = str(source).encode("utf-8", "backslashreplace").decode()
        if name != str(source):
            return self._unreadable(name, "its name is not UTF-8")
        known = self._known.get(name)
        try:
            path = local_path(source, self._options)
            if self._is_settled(known) and self._looks_same(path, known):
                if self._tags not in (None, known.tags):
                    self._touched[name] = replace(known, tags=self._tags)
                return self._unchanged(source, known)
            row, content = _current_row(path, name, source.within, self._options)
        except SourceForbidden as error:
            return self._refused(name, error)
        except InputError as error:
            return self._unreadable(name, str(error))
        except OSError as error:  # deleted in the meantime, or no permission
            return self._unreadable(name, f"it cannot be opened: {error.strerror}")
        row = replace(row, tags=self._tags_of(known))
        if self._is_settled(known) and _is_same_content(known, row):
            self._touched[name] = replace(
                row, state=known.state, reason=known.reason, indexed_at=known.indexed_at
            )
            return self._unchanged(source, known)
        return Change(replace(source, content=content), row)

    def _is_settled(self, known: CatalogFile | None) -> TypeGuard[CatalogFile]:
        if known is None or known.state not in _SETTLED:
            return False
        return known.state != "duplicate" or known.sha256 in self._owners

    def _looks_same(self, path: Path, known: CatalogFile) -> bool:
        return not self._checksum and _looks_same(path, known, self._options)

    def _tags_of(self, known: CatalogFile | None) -> str:
        if self._tags is not None:
            return self._tags
        return known.tags if known else ""

    def _unchanged(self, source: Source, known: CatalogFile) -> None:
        state = "unsupported" if known.state == "unsupported" else "unchanged"
        report = FileReport(path=known.path, state=state, reason=known.reason)
        self._diff.reports.append(report)
        self._progress.done(source.name)

    def _unreadable(self, name: str, reason: str) -> None:
        self._diff.reports.append(FileReport(path=name, state="unreadable", reason=reason))

    def _refused(self, name: str, error: SourceForbidden) -> None:
        """Report a file that may not be opened, and remove what is indexed of it."""
        self._diff.reports.append(FileReport(path=name, state="refused", reason=str(error)))
        if name in self._known:
            self._diff.forgotten.add(name)

    def _note_gone(
        self, found: set[str], roots: Sequence[Path], came: set[str], excluded: Set[str]
    ) -> None:
        """Note missing files, of the roots or of any folder if their content came to a root."""
        for path, file in self._known.items():
            expected = lies_in(Path(path), roots) or (file.is_in and file.sha256 in came)
            if path in excluded or (path not in found and expected and not _may_exist(path)):
                self._diff.gone.append(file)
                self._diff.forgotten.add(path)

    def _finished(self, changed: Sequence[Change]) -> Diff:
        """Find moves, now that all changed and missing files are known."""
        leaving = self._leaving(changed)
        for change in changed:
            if not self._move_to_change(change, leaving):
                self._diff.changes.append(change)
        for sha256 in sorted(leaving):
            self._move_to_copy(self._owners[sha256], leaving)
        self._diff.noted = list(self._touched.values())
        renamed = {move.old.path for move in self._diff.moves if move.is_rename}
        self._diff.gone = [file for file in self._diff.gone if file.path not in renamed]
        self._diff.owners |= {
            sha256: file.path for sha256, file in self._owners.items() if sha256 not in leaving
        }
        return self._diff

    def _leaving(self, changed: Iterable[Change]) -> set[str]:
        """The sha256 of indexed content that has left its path."""
        lost = self._diff.forgotten | {
            change.row.path
            for change in changed
            if (known := self._known.get(change.row.path)) and known.sha256 != change.row.sha256
        }
        return {sha256 for sha256, file in self._owners.items() if file.path in lost}

    def _move_to_change(self, change: Change, leaving: set[str]) -> bool:
        """Move content to a new or changed file that has it; return whether that is possible."""
        sha256 = change.row.sha256
        if sha256 not in leaving or not _can_move(self._owners[sha256], change.row):
            return False
        self._move(self._owners[sha256], change.row, leaving)
        return True

    def _move_to_copy(self, owner: CatalogFile, leaving: set[str]) -> None:
        """Move content to a duplicate that still exists, or have the duplicate read."""
        for known in self._copies[owner.sha256]:
            file = self._touched.get(known.path, known)
            if file.path in self._diff.forgotten or not _is_there(file, self._options):
                continue
            self._touched.pop(file.path, None)  # its row is replaced by another one
            row = replace(file, state="indexed", reason="")
            if _can_move(owner, row):
                self._move(owner, row, leaving)
            else:
                path = Path(row.path)
                self._diff.changes.append(Change(Source(path, within=path.parent), row))
            return

    def _move(self, owner: CatalogFile, row: CatalogFile, leaving: set[str]) -> None:
        is_rename = row.path not in self._known and owner.path in self._diff.forgotten
        if is_rename and self._tags is None:
            row = replace(row, tags=owner.tags)
        self._diff.moves.append(Move(owner, row, is_rename=is_rename))
        self._diff.owners[row.sha256] = row.path
        leaving.discard(row.sha256)


def _current_row(
    path: Path, name: str, within: Path | None, options: LoadOptions
) -> tuple[CatalogFile, ContentHash]:
    """The row of a file as it is now, if it can be read, and its hash."""
    # The stamp comes first: a file that is replaced in between differs from it the next time.
    stamp = FileStamp.of(path.stat())
    content = ContentHash(file_sha256(path, options.policy, within=within), stamp)
    row = CatalogFile(
        path=name,
        sha256=content.sha256,
        size=stamp.size,
        mtime_ns=stamp.mtime_ns,
        ctime_ns=stamp.ctime_ns,
        inode=stamp.inode,
        beside=reader_stamp(path, options.transcriber),
        state="indexed",
        indexed_at=time.time(),
    )
    return row, content


def _looks_same(path: Path, known: CatalogFile, options: LoadOptions) -> bool:
    """Whether a file is the same according to the file system."""
    stamp = FileStamp(
        size=known.size, mtime_ns=known.mtime_ns, ctime_ns=known.ctime_ns, inode=known.inode
    )
    is_same = stamp.is_same(FileStamp.of(path.stat()))
    return is_same and reader_stamp(path, options.transcriber) == known.beside


def _is_same_content(known: CatalogFile, row: CatalogFile) -> bool:
    return (known.sha256, known.beside) == (row.sha256, row.beside)


def _is_there(file: CatalogFile, options: LoadOptions) -> bool:
    """Whether a file still has the content in its row."""
    path = Path(file.path)
    try:
        if _looks_same(path, file, options):
            return True
        row, _ = _current_row(path, file.path, None, options)
    except (OSError, InputError):
        return False
    return _is_same_content(file, row)


def _can_move(owner: CatalogFile, row: CatalogFile) -> bool:
    """Whether reading the file at its new path would give the same segments."""
    old, new = Path(owner.path), Path(row.path)
    same_kind = old.suffix.lower() == new.suffix.lower()
    same_beside = without_stem(owner.beside, old) == without_stem(row.beside, new)
    return same_kind and same_beside and owner.state == "indexed"


def _may_exist(path: str) -> bool:
    """Whether a path exists, or cannot be inspected at the moment."""
    try:
        Path(path).stat()
    except OSError as error:
        return error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
    return True


def check_missing(roots: Iterable[Path], known: Collection[str], gone: Collection[str]) -> None:
    """Refuse to remove most files of a folder, which may be on a drive that is not mounted.

    Args:
        roots: The synced folders. Each is checked on its own: one of several drives may be missing.
        known: Paths of the files in the collection.
        gone: Paths that would be removed.

    Raises:
        FilesMissing: More than half of a folder's files would be removed, and more than 3.
    """
    for root in roots:
        lost = [path for path in gone if lies_in(Path(path), [root])]
        if len(lost) <= _FEW_MISSING:
            continue
        held = sum(lies_in(Path(path), [root]) for path in known)
        if len(lost) > _MOST_MISSING * held:
            raise FilesMissing(
                f"{len(lost)} of the {held} files that the collection has from {root} are not "
                "there any more, or are excluded now. Is a drive not mounted, or a folder renamed? "
                "Nothing was changed. If they are to be removed: sync(..., delete_missing=True), "
                "or mm-rag index --delete-missing."
            )


def lies_in(path: Path, roots: Iterable[Path]) -> bool:
    """Whether a path is one of these files and folders, or lies in one."""
    return any(path == root or root in path.parents for root in roots)
