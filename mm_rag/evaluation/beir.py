"""Read data sets in BEIR's layout, in which most public sets for text retrieval are published.

- `corpus.jsonl` or `corpus.jsonl.gz`: `{"_id": ..., "title": ..., "text": ...}`
- `queries.jsonl` or `queries.jsonl.gz`: `{"_id": ..., "text": ...}`
- `qrels/test.tsv` or `qrels.tsv`: query id, document id and grade, separated by tabs
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from mm_rag._printing import printable
from mm_rag.errors import InputError
from mm_rag.evaluation.questions import (
    Place,
    Question,
    line_error,
    numbered_lines,
    parsed_lines,
    text_of,
)
from mm_rag.segment import Segment
from mm_rag_loaders.passages import passages

Qrels: TypeAlias = Mapping[str, Mapping[str, int]]
"""Grades of documents for each query; 0 or less is not relevant."""

_HEADER = ["query-id", "corpus-id", "score"]
_DOCUMENT = 'a JSON object such as {"_id": "d1", "title": "...", "text": "..."}'
_QUERY = 'a JSON object such as {"_id": "q1", "text": "..."}'
_QREL = "a query's id, a document's id and a whole number, with tabs between them"
_NAMED = 5  # how many ids an error lists


@dataclass(frozen=True, kw_only=True)
class Beir:
    """A set of documents and questions about them.

    Attributes:
        segments: Passages of the documents; `source` is the id of the document.
        questions: Questions with an answer; the `file` of a relevant Place is a document's id.
        documents: Number of documents, including empty ones.
        unanswered: Number of queries without a relevant document, which are left out.
    """

    segments: tuple[Segment, ...]
    questions: tuple[Question, ...]
    documents: int
    unanswered: int


def read_beir(folder: str | Path, split: str = "test") -> Beir:
    """Read a folder in BEIR's layout.

    Args:
        folder: Contains `corpus.jsonl`, `queries.jsonl` and the qrels.
        split: Selects `qrels/SPLIT.tsv`; without a folder `qrels`, `qrels.tsv` is read.

    Raises:
        InputError: A file is missing or cannot be read, a line is invalid, an id is repeated, the
            qrels name an unknown document or query, or no question has an answer.
    """
    folder = Path(folder)
    corpus_path, queries_path = (_found(folder, name) for name in ("corpus", "queries"))
    qrels_path = _qrels_path(folder, split)
    corpus = _by_id(corpus_path, _DOCUMENT)
    queries = _by_id(queries_path, _QUERY)
    qrels = _read_qrels(qrels_path)
    _check_known(qrels, queries, qrels_path, queries_path)
    _check_known((d for grades in qrels.values() for d in grades), corpus, qrels_path, corpus_path)
    questions = tuple(_questions(queries, qrels))
    if not questions:
        raise InputError(f"{qrels_path} says of no document that it is relevant to a query.")
    return Beir(
        segments=tuple(s for id_, row in corpus.items() for s in _segments(id_, row)),
        questions=questions,
        documents=len(corpus),
        unanswered=len(queries) - len(questions),
    )


def _found(folder: Path, name: str) -> Path:
    for path in (folder / f"{name}.jsonl", folder / f"{name}.jsonl.gz"):
        if path.is_file():
            return path
    raise InputError(
        f"There is no {name}.jsonl or {name}.jsonl.gz in {folder}. A folder in BEIR's layout has "
        "corpus.jsonl, queries.jsonl and qrels/test.tsv; for a folder of files, name the questions."
    )


def _qrels_path(folder: Path, split: str) -> Path:
    inside = folder / "qrels"
    path = inside / f"{split}.tsv" if inside.is_dir() else folder / "qrels.tsv"
    if path.is_file():
        return path
    splits = ", ".join(sorted(path.stem for path in inside.glob("*.tsv")))
    hint = f"The splits are: {splits}." if splits else "They say which documents are relevant."
    raise InputError(f"The qrels {path} are missing. {hint}")


def _by_id(path: Path, wanted: str) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}

    def add(row: dict[str, Any]) -> None:
        id_ = text_of(row, "_id")
        id_.encode()  # a lone surrogate is a ValueError
        text_of(row, "text")
        if id_ in rows:
            raise ValueError(f"the id {id_!r} is repeated")
        rows[id_] = row

    parsed_lines(path, add, wanted)
    return rows


def _read_qrels(path: Path) -> Qrels:
    qrels: dict[str, dict[str, int]] = defaultdict(dict)
    for number, line in numbered_lines(path):
        fields = line.split("\t")
        if number == 1 and fields == _HEADER:
            continue
        try:
            if len(fields) != len(_HEADER):
                raise ValueError(f"it has {len(fields)} fields, not {len(_HEADER)}")
            query, document, grade = fields[0], fields[1], int(fields[2])
            if qrels[query].setdefault(document, grade) != grade:
                raise ValueError(f"{document} has another grade for {query} in an earlier line")
        except ValueError as error:
            raise line_error(path, number, error, _QREL) from error
    return qrels


def _check_known(
    named: Iterator[str] | Qrels, known: Collection[str], qrels: Path, where: Path
) -> None:
    unknown = sorted(set(named) - set(known))
    if unknown:
        some = ", ".join(unknown[:_NAMED]) + (", ..." if len(unknown) > _NAMED else "")
        raise InputError(f"{qrels} names {len(unknown)} ids that {where} lacks: {some}.")


def _questions(queries: Mapping[str, Mapping[str, Any]], qrels: Qrels) -> Iterator[Question]:
    for id_, row in queries.items():
        grades = qrels.get(id_, {})
        relevant = tuple(Place(file=doc, grade=grade) for doc, grade in grades.items() if grade > 0)
        if relevant:
            yield Question(id=id_, query=row["text"], relevant=relevant)


def _segments(id_: str, row: Mapping[str, Any]) -> Iterator[Segment]:
    """The passages of a document, which all have its id as `source`."""
    text, title = printable(row["text"]), printable(str(row.get("title") or ""))
    sha256 = hashlib.sha256(f"{id_}\n{title}\n{text}".encode()).hexdigest()
    for part, passage in enumerate(passages(text) or passages(title)):
        yield Segment(
            modality="text", source=id_, sha256=sha256, text=passage, title=title, part=part
        )
