"""`mm-rag eval`: index a corpus, ask questions with known answers, score what is found."""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mm_rag._optional import require
from mm_rag._temporary import TemporaryFolder
from mm_rag.cli import show
from mm_rag.cli.options import (
    DEFAULT_NAME,
    ChromaOption,
    JsonOption,
    ModelOption,
    RerankerOption,
    RerankOption,
)
from mm_rag.cli.running import check_sources, errors, opened, print_json

if TYPE_CHECKING:
    from mm_rag.collection import Collection
    from mm_rag.evaluation import Beir, Evaluation, Measures, Place, Question
    from mm_rag.segment import Hit

_Depth = typer.Option(help="Number of hits that this measure looks at.", min=1)


def evaluate(
    corpus: Annotated[Path, typer.Option(help="Folder to index.")],
    queries: Annotated[
        Path | None,
        typer.Option(
            help="File of questions with answers, one JSON object per line. If left out, the "
            "folder is in BEIR's layout."
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Split of a folder in BEIR's layout.")] = "test",
    ndcg_at: Annotated[int, _Depth] = 10,
    recall_at: Annotated[int, _Depth] = 5,
    mrr_at: Annotated[int, _Depth] = 10,
    rerank: RerankOption = True,
    reranker: RerankerOption = None,
    collection: Annotated[
        str | None,
        typer.Option(
            "--collection", "-c", help="Folder to keep the collection in; temporary if left out."
        ),
    ] = None,
    chroma: ChromaOption = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Index a corpus, ask questions with known answers, and score what is found."""
    with errors(), ExitStack() as stack:
        # First of all: a missing package is reported at once, not after an hour of indexing.
        require("ir_measures", extra="eval", feature="Evaluation")
        from mm_rag.evaluation import Measures, read_beir, read_questions

        measures = Measures(ndcg_at=ndcg_at, recall_at=recall_at, mrr_at=mrr_at)
        beir = read_beir(corpus, split) if queries is None else None
        questions = [] if queries is None else read_questions(queries)
        if beir is None:
            check_sources([str(corpus)])  # or an empty collection would be left behind
        place = collection or str(stack.enter_context(TemporaryFolder()).path)
        target = stack.enter_context(
            opened(
                place,
                DEFAULT_NAME,
                chroma=chroma,
                model=model,
                reranker=reranker if rerank else None,
                create=True,
            )
        )
        if beir is not None:
            outcome = evaluate_beir(target, beir, measures, rerank=rerank, quiet=as_json)
        else:
            own = [] if queries is None else [queries]
            outcome = evaluate_corpus(
                target, corpus, questions, measures, leave_out=own, rerank=rerank, quiet=as_json
            )
        if as_json:
            print_json(outcome.to_dict())
        else:
            show.evaluation(outcome)


def evaluate_corpus(
    collection: Collection,
    corpus: Path,
    questions: Sequence[Question],
    measures: Measures | None = None,
    *,
    leave_out: Sequence[Path] = (),
    rerank: bool = True,
    quiet: bool = False,
) -> Evaluation:
    """Index a folder of files, ask the questions, and score the hits.

    Args:
        collection: The collection.
        corpus: The folder.
        questions: The questions.
        measures: The measures.
        leave_out: Files that are not indexed, such as one with the questions.
        rerank: Whether hits are reranked.
        quiet: Whether no progress is shown.
    """
    from mm_rag.evaluation import place_of

    with show.progress(quiet=quiet) as on_progress:
        names = [glob.escape(str(path.absolute())) for path in leave_out]
        collection.sync(corpus, exclude=names, on_progress=on_progress)
    return _scored(collection, questions, measures, lambda hit: place_of(hit, corpus), rerank)


def evaluate_beir(
    collection: Collection,
    beir: Beir,
    measures: Measures | None = None,
    *,
    rerank: bool = True,
    quiet: bool = False,
) -> Evaluation:
    """Index the documents of a BEIR set, ask its questions, and score the hits."""
    from mm_rag.evaluation import document_of

    if not quiet:
        show.beir(beir)
    collection.add(beir.segments)
    return _scored(collection, beir.questions, measures, document_of, rerank)


def _scored(
    collection: Collection,
    questions: Sequence[Question],
    measures: Measures | None,
    place: Callable[[Hit], Place],
    rerank: bool,
) -> Evaluation:
    from mm_rag.evaluation import evaluate

    def search(query: str, k: int) -> list[Place]:
        return [place(hit) for hit in collection.search(query, k, rerank=rerank)]

    for question in questions[:1]:
        search(question.query, 1)  # loading the models does not count as search time
    return evaluate(search, questions, measures)
