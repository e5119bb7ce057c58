"""Forking: renew what a child process made by `os.fork` cannot use.

Servers that load a model before they start their workers, and multiprocessing's start method
"fork", copy a process without its threads: a lock that another thread held is never released, pools
have no workers, and two processes must not use one connection to Chroma or SQLite.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import weakref
from typing import Protocol, runtime_checkable


@runtime_checkable
class Forkable(Protocol):
    """An object that a forked child cannot use as it is."""

    def after_fork(self) -> None:
        """Renew it in the child, which has one thread then. Must be quick and never wait."""
        ...


_living: weakref.WeakSet[Forkable] = weakref.WeakSet()


def renew_after_fork(thing: Forkable) -> None:
    """Have `thing.after_fork()` called in every forked child, while `thing` exists."""
    _living.add(thing)


def leak(*things: object) -> None:
    """Keep objects alive until the process ends.

    Destroying them would wait for threads that a forked child does not have, or close what the
    parent uses.
    """
    for thing in things:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


class ForkableLock:
    """A re-entrant lock that is free in a forked child."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Make a new lock: a thread that held this one is not in the child."""
        self._lock = threading.RLock()

    def acquire(self, blocking: bool = True) -> bool:
        """Acquire it and return whether that succeeded; without `blocking`, only if it is free."""
        return self._lock.acquire(blocking)

    def release(self) -> None:
        """Release it."""
        self._lock.release()

    def __enter__(self) -> None:
        """Acquire it."""
        self.acquire()

    def __exit__(self, *_: object) -> None:
        """Release it."""
        self.release()


def _after_fork() -> None:
    torch = sys.modules.get("torch")
    if torch is not None:
        # The child would wait for the threads of OpenMP's pool, which it does not have. PyTorch's
        # DataLoader sets this, too.
        torch.set_num_threads(1)
    for thing in list(_living):
        thing.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_after_fork)
