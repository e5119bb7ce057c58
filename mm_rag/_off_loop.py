"""Work beside the event loop, by few threads, so that the loop is not kept waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

from mm_rag._forking import renew_after_fork

P = ParamSpec("P")
T = TypeVar("T")

# Python's lock goes to one thread after the other, for 5 ms each: the more of them want it, the
# longer the event loop waits. Models and searches are no faster for more threads than processors,
# and asyncio's own pool, with up to 32, also serves whatever else the program does.
_MOST = 4


class _Threads:
    """The pool of this process, of which a forked child makes its own."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(_MOST, thread_name_prefix="mm_rag")
        renew_after_fork(self)

    def after_fork(self) -> None:
        """The threads of the parent are not in the child."""
        self.pool = ThreadPoolExecutor(_MOST, thread_name_prefix="mm_rag")


_THREADS = _Threads()


async def off_loop(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a thread, with the caller's context variables, and return what it does.

    It must not wait for another call of `off_loop`: where all threads wait, none works.
    """
    call = partial(copy_context().run, function, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_THREADS.pool, call)
