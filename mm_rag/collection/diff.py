"""Plan: what has become of a collection's files since they were last looked at.

All files are looked at before any is read: only then is it known which of them have moved.
"""

from __future__ import annotations

import errno
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeGuard

from mm_rag.collection.catalog import CatalogFile
from mm_rag.collection.missing import lies_in
from mm_rag.collection.report import FileReport
from mm_rag.collection.stamps import Stamp
from mm_rag.errors import InputError, SourceForbidden
from mm_rag_loaders import LoadOptions, Source
from mm_rag_loaders.hashing import file_sha256
from mm_rag_loaders.loader import local_path
from mm_rag_loaders.sidecars import reader_stamp, unnamed

_SETTLED = ("indexed", "duplicate", "unsupported")
"""What needs no second look while the file stays as it is. What could not be read, or not wholly
because a reader was missing, is tried again: a password may be given, a package installed."""


@dataclass(frozen=True)
class Change:
    """A file that is new, or not what it was.

    Attributes:
        source: The file.
        now: Its row, if it can be read.
    """

    source: Source
    now: CatalogFile


@dataclass(frozen=True)
class Move:
    """Content that is found at another path now.

    Attributes:
        source: Where it was.
        now: The row of where it is.
        by_name: Whether the file itself went there; else a copy takes its place.
    """

    source: CatalogFile
    now: CatalogFile
    by_name: bool


@dataclass
class Plan:
    """What is to be done.

    Attributes:
        reports: Of files with which nothing is to be done.
        noted: Rows to be replaced, and nothing else.
        moves: Content to be re-pointed.
        changes: Files to be read, or left out as copies of others.
        gone: Files that are no more; those that moved away are not among them.
        left: Paths to be forgotten: all that are no more, or may not be opened.
        owners: By content, the path of the file that is in with it and stays so.
    """

    reports: list[FileReport] = field(default_factory=list[FileReport])
    noted: list[CatalogFile] = field(default_factory=list[CatalogFile])
    moves: list[Move] = field(default_factory=list[Move])
    changes: list[Change] = field(default_factory=list[Change])
    gone: list[CatalogFile] = field(default_factory=list[CatalogFile])
    left: set[str] = field(default_factory=set[str])
    owners: dict[str, str] = field(default_factory=dict[str, str])


class Planner:
    """Looks at files, and compares them with what is known of them.

    Args:
        known: The catalog's files.
        options: How files are read.
        seen: Told of every file that was looked at and need not be read.
        checksum: Whether files are compared by their content only, which reads all of them.
        tags: Those that all files found are to have, as in `CatalogFile`; None for as before.
    """

    def __init__(
        self,
        known: dict[str, CatalogFile],
        options: LoadOptions,
        seen: Callable[[Source], None],
        *,
        checksum: bool = False,
        tags: str | None = None,
    ) -> None:
        self._known, self._options, self._seen = known, options, seen
        self._checksum, self._tags = checksum, tags
        self._owners = {file.sha256: file for file in known.values() if file.is_in}
        self._copies: dict[str, list[CatalogFile]] = defaultdict(list)
        for file in known.values():
            if file.state == "duplicate":
                self._copies[file.sha256].append(file)
        self._touched: dict[str, CatalogFile] = {}
        self._plan = Plan()

    def plan(
        self, found: Sequence[Source], roots: Sequence[Path], excluded: Set[str] = frozenset()
    ) -> Plan:
        """Look at every file, and at those that are no longer found.

        Args:
            found: The files that are to be in.
            roots: Where they were looked for.
            excluded: Paths of files that are there, and are to be out.
        """
        changed = [change for source in found if (change := self._look_at(source))]
        names = {str(source) for source in found}
        self._note_gone(names, roots, {change.now.sha256 for change in changed}, excluded)
        return self._with_moves(changed)

    def plan_removal(self, paths: Set[str]) -> Plan:
        """Have files go that are in, whether they are still there or not."""
        for path in sorted(paths):
            self._plan.gone.append(self._known[path])
            self._plan.left.add(path)
        return self._with_moves([])

    def _with_moves(self, changed: Sequence[Change]) -> Plan:
        """The plan, now that it is known what has changed and what goes."""
        leaving = self._leaving(changed)
        for change in changed:
            if not self._moves_here(change, leaving):
                self._plan.changes.append(change)
        for sha256 in sorted(leaving):
            self._move_to_copy(self._owners[sha256], leaving)
        self._plan.noted = list(self._touched.values())
        went = {move.source.path for move in self._plan.moves if move.by_name}
        self._plan.gone = [file for file in self._plan.gone if file.path not in went]
        self._plan.owners |= {
            sha256: file.path for sha256, file in self._owners.items() if sha256 not in leaving
        }
        return self._plan

    def _look_at(self, source: Source) -> Change | None:
        """The change, if there is one; what else there is to say is in the plan then."""
        name = str(source).encode("utf-8", "backslashreplace").decode()
        if name != str(source):
            return self._leave(name, "its name is not UTF-8")
        known = self._known.get(name)
        try:
            path = local_path(source, self._options)
            if self._is_settled(known) and self._looks_same(path, known):
                if self._tags not in (None, known.tags):
                    self._touched[name] = replace(known, tags=self._tags)
                return self._unchanged(source, known)
            now = _as_it_is(path, name, source.within, self._options)
            now = replace(now, tags=self._tags_of(known))
        except SourceForbidden as error:
            return self._refuse(name, error)
        except InputError as error:
            return self._leave(name, str(error))
        except OSError as error:  # deleted in the middle of the run, or not ours to read
            return self._leave(name, f"it cannot be opened: {error.strerror}")
        if self._is_settled(known) and _is_only_touched(known, now):
            self._touched[name] = replace(
                now, state=known.state, reason=known.reason, indexed_at=known.indexed_at
            )
            return self._unchanged(source, known)
        return Change(source, now)

    def _tags_of(self, known: CatalogFile | None) -> str:
        if self._tags is not None:
            return self._tags
        return known.tags if known else ""

    def _is_settled(self, known: CatalogFile | None) -> TypeGuard[CatalogFile]:
        if known is None or known.state not in _SETTLED:
            return False
        return known.state != "duplicate" or known.sha256 in self._owners

    def _looks_same(self, path: Path, known: CatalogFile) -> bool:
        return not self._checksum and _looks_same(path, known, self._options)

    def _unchanged(self, source: Source, known: CatalogFile) -> None:
        state = "unsupported" if known.state == "unsupported" else "unchanged"
        report = FileReport(path=known.path, state=state, reason=known.reason)
        self._plan.reports.append(report)
        self._seen(source)

    def _leave(self, name: str, reason: str) -> None:
        self._plan.reports.append(FileReport(path=name, state="unreadable", reason=reason))

    def _refuse(self, name: str, error: SourceForbidden) -> None:
        """Of what may not be opened (any more) nothing stays."""
        self._plan.reports.append(FileReport(path=name, state="refused", reason=str(error)))
        if name in self._known:
            self._plan.left.add(name)

    def _note_gone(
        self, found: set[str], roots: Sequence[Path], came: set[str], excluded: Set[str]
    ) -> None:
        """Note files that are not found, if they should be, or if their content came elsewhere."""
        for path, file in self._known.items():
            expected = lies_in(Path(path), roots) or (file.is_in and file.sha256 in came)
            if path in excluded or (path not in found and expected and not _may_exist(path)):
                self._plan.gone.append(file)
                self._plan.left.add(path)

    def _leaving(self, changed: Iterable[Change]) -> set[str]:
        """Content whose file has lost it."""
        lost = self._plan.left | {
            change.now.path
            for change in changed
            if (known := self._known.get(change.now.path)) and known.sha256 != change.now.sha256
        }
        return {sha256 for sha256, file in self._owners.items() if file.path in lost}

    def _moves_here(self, change: Change, leaving: set[str]) -> bool:
        """Whether a changed file has content that another file has lost."""
        sha256 = change.now.sha256
        if sha256 not in leaving or not _can_move(self._owners[sha256], change.now):
            return False
        self._move(self._owners[sha256], change.now, leaving)
        return True

    def _move_to_copy(self, owner: CatalogFile, leaving: set[str]) -> None:
        """Have a file that was left out as a copy take the place of one that is gone."""
        for known in self._copies[owner.sha256]:
            file = self._touched.get(known.path, known)
            if file.path in self._plan.left or not _is_there(file, self._options):
                continue
            self._touched.pop(file.path, None)  # its row becomes another one
            now = replace(file, state="indexed", reason="")
            if _can_move(owner, now):
                self._move(owner, now, leaving)
            else:
                path = Path(now.path)
                self._plan.changes.append(Change(Source(path, within=path.parent), now))
            return

    def _move(self, owner: CatalogFile, now: CatalogFile, leaving: set[str]) -> None:
        came = now.path not in self._known
        by_name = came and owner.path in self._plan.left
        if by_name and self._tags is None:
            now = replace(now, tags=owner.tags)
        self._plan.moves.append(Move(owner, now, by_name=by_name))
        self._plan.owners[now.sha256] = now.path
        leaving.discard(now.sha256)


def _can_move(owner: CatalogFile, now: CatalogFile) -> bool:
    """Whether what the owner gave is what this file would give."""
    old, new = Path(owner.path), Path(now.path)
    same_kind = old.suffix.lower() == new.suffix.lower()
    same_beside = unnamed(owner.beside, old) == unnamed(now.beside, new)
    return same_kind and same_beside and owner.state == "indexed"


def _as_it_is(path: Path, name: str, within: Path | None, options: LoadOptions) -> CatalogFile:
    # The stamp comes first: a file that is replaced meanwhile differs from it the next time.
    stamp = Stamp.of(path.stat())
    return CatalogFile(
        path=name,
        sha256=file_sha256(path, options.policy, within=within),
        size=stamp.size,
        mtime_ns=stamp.mtime_ns,
        ctime_ns=stamp.ctime_ns,
        inode=stamp.inode,
        beside=reader_stamp(path, options),
        state="indexed",
        indexed_at=time.time(),
    )


def _looks_same(path: Path, known: CatalogFile, options: LoadOptions) -> bool:
    stamp = Stamp(
        size=known.size, mtime_ns=known.mtime_ns, ctime_ns=known.ctime_ns, inode=known.inode
    )
    return stamp.is_as(Stamp.of(path.stat())) and reader_stamp(path, options) == known.beside


def _is_there(file: CatalogFile, options: LoadOptions) -> bool:
    """Whether a file is still what it was, told by its content if need be."""
    path = Path(file.path)
    try:
        return _looks_same(path, file, options) or _is_only_touched(
            file, _as_it_is(path, file.path, None, options)
        )
    except (OSError, InputError):
        return False


def _is_only_touched(known: CatalogFile, now: CatalogFile) -> bool:
    return (known.sha256, known.beside) == (now.sha256, now.beside)


def _may_exist(path: str) -> bool:
    """Whether it is there, or cannot be seen for the moment."""
    try:
        Path(path).stat()
    except OSError as error:
        return error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
    return True
