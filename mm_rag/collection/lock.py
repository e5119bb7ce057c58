"""One writer per folder: two of them on one Chroma folder silently lose vectors."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from mm_rag.collection.damage import remove
from mm_rag.errors import CollectionError, CollectionLocked


@contextmanager
def writer_lock(path: Path, *, timeout: float = 0.0, place: str = "") -> Generator[None]:
    """Hold the lock at `path`, for this process alone.

    Args:
        path: The lock file. The operating system frees the lock when its holder dies.
        timeout: Seconds to wait for another writer.
        place: What is locked, for messages; the folder of `path` if empty.

    Raises:
        CollectionLocked: Another process is writing; the message says which, and since when.
        CollectionError: This one may not write there.
    """
    holder = path.with_suffix(".holder.json")
    lock = _acquired(path, holder, timeout, place)
    try:
        with suppress(OSError):  # the disk is full: others are not told who it is
            holder.write_text(json.dumps({"pid": os.getpid(), "since": time.ctime()}))
        yield
    finally:
        remove(holder)
        lock.release()


def _acquired(path: Path, holder: Path, timeout: float, place: str) -> FileLock:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=timeout)
    except Timeout as error:
        raise CollectionLocked(
            f"{place or path.parent} is being written to by {_describe(holder)}. "
            "Wait until it is done (wait=60 waits a minute), or stop it."
        ) from error
    except OSError as error:
        raise CollectionError(
            f"{place or path.parent} cannot be written to: {error.strerror} ({path})."
        ) from error
    return lock


def _describe(holder: Path) -> str:
    try:
        known = json.loads(holder.read_text())
        return f"process {known['pid']} (since {known['since']})"
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        # It has just begun, or has just ended, or the file is damaged.
        return "another process"
