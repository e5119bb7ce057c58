"""Turns: many use something at the same time, or one alone."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager


class Turns:
    """Who wants to be alone waits for those who are in; who comes after waits for that one.

    Nobody may ask for a turn while having one.
    """

    def __init__(self) -> None:
        self._entrance = threading.Lock()
        self._users = 0
        self._changed = threading.Condition()

    @contextmanager
    def together(self) -> Generator[None]:
        """Use it with others."""
        with self._entrance, self._changed:
            self._users += 1
        try:
            yield
        finally:
            with self._changed:
                self._users -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Generator[None]:
        """Have it to oneself."""
        with self._entrance:
            with self._changed:
                self._changed.wait_for(lambda: not self._users)
            yield
