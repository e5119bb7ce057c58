"""Compare vectors alone, BM25 alone and search on text retrieval sets in BEIR's layout.

    python -m benchmarks.text_retrieval FOLDER ... [--questions 150]

All use the same passages. A search must be no worse than the better of its halves. Where the ids of
all questions begin with a language, as in `de_17`, its scores are printed for each language, too.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import stdev
from typing import Any

import chromadb
from rich.console import Console
from rich.table import Table

from mm_rag import Collection, Encoder
from mm_rag.collection.lexical import LexicalIndex
from mm_rag.evaluation import (
    Beir,
    Evaluation,
    Place,
    Question,
    Search,
    document_of,
    evaluate,
    read_beir,
)

DEEPER = 8
"""Passages retrieved per wanted document, because several belong to one document."""


def main() -> None:
    """Index each set, evaluate its questions, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--questions", type=int, default=150, help="most questions of each set")
    arguments = parser.parse_args()
    for folder in arguments.folders:
        beir = read_beir(folder)
        questions = by_language(_some(beir.questions, arguments.questions))
        _show(folder.name, compared(beir, questions))


def compared(beir: Beir, questions: Sequence[Question]) -> dict[str, Evaluation]:
    """Evaluate the same questions in each way."""
    outcomes = {"BM25 alone": evaluate(_bm25(beir), questions)}
    with tempfile.TemporaryDirectory() as folder:
        with Collection(folder) as collection:
            collection.add(beir.segments)
            encoder = collection.encoder
            for name, rerank in (("search, not reranked", False), ("search", True)):
                outcomes[name] = evaluate(_search(collection, rerank=rerank), questions)
        client: Any = chromadb.PersistentClient(str(Path(folder) / "chroma"))
        with closing(client):
            stored = client.get_collection("default", embedding_function=None)
            outcomes["vectors alone"] = evaluate(_vectors(stored, encoder), questions)
    return outcomes


def _bm25(beir: Beir) -> Search:
    index = LexicalIndex(None)
    index.put(beir.segments)
    documents = {segment.id: segment.source for segment in beir.segments}
    return lambda query, k: _places(
        (documents[id_] for id_, _ in index.search(query, DEEPER * k)), k
    )


def _vectors(stored: chromadb.Collection, encoder: Encoder) -> Search:
    """Query the Chroma collection directly, as any other program would."""

    def search(query: str, k: int) -> list[Place]:
        found = stored.query(query_embeddings=[encoder.encode_query(query)], n_results=DEEPER * k)
        [records] = found["metadatas"] or [[]]
        return _places((str(record["source"]) for record in records), k)

    return search


def _search(collection: Collection, *, rerank: bool) -> Search:
    return lambda query, k: [document_of(hit) for hit in collection.search(query, k, rerank=rerank)]


def _places(documents: Iterable[str], k: int) -> list[Place]:
    """Documents without duplicates, each at its best passage."""
    return [Place(file=document) for document in list(dict.fromkeys(documents))[:k]]


def _some(questions: Sequence[Question], most: int) -> Sequence[Question]:
    """At most `most` questions, evenly spaced over the set."""
    step = max(1.0, len(questions) / most)
    return [questions[int(n * step)] for n in range(min(most, len(questions)))]


def by_language(questions: Sequence[Question]) -> Sequence[Question]:
    """The questions with their language as their kind, if all their ids begin with one."""
    languages = [re.match(r"([a-z]{2})[_-]", question.id) for question in questions]
    return [
        question if match is None or None in languages else replace(question, kind=match[1])
        for question, match in zip(questions, languages, strict=True)
    ]


def _show(name: str, outcomes: Mapping[str, Evaluation]) -> None:
    table = Table(name, "nDCG@10", "±95%", "recall@5", "MRR@10", "p50", "p95", box=None)
    for way, outcome in outcomes.items():
        score, took = outcome.overall, outcome.latency
        figures = [f"{value:.3f}" for value in (score.ndcg, score.recall, score.mrr)]
        figures.insert(1, _margin(list(outcome.ndcg_by_question.values())))
        table.add_row(way, *figures, *(f"{s * 1000:.0f} ms" for s in (took.p50, took.p95)))
        if len(outcome.by_kind) > 1:
            for kind, part in outcome.by_kind.items():
                cells = (f"{value:.3f}" for value in (part.recall, part.mrr))
                table.add_row(f"  {kind} ({part.questions})", f"{part.ndcg:.3f}", "", *cells)
    Console().print(table)


def _margin(values: Sequence[float]) -> str:
    """Half the width of the 95% interval of a mean."""
    return f"{1.96 * stdev(values) / len(values) ** 0.5:.3f}" if len(values) > 1 else ""


if __name__ == "__main__":
    main()
