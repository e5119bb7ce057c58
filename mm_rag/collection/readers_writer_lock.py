"""ReadersWriterLock: many readers at a time, or one writer."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager


class ReadersWriterLock:
    """Readers-writer lock with writer preference; not reentrant.

    New readers wait while a writer waits.
    """

    def __init__(self) -> None:
        self._entrance = threading.Lock()
        self._readers = 0
        self._changed = threading.Condition()

    @contextmanager
    def read(self) -> Generator[None]:
        """Hold the lock together with other readers."""
        with self._entrance, self._changed:
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    @contextmanager
    def write(self) -> Generator[None]:
        """Wait until all readers have left, and hold the lock alone."""
        with self._entrance:
            with self._changed:
                self._changed.wait_for(lambda: not self._readers)
            yield
