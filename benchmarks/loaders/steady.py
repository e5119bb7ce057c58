"""Memory over the length of one long file: it is read by a worker process, after a short one.

The short file of the same kind comes first, in the same run: what the libraries take to begin with
is the baseline, and what is held above it is due to the length.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.loaders.memory import MemoryWatch, Sample
from mm_rag.segment import Segment
from mm_rag_loaders import AssetStore, LoadedFile, LoadOptions, find_sources, load_files


@dataclass(frozen=True)
class Steadiness:
    """How memory went while a long file was read.

    Attributes:
        baseline: After the short file.
        reached: Where in the file each sample was taken: the page, or the second.
        samples: What was held there.
        peak: The most that was held while the long file was read.
        seconds: That it took.
        segments: That came out of it.
    """

    baseline: Sample
    reached: list[float]
    samples: list[Sample]
    peak: float
    seconds: float
    segments: int

    @property
    def above(self) -> list[float]:
        """What was held above the baseline at each place, in MB."""
        return [sample.total - self.baseline.total for sample in self.samples]

    @property
    def peak_above(self) -> float:
        """The most that was held above the baseline, in MB."""
        return self.peak - self.baseline.total


def read_steadily(short: Path, long: Path, every: float, assets: Path) -> Steadiness:
    """Read both files.

    Args:
        short: Read first.
        long: Watched.
        every: Pages or seconds from one sample to the next.
        assets: Where the pictures are written.

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
        # The long file's events have come in part already: they are told when they are taken.
        _check(next(files))
        seconds = time.monotonic() - began
        peak = max(sample.total for sample in watch.samples[before:])
        files.close()
    return Steadiness(baseline, reached, samples, peak, seconds, found)


def _check(loaded: LoadedFile) -> None:
    if loaded.state != "loaded":
        raise RuntimeError(f"{loaded.source}: {loaded.reason}")
