"""Temporary folders that are deleted even after their process was killed.

A folder is deleted when it is closed, when nothing refers to it any more, or when its process ends.
A process that is killed leaves its folders behind; the next process that makes one deletes them.
Each folder is locked while its process runs, so that no folder in use is deleted. Where folders
cannot be locked (Windows, some network file systems), folders left behind stay.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import weakref
from contextlib import suppress
from functools import cache
from pathlib import Path

from mm_rag._closing import Closing

_PREFIX = "mm-rag-tmp-"
_UNLOCKED = ".mm-rag-new-"  # the prefix before a folder is locked, which is never swept


class TemporaryFolder(Closing):
    """An empty folder for temporary files, which is deleted with everything in it.

    Attributes:
        path: The folder.

    Raises:
        OSError: It cannot be created.
    """

    def __init__(self) -> None:
        _sweep(tempfile.gettempdir())
        path = Path(tempfile.mkdtemp(prefix=_UNLOCKED))
        lock = _locked(path)
        if lock is not None:
            path = path.rename(path.with_name(_PREFIX + path.name.removeprefix(_UNLOCKED)))
        self.path = path
        self._delete = weakref.finalize(self, _delete, path, lock, os.getpid())

    def close(self) -> None:
        """Delete the folder."""
        self._delete()


def _delete(path: Path, lock: int | None, owner: int) -> None:
    if os.getpid() != owner:  # a forked child ends: the folder belongs to its parent
        return
    shutil.rmtree(path, ignore_errors=True)
    if lock is not None:
        os.close(lock)


@cache
def _sweep(parent: str) -> None:
    """Delete the folders in `parent` that killed processes of this user left; once a process."""
    with suppress(OSError):
        for path in list(Path(parent).glob(f"{_PREFIX}*")):
            lock = _locked(path)
            if lock is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)


def _locked(folder: Path) -> int | None:
    """Lock a folder of this user until the process ends or closes the descriptor.

    Returns:
        The descriptor; None where another process has locked it, or where it cannot be locked.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        # Links are not followed: other users may write to the folder for temporary files.
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if os.fstat(descriptor).st_uid == os.getuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
    except OSError:  # it is in use, or its file system has no locks
        pass
    os.close(descriptor)
    return None
