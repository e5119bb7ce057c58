"""The results as a table, on the terminal and in the README."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import torch

from benchmarks.rerankers.contest import DEFAULT_BATCH, Result
from benchmarks.rerankers.flops import PEAK
from benchmarks.rerankers.interleaved import Times
from benchmarks.rerankers.plans import Plan

BEGIN = "<!-- reranking: written by `make bench-rerank` -->\n"
END = "<!-- end of reranking -->\n"


def table(results: Sequence[Result], plan: Plan, *, on_gpu: bool) -> str:
    """The results in Markdown, a row for each case, and a line about how they were measured."""
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
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n" + _how(plan, on_gpu)


def has_place(readme: str) -> bool:
    """Whether there is a place for the table."""
    return readme.count(BEGIN) == 1 and END in readme.partition(BEGIN)[2]


def with_table(readme: str, made: str) -> str:
    """The README with the table in its place."""
    before, _, rest = readme.partition(BEGIN)
    return before + BEGIN + made + END + rest.partition(END)[2]


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
    device = torch.cuda.get_device_name() if on_gpu else _processor()
    measured = "wall time" if on_gpu else "processor time on one thread"
    limit = f"; at most: what {PEAK / 1e12:.0f} TFLOP/s allow" if on_gpu else ""
    return (
        f"Medians of {plan.rounds} rounds [shortest to longest], in turns in one process; "
        f"{measured}, {str(plan.dtype).removeprefix('torch.')}, random weights{limit}. "
        f"{device}; {versions}.\n"
    )


def _processor() -> str:
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
