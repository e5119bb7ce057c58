"""The time and the memory of searches: a command started anew, and one query after another."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mm_rag import Collection, Encoder, Reranker, Segment
from mm_rag.built_in import MINILM

DIMENSION = 384
WARMING = 3  # queries that are not counted


@dataclass(frozen=True)
class Command:
    """One run of `mm-rag search`.

    Attributes:
        wall: Seconds until it had ended.
        cpu: Seconds of CPU.
        peak: The most memory that it held, in MB.
    """

    wall: float
    cpu: float
    peak: float


@dataclass(frozen=True)
class Searched:
    """Searches of one collection.

    Attributes:
        segments: Number of segments.
        commands: Runs of `mm-rag search`, each in a new process.
        warm: Seconds of each query in a process that had searched before.
    """

    segments: int
    commands: list[Command]
    warm: list[float]


def fill(folder: Path, encoder: Encoder, texts: Sequence[str], size: int) -> None:
    """Make a collection of real texts with random vectors.

    The time of a search does not depend on what the vectors say, and encoding 50,000 texts takes
    more than an hour. Texts are used several times, with different numbers before them.
    """
    with _random_vectors(encoder), Collection(folder, encoder=encoder) as collection:
        collection.add(_segments(texts, size))


def measure(
    folders: Sequence[tuple[Path, Encoder]], queries: Sequence[str], runs: int
) -> list[Searched]:
    """Search collections, interleaved, so that other load affects all of them equally."""
    commands: list[list[Command]] = [[] for _ in folders]
    for _ in range(runs):
        for number, (folder, _) in enumerate(folders):
            commands[number].append(run_command(folder, queries[0]))
    warm: list[list[float]] = [[] for _ in folders]
    opened = [_opened(folder, encoder) for folder, encoder in folders]
    warming = queries[:WARMING]
    for asked, query in enumerate([*warming, *queries]):
        for number, collection in enumerate(opened):
            start = time.perf_counter()
            collection.search(query)
            if asked >= len(warming):
                warm[number].append(time.perf_counter() - start)
    found = [
        Searched(len(collection), ran, seconds)
        for collection, ran, seconds in zip(opened, commands, warm, strict=True)
    ]
    for collection in opened:
        collection.close()
    return found


def run_command(folder: Path, query: str) -> Command:
    """Run `mm-rag search` once."""
    program = "from mm_rag.cli import app; app()"
    search = ["search", query, "--collection", str(folder)]
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", program, *search], stdout=subprocess.DEVNULL
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"mm-rag search ended with {process.returncode}")
    return Command(
        time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    )


def _opened(folder: Path, encoder: Encoder) -> Collection:
    """A collection with its usual reranker; that of the former default is late interaction."""
    late = Reranker(encoder=encoder) if encoder.name == MINILM else None
    return Collection(folder, encoder=encoder, reranker=late)


def _segments(texts: Sequence[str], size: int) -> Iterator[Segment]:
    for number in range(size):
        source = f"/made/{number // 10}.txt"
        yield Segment(
            modality="text",
            source=source,
            sha256=hashlib.sha256(source.encode()).hexdigest(),
            text=f"{number}. {texts[number % len(texts)]}",
            part=number % 10,
        )


@contextmanager
def _random_vectors(encoder: Encoder) -> Generator[None]:
    """Make an encoder give random vectors to documents."""
    dice = np.random.default_rng(1)

    def encoded(contents: Sequence[object]) -> npt.NDArray[np.float32]:
        vectors = dice.normal(size=(len(contents), DIMENSION)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    encoder.__dict__["encode_document"] = encoded
    try:
        yield
    finally:
        del encoder.__dict__["encode_document"]
