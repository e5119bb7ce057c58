"""`mm-rag eval`: index, ask, score."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from mm_rag.cli import show
from mm_rag.collection import Collection
from mm_rag.encoder import Encoder
from mm_rag.evaluation import Evaluation, Place, Question, place_of
from mm_rag.evaluation import evaluate as evaluate_search


def evaluate_corpus(
    corpus: Path,
    questions: Sequence[Question],
    *,
    collection: Path | None = None,
    encoder: Encoder | None = None,
    quiet: bool = False,
) -> Evaluation:
    """Index `corpus` into `collection` (a temporary one if None), ask the questions, score."""
    corpus = corpus.absolute()
    with ExitStack() as stack:
        folder = collection or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        opened = stack.enter_context(Collection(folder, encoder=encoder))
        with show.progress(quiet=quiet) as on_progress:
            opened.sync(corpus, on_progress=on_progress)

        def search(query: str, k: int) -> list[Place]:
            return [place_of(hit, corpus) for hit in opened.search(query, k)]

        return evaluate_search(search, questions)
