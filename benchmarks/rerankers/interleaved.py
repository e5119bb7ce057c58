"""Timing of several ways to do one thing: in turns, so that a busy machine slows all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median

import torch


@dataclass(frozen=True, kw_only=True)
class Run:
    """One of the ways.

    Attributes:
        measured: What is timed.
        prepare: What is done before each time, and not timed.
    """

    measured: Callable[[], object]
    prepare: Callable[[], object] = lambda: None


@dataclass
class Times:
    """How long it took, round by round, in seconds."""

    rounds: list[float] = field(default_factory=list[float])

    @property
    def median(self) -> float:
        """The middle one, in seconds."""
        return median(self.rounds)

    def __str__(self) -> str:
        """The middle one, and the shortest and the longest."""
        return f"{self.median:.2f} s [{min(self.rounds):.2f} to {max(self.rounds):.2f}]"


def cpu_seconds() -> float:
    """The processor time of this process: other processes do not count."""
    return time.process_time()


def gpu_seconds() -> float:
    """The time of day once the GPU has done all that it was told."""
    torch.cuda.synchronize()
    return time.perf_counter()


def interleaved(
    runs: Mapping[str, Run], *, rounds: int, clock: Callable[[], float] = cpu_seconds
) -> dict[str, Times]:
    """Time each of the runs, A B C A B C and so on; the caller has warmed them up."""
    times = {name: Times() for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            run.prepare()
            start = clock()
            run.measured()
            times[name].rounds.append(clock() - start)
    return times
