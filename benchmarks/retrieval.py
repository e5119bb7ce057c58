"""Ours beside the stock pipeline on one corpus, per kind of question.

    python -m benchmarks.retrieval --corpus CORPUS --queries CORPUS/queries.jsonl

A second run over the same files under meaningless names shows what descriptive file names add.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import pymupdf
from rich.console import Console
from rich.table import Table

from benchmarks.nameless import nameless
from benchmarks.stock import StockPipeline
from mm_rag.cli.evaluate import evaluate_corpus
from mm_rag.evaluation import Evaluation, evaluate, read_questions


def main() -> None:
    """Index, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--queries", type=Path, required=True)
    arguments = parser.parse_args()
    pymupdf.TOOLS.mupdf_display_errors(False)
    corpus, questions = arguments.corpus.absolute(), read_questions(arguments.queries)
    columns = {
        "stock": evaluate(StockPipeline(corpus).search, questions),
        "mm-rag": evaluate_corpus(corpus, questions),
    }
    with tempfile.TemporaryDirectory() as folder:
        columns["mm-rag, names hidden"] = evaluate_corpus(
            *nameless(corpus, questions, Path(folder))
        )
    _show(columns)


def _show(columns: dict[str, Evaluation]) -> None:
    table = Table("nDCG@10", "questions", *columns, box=None)
    outcomes = list(columns.values())
    for kind, score in outcomes[0].by_kind.items():
        values = [outcome.by_kind[kind].ndcg for outcome in outcomes]
        table.add_row(kind, str(score.questions), *(f"{value:.3f}" for value in values))
    overall = [outcome.overall for outcome in outcomes]
    values = [f"{score.ndcg:.3f}" for score in overall]
    table.add_row("all", str(overall[0].questions), *values)
    table.add_row("recall@5", "", *(f"{score.recall:.3f}" for score in overall))
    seconds = [f"{outcome.latency.p50:.2f}" for outcome in outcomes]
    table.add_row("median seconds a search", "", *seconds)
    Console().print(table)


if __name__ == "__main__":
    main()
