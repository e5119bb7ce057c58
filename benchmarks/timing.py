"""Time several ways to do one thing, interleaved, so that other load affects all equally."""

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
        measured: The call that is timed.
        prepare: A call before each measurement, not timed.
    """

    measured: Callable[[], object]
    prepare: Callable[[], object] = lambda: None


@dataclass
class Times:
    """Seconds of each round."""

    rounds: list[float] = field(default_factory=list[float])

    @property
    def median(self) -> float:
        """Median in seconds."""
        return median(self.rounds)

    def __str__(self) -> str:
        """Median, shortest and longest."""
        return f"{self.median:.2f} s [{min(self.rounds):.2f} to {max(self.rounds):.2f}]"


def cpu_seconds() -> float:
    """CPU time of this process."""
    return time.process_time()


def gpu_seconds() -> float:
    """Wall-clock time after the GPU has finished all queued work."""
    torch.cuda.synchronize()
    return time.perf_counter()


def interleaved(
    runs: Mapping[str, Run], *, rounds: int, clock: Callable[[], float] = cpu_seconds
) -> dict[str, Times]:
    """Time the runs in the order A B C A B C...; the caller has warmed them up."""
    times = {name: Times() for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            run.prepare()
            start = clock()
            run.measured()
            times[name].rounds.append(clock() - start)
    return times
