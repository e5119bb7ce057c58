"""The measurements of benchmarks/integrations.py are correct."""

from __future__ import annotations

import asyncio
import time

from benchmarks.integrations import adapter_lines, longest_stall


async def test_a_blocked_loop_is_noticed() -> None:
    async def block() -> None:
        time.sleep(0.2)

    async def wait() -> None:
        await asyncio.sleep(0.2)

    assert await longest_stall(block) > 0.19
    assert await longest_stall(wait) < 0.19


def test_adapters_are_at_most_a_tenth_of_the_library() -> None:
    adapters, library = adapter_lines()
    assert 0 < adapters <= library / 10
