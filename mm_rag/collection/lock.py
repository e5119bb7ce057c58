"""The write lock of a folder: two writers in one Chroma folder lose vectors without an error."""

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
def writer_lock(path: Path, *, timeout: float = 0.0) -> Generator[None]:
    """Hold the lock at `path` for this process alone.

    Args:
        path: The lock file. The operating system frees the lock when its holder dies.
        timeout: Seconds to wait for another writer.

    Raises:
        CollectionLocked: Another process is writing; the message says which, and since when.
        CollectionError: The lock file cannot be made.
    """
    holder = path.with_suffix(".holder.json")
    lock = FileLock(path)
    try:
        lock.acquire(timeout=timeout)
    except Timeout as error:
        raise CollectionLocked(
            f"{path.parent} is being written to by {_describe(holder)}. "
            "Wait until it is done (wait=60 waits a minute), or stop it."
        ) from error
    except OSError as error:
        raise CollectionError(
            f"{path.parent} cannot be written to: {error.strerror} ({path})."
        ) from error
    try:
        with suppress(OSError):  # a full disk: then the message of other processes is shorter
            holder.write_text(json.dumps({"pid": os.getpid(), "since": time.ctime()}))
        yield
    finally:
        remove(holder)
        lock.release()


def _describe(holder: Path) -> str:
    try:
        known = json.loads(holder.read_text())
        return f"process {known['pid']} (since {known['since']})"
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        # The process has just begun or ended, or the file is damaged.
        return "another process"
