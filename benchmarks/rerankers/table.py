"""The results as Markdown, for the terminal and docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

import torch

from benchmarks.markdown import DOCS, Generated, as_table, processor
from benchmarks.rerankers.contest import DEFAULT_BATCH, Result
from benchmarks.rerankers.flops import PEAK
from benchmarks.rerankers.plans import Plan
from benchmarks.timing import Times

PLACE = Generated(DOCS / "benchmarks.md", "reranking", "make bench-rerank")


def table(results: Sequence[Result], plan: Plan, *, on_gpu: bool) -> str:
    """A row for each case, and a sentence about how they were measured."""
    heads = [
        "case",
        "shared tokens",
        "mm-rag",
        f"sentence-transformers (batch {DEFAULT_BATCH})",
        "its best batch",
        "faster",
        "than its best",
        "logits differ by (of a spread of)",
        "same order",
        *(["pairs/s", "at most"] if on_gpu else []),
    ]
    rows = [[*_cells(result), *(_speeds(result) if on_gpu else [])] for result in results]
    return as_table(heads, rows) + "\n" + _how(plan, on_gpu)


def _cells(result: Result) -> list[str]:
    best = "the same" if result.best is result.default else f"{result.best_batch}: {result.best}"
    return [
        result.case.name,
        str(result.case.prefix),
        str(result.ours),
        str(result.default),
        best,
        _ratio(result.default, result.ours),
        _ratio(result.best, result.ours),
        f"{result.difference:.1e} ({result.spread:.2f})",
        "yes" if result.same_order == 1 else f"{result.same_order:.1%} of pairs",
    ]


def _speeds(result: Result) -> list[str]:
    pairs = len(result.case.pairs)
    limit = pairs * PEAK / result.operations
    return [f"{pairs / result.ours.median:.0f}", f"{limit:.0f}"]


def _ratio(theirs: Times, ours: Times) -> str:
    return f"{theirs.median / ours.median:.1f}x"


def _how(plan: Plan, on_gpu: bool) -> str:
    names = ("sentence-transformers", "transformers", "torch")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    device = torch.cuda.get_device_name() if on_gpu else processor()
    measured = "wall time" if on_gpu else "processor time on one thread"
    limit = f"; at most: what {PEAK / 1e12:.0f} TFLOP/s allow" if on_gpu else ""
    return (
        f"Medians of {plan.rounds} rounds [shortest to longest], in turns in one process; "
        f"{measured}, {str(plan.dtype).removeprefix('torch.')}, random weights{limit}. "
        f"{device}; {versions}.\n"
    )
