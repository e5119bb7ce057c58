"""Work beside the event loop, by few threads, so that the loop is not kept waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# A thread that wants Python's lock waits up to 5 ms for each that has it, and the event loop is one
# of them: with the six and more threads of asyncio's own pool it stalls, and the models, which
# share the processors, are no faster.
_THREADS = ThreadPoolExecutor(2, thread_name_prefix="mm_rag")


async def off_loop(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a thread, with the caller's context variables, and return what it does.

    It must not wait for another call of `off_loop`: there are as many threads as there are.
    """
    call = partial(copy_context().run, function, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_THREADS, call)
