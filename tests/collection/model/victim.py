"""A process that syncs, and is killed while it does."""

from __future__ import annotations

import multiprocessing
import random
import statistics
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from multiprocessing.synchronize import Event
from pathlib import Path

import torch

from mm_rag import Collection, Encoder, Segment
from mm_rag_loaders import LoadOptions
from tests.collection.conftest import BagOfWords


@dataclass(frozen=True, kw_only=True)
class Errand:
    """What the process is to do.

    Attributes:
        collection: Its folder.
        added: Segments to add first.
        folder: What is synced then.
        workers: How many processes read the files; 0 for none.
    """

    collection: Path
    added: Sequence[Segment] = ()
    folder: Path
    workers: int = 0


def do(errand: Errand, begun: Event) -> None:
    """Do the errand: what the process runs."""
    torch.set_num_threads(1)
    encoder = Encoder(modules=[BagOfWords()])
    begun.set()
    with Collection(errand.collection, encoder=encoder) as collection:
        if errand.added:
            collection.add(errand.added)
        collection.sync(
            errand.folder, options=LoadOptions(workers=errand.workers), delete_missing=True
        )


def forking() -> ForkServerContext:
    """Processes forked off one that has imported everything and has opened nothing.

    That takes 0.1 s instead of 3. Chroma's client hangs where it was open before a fork.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "mm_rag.collection", "chromadb.api.rust"])
    return context


@dataclass
class Hunter:
    """Starts such processes and kills them.

    Attributes:
        chance: Decides when.
        kills: How many were killed before they were done.
        missed: How many were faster.
    """

    chance: random.Random
    kills: int = 0
    missed: int = 0
    _usual: deque[float] = field(default_factory=lambda: deque([0.5], maxlen=9))
    _context: ForkServerContext = field(default_factory=forking)

    def hunt(self, errand: Errand, within: float | None = None) -> bool:
        """Kill a process at some moment of its errand; whether it was not done before.

        Args:
            errand: What it is to do.
            within: Seconds in which it is killed; None for about as long as it usually takes.

        Raises:
            AssertionError: It did not start, or failed before it could be killed.
        """
        begun = self._context.Event()
        process = self._context.Process(target=do, args=(errand, begun))
        process.start()
        assert begun.wait(60.0), "the process that is to be killed does not start"
        at = time.monotonic()
        process.join(self.chance.uniform(0.0, self._patience(errand) if within is None else within))
        process.kill()
        process.join()
        if killed := process.exitcode != 0:
            assert process.exitcode == -9, "the process that is to be killed fails by itself"
            self.kills += 1
        else:
            self.missed += 1
            self._usual.append(time.monotonic() - at)
        process.close()
        return killed

    def _patience(self, errand: Errand) -> float:
        starting = 2.0 if errand.workers else 0.0  # seconds, for processes that read
        return 1.2 * statistics.median(self._usual) + starting
