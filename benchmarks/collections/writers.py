"""Two processes that write to one collection at once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path

import torch

from mm_rag import Collection, Encoder
from tests.collection.conftest import BagOfWords, segment
from tests.collection.model.expected import row
from tests.collection.model.stored import lexical_documents, stored_segments
from tests.collection.model.victim import forking

WRITERS = 2
BATCH = 100
_PATIENCE = 60.0  # seconds to wait for the other writer


@dataclass(frozen=True, kw_only=True)
class Together:
    """Result.

    Attributes:
        written: Segments written by both.
        lost: Segments missing from the vectors or from the lexical index.
        doubled: Segments stored twice.
        sound: Whether `verify` found no problem.
        seconds: Time until both had ended.
    """

    written: int
    lost: int
    doubled: int
    sound: bool
    seconds: float


def write_together(path: Path, each: int) -> Together:
    """Have two processes add `each` segments, a hundred at a time.

    Raises:
        AssertionError: One of them failed.
    """
    context = forking()
    ready = context.Barrier(WRITERS)
    began = time.monotonic()
    writers = [
        context.Process(target=write, args=(path, number * each, each, ready))
        for number in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * WRITERS, "a writer failed"
    seconds = time.monotonic() - began
    return _counted(path, WRITERS * each, seconds)


def write(path: Path, first: int, count: int, ready: Barrier) -> None:
    """Add passages in batches; each process runs this."""
    torch.set_num_threads(1)
    encoder = Encoder(modules=[BagOfWords()])
    with Collection(path, encoder=encoder, wait=_PATIENCE) as collection:
        ready.wait(30.0)
        for start in range(first, first + count, BATCH):
            numbers = range(start, min(start + BATCH, first + count))
            collection.add(segment(f"passage {number}", number) for number in numbers)


def _counted(path: Path, written: int, seconds: float) -> Together:
    with Collection(path, encoder=Encoder(modules=[BagOfWords()])) as collection:
        sound = collection.verify().ok
    stored = [row(found) for found in stored_segments(path)]
    words = lexical_documents(path)
    wanted = {row(segment(f"passage {number}", number)) for number in range(written)}
    return Together(
        written=written,
        lost=len(wanted - set(stored)) + max(0, written - words),
        doubled=len(stored) - len(set(stored)) + max(0, words - written),
        sound=sound,
        seconds=seconds,
    )
