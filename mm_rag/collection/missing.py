"""Missing files: a folder that has lost most of its files is more often not there than emptied."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from mm_rag.errors import FilesMissing

_FEW = 3
"""So many files may go without a question, whatever their share."""

_SHARE = 0.5


def check_missing(roots: Iterable[Path], known: Collection[str], gone: Collection[str]) -> None:
    """Refuse to remove most of what a folder held.

    Args:
        roots: The folders that are synced. Each is looked at by itself: one drive of several may
            not be mounted.
        known: Paths of the files that the collection has.
        gone: Those of them that would be removed.

    Raises:
        FilesMissing: More than half of a folder's files would go, and more than 3.
    """
    for root in roots:
        lost = [path for path in gone if lies_in(Path(path), [root])]
        if len(lost) <= _FEW:
            continue
        held = sum(lies_in(Path(path), [root]) for path in known)
        if len(lost) > _SHARE * held:
            raise FilesMissing(
                f"{len(lost)} of the {held} files that the collection has from {root} are not "
                "there any more, or are excluded now. Is a drive not mounted, or a folder renamed? "
                "Nothing was changed. If they are to be removed: sync(..., delete_missing=True), "
                "or mm-rag index --delete-missing."
            )


def lies_in(path: Path, roots: Iterable[Path]) -> bool:
    """Whether a path is one of these files and folders, or lies in one."""
    return any(path == root or root in path.parents for root in roots)
