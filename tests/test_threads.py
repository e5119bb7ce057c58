"""run_in_thread: long calls stay off the event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from contextvars import ContextVar

import pytest

from mm_rag._threads import run_in_thread
from mm_rag.errors import InputError


async def test_it_works_in_another_thread_with_the_callers_context() -> None:
    tenant: ContextVar[str] = ContextVar("tenant", default="nobody")
    tenant.set("ada")

    def work(number: int, *, more: int) -> tuple[int, str]:
        return number + more, f"{tenant.get()} {threading.get_ident()}"

    total, about = await run_in_thread(work, 2, more=3)
    assert total == 5
    name, thread = about.split()
    assert name == "ada"
    assert thread != str(threading.get_ident())


async def test_errors_come_back() -> None:
    def fail() -> None:
        raise InputError("no such thing")

    with pytest.raises(InputError, match="no such thing"):
        await run_in_thread(fail)


async def test_few_threads_do_it_all() -> None:
    working, most = 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal working, most
        with lock:
            working += 1
            most = max(most, working)
        time.sleep(0.01)
        with lock:
            working -= 1

    await asyncio.gather(*(run_in_thread(work) for _ in range(16)))
    assert 1 < most <= 4
