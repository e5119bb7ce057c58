"""Compare mm-rag's Reranker with sentence-transformers' CrossEncoder on the same pairs.

    python -m benchmarks.reranking                 CPU time on one thread, in float32
    python -m benchmarks.reranking --docs          the same, written to docs/benchmarks.md
    python -m benchmarks.reranking --device cuda   time on a GPU in bfloat16, at the size of
                                                   Qwen3-VL-Reranker-2B, beside the GPU's limit
    python -m benchmarks.reranking --quick         a quick check that it runs

The weights are random: speed and equality do not depend on their values.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.rerankers.cases import Cases
from benchmarks.rerankers.checkpoints import write_text_reranker, write_visual_reranker
from benchmarks.rerankers.contest import Contest, Result
from benchmarks.rerankers.plans import GPU, QUICK, USUAL, Plan
from benchmarks.rerankers.table import PLACE, table


def main(arguments: list[str] | None = None) -> None:
    """Make the checkpoints, measure, and print the table."""
    given = _parsed(arguments)
    on_gpu = given.device == "cuda"
    plan = QUICK if given.quick else GPU if on_gpu else USUAL
    plan = replace(plan, rounds=given.rounds or plan.rounds)
    if not on_gpu:
        torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="mm-rag-bench-") as folder:
        made = table(list(measured(plan, Path(folder), given.device)), plan, on_gpu=on_gpu)
    print(made)
    if given.docs:
        PLACE.write(made)


def measured(plan: Plan, folder: Path, device: str) -> Iterator[Result]:
    """Yield the result of each case; checkpoints are written to `folder`."""
    visual = write_visual_reranker(
        folder / "visual",
        plan.visual_text,
        plan.vision,
        page_tokens=plan.page_tokens,
        device=device,
        dtype=plan.dtype,
    )
    text = visual if plan.text is None else write_text_reranker(folder / "text", plan.text)
    contest, cases = Contest(text, plan, device), Cases(text, plan)
    for prefix in plan.prefixes:
        yield _told(contest.result(cases.texts(prefix)))
    del contest  # its weights make room for the next ones
    contest, cases = Contest(visual, plan, device), Cases(visual, plan)
    for seen in (True, False):
        yield _told(contest.result(cases.pages(seen=seen)))
    yield _told(contest.result(cases.picture_query()))


def _told(result: Result) -> Result:
    times = f"{result.ours}, sentence-transformers {result.default}, at best {result.best}"
    print(f"{result.case.name}, {result.case.prefix} tokens shared: {times}", file=sys.stderr)
    return result


def _parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, help="rounds of timing")
    parser.add_argument("--quick", action="store_true", help="tiny models, a few documents")
    parser.add_argument("--docs", action="store_true", help=f"write it to {PLACE.page.name}")
    given = parser.parse_args(arguments)
    if given.docs and (missing := PLACE.is_missing()):
        parser.error(missing)
    if given.docs and (given.quick or given.device == "cuda"):
        parser.error("--docs writes the usual table: neither --quick nor --device cuda")
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch finds no GPU")
    return given


if __name__ == "__main__":
    main()
