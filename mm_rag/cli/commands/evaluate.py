"""`mm-rag eval`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mm_rag._optional import require
from mm_rag.cli import show
from mm_rag.cli.options import (
    ChromaOption,
    JsonOption,
    ModelOption,
    RerankerOption,
    RerankOption,
)
from mm_rag.cli.running import errors, print_json

Depth = typer.Option(help="How many of the first places it looks at.", min=1)


def evaluate(
    corpus: Annotated[Path, typer.Option(help="A folder to index and ask about.")],
    queries: Annotated[
        Path | None,
        typer.Option(
            help="Questions with answers, one JSON object a line; if left out, the folder is in "
            "BEIR's layout."
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Of a folder in BEIR's layout.")] = "test",
    ndcg_at: Annotated[int, Depth] = 10,
    recall_at: Annotated[int, Depth] = 5,
    mrr_at: Annotated[int, Depth] = 10,
    rerank: RerankOption = True,
    reranker: RerankerOption = None,
    collection: Annotated[
        str | None, typer.Option("--collection", "-c", help="Kept here, if named.")
    ] = None,
    chroma: ChromaOption = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Index a corpus, ask questions with known answers, and score what is found."""
    with errors():
        # Before all else: what is missing is said at once, not after an hour of indexing.
        require("ir_measures", extra="eval", feature="Evaluation")
        from mm_rag.cli.evaluate import Setup, evaluate_beir, evaluate_corpus
        from mm_rag.encoder import Encoder
        from mm_rag.evaluation import Measures, read_beir, read_questions
        from mm_rag.reranker import Reranker

        setup = Setup(
            collection=collection,
            chroma=chroma,
            encoder=Encoder(model) if model else None,
            rerank=rerank,
            reranker=Reranker(reranker) if reranker and rerank else None,
            measures=Measures(ndcg_at=ndcg_at, recall_at=recall_at, mrr_at=mrr_at),
            quiet=as_json,
        )
        if queries is None:
            outcome = evaluate_beir(read_beir(corpus, split), setup)
        else:
            outcome = evaluate_corpus(corpus, read_questions(queries), setup)
        if as_json:
            print_json(outcome.to_dict())
        else:
            show.evaluation(outcome)
