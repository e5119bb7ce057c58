"""CommitLock: one thread of one process at a time commits, or keeps others from committing."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from mm_rag._forking import ForkableLock

_PATIENCE = 10.0  # seconds for another process to commit, or to search
_POLL = 0.005


class CommitLock:
    """A re-entrant lock; a process that was stopped while it held it is not waited for.

    Args:
        path: The file that processes lock; None for a collection in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._path, self._threads, self._is_held = path, ForkableLock(), False

    @contextmanager
    def held(self) -> Generator[None]:
        """Hold it."""
        with self._threads, ExitStack() as held:
            if self._path is not None and not self._is_held:
                with suppress(Timeout, OSError):
                    held.enter_context(FileLock(self._path).acquire(_PATIENCE, _POLL))
            was, self._is_held = self._is_held, True
            try:
                yield
            finally:
                self._is_held = was
