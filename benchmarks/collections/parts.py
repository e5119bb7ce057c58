"""The parts of the benchmark, their sizes, and which results are wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from benchmarks.collections import table
from benchmarks.collections.gap import GapPlan, measure_gap
from benchmarks.collections.killed import KillPlan, measure_killed
from benchmarks.collections.ranking import measure_ranking
from benchmarks.collections.scale import ScalePlan, measure_scale
from benchmarks.collections.storage import StoragePlan, measure_storage
from benchmarks.collections.writers import write_together
from mm_rag import Encoder
from tests.collection.model.driver import run as run_model
from tests.collection.model.operations import World


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Sizes of all parts.

    Attributes:
        operations: Operations of the model test.
        each: Segments that each of two writers writes.
        kills: Sizes of the killed ingest runs.
        scale: Sizes of the large collection.
        gap: Sizes of the modality gap part.
        storage: Sizes of the disk space part.
    """

    operations: int = 20_000
    each: int = 1_500
    kills: KillPlan = field(default_factory=KillPlan)
    scale: ScalePlan = field(default_factory=ScalePlan)
    gap: GapPlan = field(default_factory=GapPlan)
    storage: StoragePlan = field(default_factory=StoragePlan)


USUAL = Plan()
QUICK = Plan(
    operations=40,
    each=100,
    kills=KillPlan(kills=2, files=6, passages=4, each_run=2),
    scale=ScalePlan(segments=1_000, files=20, queries=20),
    gap=GapPlan(questions=20, others=100),
    storage=StoragePlan(pages=3, copies=2, dimensions=((64, None), (64, 32))),
)


@dataclass(frozen=True, kw_only=True)
class Order:
    """Arguments of a part.

    Attributes:
        plan: Sizes.
        folder: An empty folder for everything it writes.
        operations: Operations of the model test; None for those of the plan.
        seed: Random seed.
        corpus: Folder with `text_ir/`; None to leave the ranking part out.
    """

    plan: Plan
    folder: Path
    operations: int | None = None
    seed: int = 6
    corpus: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Told:
    """Result of a part.

    Attributes:
        table: A Markdown table.
        wrong: A message if the result is wrong; else empty.
    """

    table: str
    wrong: str = ""


def _model(order: Order) -> Told:
    def show(done: int, world: World) -> None:
        if done % 500 == 0:
            print(f"{done:,} done, {world.hunter.kills} killed", file=sys.stderr)

    operations = order.operations or order.plan.operations
    outcome = run_model(order.folder, seed=order.seed, operations=operations, told=show)
    return Told(table=table.model_table(outcome), wrong=outcome.difference or "")


def _killed(order: Order) -> Told:
    killed = measure_killed(order.folder, order.plan.kills, order.seed)
    amiss = killed.lost + killed.doubled + killed.strange + killed.unsound + killed.unlike
    return Told(table=table.killed_table(killed), wrong=f"{killed}" if amiss else "")


def _writers(order: Order) -> Told:
    together = write_together(order.folder / "together", order.plan.each)
    amiss = together.lost or together.doubled or not together.sound
    return Told(table=table.writers_table(together), wrong=f"{together}" if amiss else "")


def _scale(order: Order) -> Told:
    return Told(table=table.scale_table(measure_scale(order.folder, order.plan.scale)))


def _gap(order: Order) -> Told:
    plan = order.plan.gap
    return Told(table=table.gap_table(measure_gap(order.folder, plan), plan))


def _storage(order: Order) -> Told:
    return Told(table=table.storage_table(measure_storage(order.folder, order.plan.storage)))


def _ranking(order: Order) -> Told:
    assert order.corpus is not None
    sets = sorted(path.parent for path in order.corpus.glob("text_ir/*/queries.jsonl"))
    encoder = Encoder()
    ranked = {place.name: measure_ranking(order.folder, place, encoder) for place in sets}
    return Told(table=table.ranking_table(ranked))


PARTS: Mapping[str, Callable[[Order], Told]] = {
    "model": _model,
    "killed": _killed,
    "writers": _writers,
    "scale": _scale,
    "gap": _gap,
    "storage": _storage,
    "ranking": _ranking,
}


def measured(name: str, order: Order) -> Told:
    """Measure one part; all but ranking run on one thread, as the processes that they start do."""
    threads = torch.get_num_threads()
    if name != "ranking":
        torch.set_num_threads(1)
    try:
        return PARTS[name](order)
    finally:
        torch.set_num_threads(threads)
