"""Ours beside the stock pipeline on one corpus, per kind of question.

python -m benchmarks.retrieval --corpus CORPUS --queries CORPUS/queries.jsonl
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pymupdf
from rich.console import Console
from rich.table import Table

from benchmarks.stock import StockPipeline
from mm_rag.cli.evaluate import evaluate_corpus
from mm_rag.evaluation import Evaluation, evaluate, read_questions


def main() -> None:
    """Index, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--collection", type=Path, help="kept here, if named")
    arguments = parser.parse_args()
    pymupdf.TOOLS.mupdf_display_errors(False)
    questions = read_questions(arguments.queries)
    ours = evaluate_corpus(
        arguments.corpus, arguments.queries, arguments.collection, None, quiet=False
    )
    stock = evaluate(StockPipeline(arguments.corpus.absolute()).search, questions)
    _show(ours, stock)


def _show(ours: Evaluation, stock: Evaluation) -> None:
    table = Table("kind", "questions", "stock nDCG@10", "mm-rag nDCG@10", box=None)
    for kind, score in ours.by_kind.items():
        theirs = stock.by_kind[kind].ndcg_at_10
        table.add_row(kind, str(score.questions), f"{theirs:.3f}", f"{score.ndcg_at_10:.3f}")
    overall = ours.overall
    table.add_row(
        "all",
        str(overall.questions),
        f"{stock.overall.ndcg_at_10:.3f}",
        f"{overall.ndcg_at_10:.3f}",
    )
    console = Console()
    console.print(table)
    console.print(f"Median search: stock {stock.median_seconds:.2f} s, ", end="")
    console.print(f"mm-rag {ours.median_seconds:.2f} s")


if __name__ == "__main__":
    main()
