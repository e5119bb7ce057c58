"""Threads: a small pool that keeps long calls off the event loop, and how many a model may use."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

from mm_rag._forking import renew_after_fork

P = ParamSpec("P")
T = TypeVar("T")

# The GIL passes from thread to thread in intervals of 5 ms: the more threads wait for it, the
# longer the event loop waits, too. Models and searches gain nothing from more threads than cores,
# and asyncio's own pool, with up to 32 threads, also serves the rest of the program.
_MAX_THREADS = 4


class _Pool:
    """The pool of this process; a forked child makes a new one."""

    def __init__(self) -> None:
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Replace the pool, whose threads do not exist in the child."""
        self.executor = ThreadPoolExecutor(_MAX_THREADS, thread_name_prefix="mm_rag")


_POOL = _Pool()


async def run_in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a thread, with the caller's context variables, and return its result.

    The function must not wait for another `run_in_thread`: when all threads wait, none works.
    """
    call = partial(copy_context().run, function, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_POOL.executor, call)


def model_threads() -> int:
    """Number of threads for one model of onnxruntime in this process.

    It is OMP_NUM_THREADS, which worker processes set, or the number of processors, at most 8.
    """
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdecimal() and given != "0" else min(8, os.cpu_count() or 1)
