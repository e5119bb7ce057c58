"""Forking: what a child process made by `os.fork` must make anew.

Servers that load a model before they start their workers, and multiprocessing's start method
"fork", copy a process without its threads: locks that another thread held stay held for ever, pools
have no workers, and the connections of Chroma and SQLite must not be used by two processes.
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
    """Something that a forked child cannot use as it is."""

    def after_fork(self) -> None:
        """Called in the child, which has one thread then; must be quick and never wait."""
        ...


_living: weakref.WeakSet[Forkable] = weakref.WeakSet()


def renew_after_fork(thing: Forkable) -> None:
    """Have `thing.after_fork()` called in every forked child, for as long as it lives."""
    _living.add(thing)


def leak(*things: object) -> None:
    """Keep objects alive until the process ends.

    To destroy them would wait for threads that a forked child does not have, or take away what the
    parent is using.
    """
    for thing in things:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


class ForkableLock:
    """A re-entrant lock that is free in a forked child."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """The thread that may hold it is not in the child."""
        self._lock = threading.RLock()

    def acquire(self, blocking: bool = True) -> bool:
        """Hold it, and say whether it is held; without `blocking` only if it is free."""
        return self._lock.acquire(blocking)

    def release(self) -> None:
        """Let it go."""
        self._lock.release()

    def __enter__(self) -> None:
        """Wait for it and hold it."""
        self.acquire()

    def __exit__(self, *_: object) -> None:
        """Let it go."""
        self.release()


def _after_fork() -> None:
    torch = sys.modules.get("torch")
    if torch is not None:
        # The threads of OpenMP's pool are not in the child, and it would wait for them. PyTorch's
        # own DataLoader sets this, too.
        torch.set_num_threads(1)
    for thing in list(_living):
        thing.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_after_fork)
