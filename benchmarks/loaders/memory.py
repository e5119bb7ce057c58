"""How much memory this process and those that it started hold, looked at all the time."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_EVERY = 0.05  # seconds
_MB = 1e6


@dataclass(frozen=True)
class Sample:
    """What was held at one moment.

    Attributes:
        seconds: Since the watch began.
        here: Of this process, in MB.
        workers: Of all that it started, in MB.
    """

    seconds: float
    here: float
    workers: float

    @property
    def total(self) -> float:
        """Of all of them, in MB. What they share is counted for each."""
        return self.here + self.workers


class MemoryWatch:
    """Looks at the memory until it is left. On Linux only."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self._began = time.monotonic()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def now(self) -> Sample:
        """Look once more than is looked anyway."""
        here, *started = _with_children("self")
        sample = Sample(
            time.monotonic() - self._began, _resident(here), sum(map(_resident, started))
        )
        self.samples.append(sample)
        return sample

    def _look(self) -> None:
        while not self._is_over.wait(_EVERY):
            self.now()


def _with_children(process: str) -> list[str]:
    found = [process]
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:  # it ended meanwhile
            continue
        for child in children:
            found += _with_children(child)
    return found


def _resident(process: str) -> float:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    held = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
    return int(held[0]) * 1024 / _MB if held else 0.0
