"""`mm-rag eval`: index, ask, score."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from mm_rag.cli import show
from mm_rag.collection import Collection
from mm_rag.encoder import Encoder
from mm_rag.evaluation import Evaluation, Place, place_of, read_questions
from mm_rag.evaluation import evaluate as evaluate_search


def evaluate_corpus(
    corpus: Path, queries: Path, collection: Path | None, model: str | None, *, quiet: bool
) -> Evaluation:
    """Index `corpus` into `collection` (or a temporary one), ask the questions, score."""
    corpus = corpus.absolute()
    questions = read_questions(queries)
    with ExitStack() as stack:
        folder = collection or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        encoder = Encoder(model) if model else None
        opened = stack.enter_context(Collection(folder, encoder=encoder))
        with show.progress(quiet=quiet) as on_file:
            opened.sync(corpus, on_file=on_file)

        def search(query: str, k: int) -> list[Place]:
            return [place_of(hit, corpus) for hit in opened.search(query, k)]

        return evaluate_search(search, questions)
