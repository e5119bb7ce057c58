"""Memory while a worker process reads one long file, after a short one. On Linux only.

The short file of the same kind comes first, in the same run. The memory that the libraries hold
then is the baseline; memory above it is due to the length.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mm_rag.segment import Segment
from mm_rag_loaders import AssetStore, LoadedFile, LoadOptions, find_sources, load_files


@dataclass(frozen=True)
class Steadiness:
    """Memory while a long file was read.

    Attributes:
        baseline: Sample after the short file.
        reached: Page or second of the long file at which each sample was taken.
        samples: Memory at those positions.
        peak: The most memory held while the long file was read, in MB.
        seconds: Time to read it.
        segments: Number of its segments.
    """

    baseline: Sample
    reached: list[float]
    samples: list[Sample]
    peak: float
    seconds: float
    segments: int

    @property
    def above(self) -> list[float]:
        """Memory above the baseline at each position, in MB."""
        return [sample.total - self.baseline.total for sample in self.samples]

    @property
    def peak_above(self) -> float:
        """The most memory above the baseline, in MB."""
        return self.peak - self.baseline.total


def read_steadily(short: Path, long: Path, every: float, assets: Path) -> Steadiness:
    """Read a short file and then a long one, and sample the memory along the long one.

    Args:
        short: File for the baseline.
        long: File that is sampled.
        every: Pages or seconds from one sample to the next.
        assets: Folder for pictures.

    Raises:
        RuntimeError: A file could not be read.
    """
    options = LoadOptions(workers=1, assets=AssetStore(assets))
    reached: list[float] = []
    samples: list[Sample] = []
    found = 0

    def look(event: object) -> None:
        nonlocal found
        if not isinstance(event, Segment) or event.source != str(long):
            return
        found += 1
        place = event.page or event.end or 0.0
        if place >= every * (len(reached) + 1):
            reached.append(place)
            samples.append(watch.now())

    with MemoryWatch() as watch:
        files = load_files(find_sources([short, long]), options, look)
        _check(next(files))
        baseline, began = watch.now(), time.monotonic()
        before = len(watch.samples)
        # The worker has already begun the long file; its events are delivered by next().
        _check(next(files))
        seconds = time.monotonic() - began
        peak = max(sample.total for sample in watch.samples[before:])
        files.close()
    return Steadiness(baseline, reached, samples, peak, seconds, found)


def _check(loaded: LoadedFile) -> None:
    if loaded.state != "loaded":
        raise RuntimeError(f"{loaded.source}: {loaded.reason}")


_EVERY = 0.05  # seconds
_MB = 1e6


@dataclass(frozen=True)
class Sample:
    """Resident memory at one moment.

    Attributes:
        seconds: Seconds since the watch began.
        here: MB of this process.
        workers: MB of all its child processes.
    """

    seconds: float
    here: float
    workers: float

    @property
    def total(self) -> float:
        """MB of all processes; shared pages are counted for each."""
        return self.here + self.workers


class MemoryWatch:
    """Samples memory every 50 ms inside a `with` block."""

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
        """Take an additional sample and return it."""
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
        except OSError:  # the process ended
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
