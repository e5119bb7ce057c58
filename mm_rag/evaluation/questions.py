"""Questions with the places that answer them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mm_rag.errors import InputError
from mm_rag.evaluation.lines import parsed_lines, text_of
from mm_rag.evaluation.places import Place

_LINE = (
    'a JSON object with id, query, and relevant: [{"file": ..., "page": ..., "start": ..., '
    '"end": ..., "grade": ...}], of which only the file is needed'
)


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question and the places that answer it.

    Attributes:
        id: Unique.
        query: What is asked.
        relevant: Every place that answers it.
        kind: What the answer is: `text`, `table`, `photo`, ...
    """

    id: str
    query: str
    relevant: tuple[Place, ...]
    kind: str = "all"


def read_questions(path: str | Path) -> list[Question]:
    """Read questions, one JSON object a line: `id`, `query`, `relevant`, and `kind` if known.

    Raises:
        InputError: The file cannot be read, there are none, a line is not such an object, or
            two have one id.
    """
    questions = parsed_lines(Path(path), _question, _LINE)
    if not questions:
        raise InputError(f"There are no questions in {path}. A line is {_LINE}.")
    check_ids(questions)
    return questions


def check_ids(questions: Iterable[Question]) -> None:
    """Raise an InputError if two questions have the same id, because only one would count."""
    seen: set[str] = set()
    for question in questions:
        if question.id in seen:
            raise InputError(f"Two questions have the id {question.id!r}; ids are unique.")
        seen.add(question.id)


def _question(row: dict[str, Any]) -> Question:
    relevant = tuple(Place(**place) for place in row["relevant"])
    if not relevant:
        raise ValueError("relevant is empty")
    return Question(
        id=str(row["id"]),
        query=text_of(row, "query"),
        relevant=relevant,
        kind=str(row.get("kind", "all")),
    )
