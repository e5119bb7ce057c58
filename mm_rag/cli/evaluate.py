"""What `mm-rag eval` does: index, ask, score."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mm_rag._temporary import TemporaryFolder
from mm_rag.cli import show
from mm_rag.collection import Collection
from mm_rag.encoder import Encoder
from mm_rag.evaluation import (
    Beir,
    Evaluation,
    Measures,
    Place,
    Question,
    document_of,
    evaluate,
    place_of,
)
from mm_rag.reranker import Reranker
from mm_rag.segment import Hit
from mm_rag_loaders import find_sources


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What is evaluated, and how.

    Attributes:
        collection: The folder where the collection is kept; None for a temporary one.
        chroma: The address of a Chroma server that holds the vectors; None for as before.
        encoder: The model; None for the embedded default.
        rerank: Whether the best are scored again.
        reranker: The model that scores them; None for the encoder's own way.
        measures: How many places each measure looks at.
        quiet: Show no progress.
    """

    collection: str | Path | None = None
    chroma: str | None = None
    encoder: Encoder | None = None
    rerank: bool = True
    reranker: Reranker | None = None
    measures: Measures = field(default_factory=Measures)
    quiet: bool = False


def evaluate_corpus(
    corpus: Path, questions: Sequence[Question], setup: Setup | None = None
) -> Evaluation:
    """Index a folder of files, ask the questions, score."""
    setup = setup or Setup()
    find_sources(corpus)  # or an empty collection would be left where there was none
    with _collection(setup) as collection:
        with show.progress(quiet=setup.quiet) as on_progress:
            collection.sync(corpus, on_progress=on_progress)
        return _asked(collection, questions, setup, lambda hit: place_of(hit, corpus))


def evaluate_beir(beir: Beir, setup: Setup | None = None) -> Evaluation:
    """Index the documents of a set for text retrieval, ask its questions, score."""
    setup = setup or Setup()
    if not setup.quiet:
        show.beir(beir)
    with _collection(setup) as collection:
        collection.add(beir.segments)
        return _asked(collection, beir.questions, setup, document_of)


@contextmanager
def _collection(setup: Setup) -> Generator[Collection]:
    with ExitStack() as stack:
        place = setup.collection or stack.enter_context(TemporaryFolder()).path
        made = Collection(
            place, encoder=setup.encoder, reranker=setup.reranker, chroma=setup.chroma
        )
        yield stack.enter_context(made)


def _asked(
    collection: Collection,
    questions: Sequence[Question],
    setup: Setup,
    place: Callable[[Hit], Place],
) -> Evaluation:
    def search(query: str, k: int) -> list[Place]:
        return [place(hit) for hit in collection.search(query, k, rerank=setup.rerank)]

    for question in questions[:1]:
        search(question.query, 1)  # opening the models is no part of how long a search takes
    return evaluate(search, questions, setup.measures)
