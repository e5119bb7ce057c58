"""A seeded run of operations on a collection and its model."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mm_rag import Collection, Encoder
from tests.collection.conftest import BagOfWords
from tests.collection.model.expected import Model
from tests.collection.model.operations import OPERATIONS, Difference, World, kill, sync
from tests.collection.model.victim import Hunter

LAST = 12
"""How many of the operations before a difference are told."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a run.

    Attributes:
        seed: Of all that was chance.
        operations: How many were done.
        syncs: How many of them were syncs.
        kills: Processes that were killed in the middle of one.
        segments: How many there are at the end.
        seconds: How long it took.
        difference: How the collection was not what it must be, and the operations before it.
    """

    seed: int
    operations: int
    syncs: int
    kills: int
    segments: int
    seconds: float
    difference: str | None = None


def run(
    folder: Path,
    *,
    seed: int,
    operations: int,
    chroma: str | None = None,
    told: Callable[[int, World], None] | None = None,
) -> Outcome:
    """Do so many operations, and stop at the first difference.

    Args:
        folder: Empty; files and collection are made in it.
        seed: The same gives the same operations, but for the moments of kills.
        operations: How many.
        chroma: The address of a Chroma server for the vectors; None for Chroma's files.
        told: Called after each, with its number.
    """
    began = time.monotonic()
    world = new_world(folder, seed, chroma)
    last: deque[str] = deque(maxlen=LAST)
    difference, done = None, 0
    choices = world.chance.choices(list(OPERATIONS), list(OPERATIONS.values()), k=operations)
    for operation in [*choices, kill, sync]:
        last.append(operation.__name__)
        try:
            operation(world)
        except Difference as found:
            difference = f"{found}\nafter {', '.join(last)} (number {done}, seed {seed})"
            break
        done += 1
        if told:
            told(done, world)
    segments = sum(world.collection.segment_counts().values())
    world.collection.close()
    return Outcome(
        seed=seed,
        operations=done,
        syncs=world.syncs,
        kills=world.hunter.kills,
        segments=segments,
        seconds=time.monotonic() - began,
        difference=difference,
    )


def new_world(folder: Path, seed: int, chroma: str | None = None) -> World:
    """An empty folder and an empty collection."""
    chance, encoder = random.Random(seed), Encoder(modules=[BagOfWords()])
    model = Model(folder / "files")
    model.root.mkdir(parents=True)
    return World(
        model=model,
        collection=Collection(folder / "collection", encoder=encoder, chroma=chroma),
        encoder=encoder,
        chance=chance,
        hunter=Hunter(random.Random(seed)),
    )
