"""The costs as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import numpy as np

from benchmarks.costs.encoding import Cost
from benchmarks.costs.searching import Searched
from benchmarks.markdown import DOCS, Generated, as_table, where_measured

PLACE = Generated(DOCS / "benchmarks.md", "cost", "make bench-cost CORPUS=folder")


def encoding_table(costs: Sequence[Cost]) -> str:
    """Table of CPU seconds for one unit."""
    rows = [
        [cost.unit, f"{before:.3f}", f"{after:.3f}", f"{after / before:.2f}x"]
        for cost in costs
        for before, after in [cost.seconds]
    ]
    heads = ["CPU seconds, read and encoded", "former default", "default", "the default takes"]
    return as_table(heads, rows) + (f"\nMedian, the two in turns. {where_measured()}\n")


def search_table(models: Sequence[str], searches: Sequence[Searched]) -> str:
    """Table of searches."""
    rows = [
        [
            f"{searched.segments:,}",
            f"`{model}`",
            *(
                f"{median(getattr(each, name) for each in searched.commands):.1f} s"
                for name in ("wall", "cpu")
            ),
            f"{max(each.peak for each in searched.commands):,.0f} MB",
            *(f"{1e3 * np.percentile(searched.warm, percent):.0f} ms" for percent in (50, 95)),
        ]
        for model, searched in zip(models, searches, strict=True)
    ]
    heads = ["segments", "model", "`mm-rag search`", "its CPU", "its memory", "warm", "p95"]
    return as_table(heads, rows) + (
        "\nThe command starts Python, imports and loads everything; *warm* is `Collection.search` "
        "in a process that has searched before, the collections in turns.\n"
    )
