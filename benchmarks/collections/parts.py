"""The parts of the benchmark: what each measures, how much of it, and what must come of it."""

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
    """How much is done.

    Attributes:
        operations: Of the model test.
        each: Segments that each of two writers writes.
        kills: How ingest runs are killed.
        scale: The large collection.
        gap: The two modalities.
        storage: The pages that are stored.
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
    """What is to be measured.

    Attributes:
        plan: How much.
        folder: Empty, for everything that is made.
        operations: Of the model test, if not as many as planned.
        seed: Of everything that chance decides in it.
        corpus: With `text_ir/` in it; None for no ranking.
    """

    plan: Plan
    folder: Path
    operations: int | None = None
    seed: int = 6
    corpus: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Told:
    """What came of a part.

    Attributes:
        table: In Markdown.
        wrong: What is not as it must be; empty where nothing is.
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
    """Measure one part, on one thread as the processes do that it starts."""
    threads = torch.get_num_threads()
    if name != "ranking":
        torch.set_num_threads(1)
    try:
        return PARTS[name](order)
    finally:
        torch.set_num_threads(threads)
