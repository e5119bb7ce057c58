"""mm-rag's Reranker beside sentence-transformers' CrossEncoder: one checkpoint, the same pairs.

    python -m benchmarks.reranking                 processor time on one thread, in float32
    python -m benchmarks.reranking --readme        the same; the README's table is written anew
    python -m benchmarks.reranking --device cuda   time on a GPU in bfloat16, at the size of
                                                   Qwen3-VL-Reranker-2B, beside the GPU's limit
    python -m benchmarks.reranking --quick         whether it works at all

The weights are random: speed and equality do not depend on what was learnt.
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
from benchmarks.rerankers.table import has_place, table, with_table

README = Path(__file__).parents[1] / "README.md"


def main(arguments: list[str] | None = None) -> None:
    """Make the checkpoints, measure, print the table."""
    given = _parsed(arguments)
    on_gpu = given.device == "cuda"
    plan = QUICK if given.quick else GPU if on_gpu else USUAL
    plan = replace(plan, rounds=given.rounds or plan.rounds)
    if not on_gpu:
        torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="mm-rag-bench-") as folder:
        made = table(list(measured(plan, Path(folder), given.device)), plan, on_gpu=on_gpu)
    print(made)
    if given.readme:
        readme = README.read_text(encoding="utf-8")
        README.write_text(with_table(readme, made), encoding="utf-8")


def measured(plan: Plan, folder: Path, device: str) -> Iterator[Result]:
    """The results, one by one; the checkpoints go to `folder`."""
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
    parser.add_argument("--rounds", type=int, help="how often everything is timed")
    parser.add_argument("--quick", action="store_true", help="tiny models, a few documents")
    parser.add_argument("--readme", action="store_true", help="write the README's table anew")
    given = parser.parse_args(arguments)
    if given.readme and not has_place(README.read_text(encoding="utf-8")):
        parser.error(f"{README} has no place for the table: the two comments of table.py")
    if given.readme and (given.quick or given.device == "cuda"):
        parser.error("--readme writes the usual table: neither --quick nor --device cuda")
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch finds no GPU")
    return given


if __name__ == "__main__":
    main()
