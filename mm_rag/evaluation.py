"""How good is a search? Questions with known answers, scored as trec_eval does.

An answer is a place: a file, and a page or a time span where it has those. A found place counts
when file and page match and the spans overlap; finding the same answer twice counts once.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

from mm_rag._optional import require
from mm_rag.errors import InputError
from mm_rag.segment import Hit

DEPTH = 10
"""How many found places are looked at."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A file, and where in it.

    Attributes:
        file: Path relative to the corpus, with forward slashes.
        page: 1-based; None for the whole file.
        start: In seconds; None for the whole file.
        end: In seconds.
        also: Other files with the same content, which are as right.
    """

    file: str
    page: int | None = None
    start: float | None = None
    end: float | None = None
    also: tuple[str, ...] = ()

    def matches(self, found: Place) -> bool:
        """Whether a found place shows this one."""
        if self.file not in (found.file, *found.also) or self.page not in (None, found.page):
            return False
        if self.start is None or self.end is None or found.start is None or found.end is None:
            return True
        return found.start < self.end and self.start < found.end


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


@dataclass(frozen=True, kw_only=True)
class Score:
    """Means over some questions.

    Attributes:
        questions: How many.
        ndcg_at_10: Normalised discounted cumulative gain of the first ten.
        recall_at_5: The share of the right places among the first five.
        mrr_at_10: Reciprocal rank of the first right place, 0 beyond the tenth.
    """

    questions: int
    ndcg_at_10: float
    recall_at_5: float
    mrr_at_10: float


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The outcome.

    Attributes:
        overall: Over all questions.
        by_kind: For each kind of question.
        median_seconds: Of one search.
        ndcg_by_question: To see which ones went wrong.
    """

    overall: Score
    by_kind: dict[str, Score]
    median_seconds: float
    ndcg_by_question: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


Search: TypeAlias = Callable[[str, int], Sequence[Place]]
"""Finds at most so many places for a query, best first."""


def read_questions(path: str | Path) -> list[Question]:
    """Read questions, one JSON object a line: `id`, `query`, `relevant`, and `kind` if known.

    Raises:
        InputError: The file cannot be read, or a line is not such an object.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The questions in {path} cannot be read: {error}.") from error
    questions: list[Question] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            relevant = tuple(Place(**place) for place in row["relevant"])
            kind = row.get("kind", "all")
            if not relevant:
                raise ValueError("relevant is empty")
            questions.append(
                Question(id=str(row["id"]), query=row["query"], relevant=relevant, kind=kind)
            )
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"Line {number} of {path} is no question ({error!r}). It needs id, query, and "
                'relevant: [{"file": ..., "page": ..., "start": ..., "end": ...}].'
            ) from error
    return questions


def place_of(hit: Hit, corpus: Path) -> Place:
    """Where a Hit is, relative to the folder of the corpus."""
    segment = hit.segment
    file, *also = (_relative(Path(path), corpus) for path in (segment.source, *hit.also))
    return Place(
        file=file, page=segment.page, start=segment.start, end=segment.end, also=tuple(also)
    )


def _relative(path: Path, corpus: Path) -> str:
    return (path.relative_to(corpus) if path.is_relative_to(corpus) else path).as_posix()


def evaluate(search: Search, questions: Sequence[Question]) -> Evaluation:
    """Ask every question and score what is found.

    Raises:
        InputError: There are no questions.
        MissingExtra: The package that computes the measures is not installed.
    """
    if not questions:
        raise InputError("There are no questions to evaluate with.")
    seconds: list[float] = []
    found: dict[str, Sequence[Place]] = {}
    for question in questions:
        began = time.perf_counter()
        found[question.id] = search(question.query, DEPTH)
        seconds.append(time.perf_counter() - began)
    values = _measure(questions, found)
    kinds: dict[str, list[Question]] = defaultdict(list)
    for question in questions:
        kinds[question.kind].append(question)
    return Evaluation(
        overall=_mean(values, questions),
        by_kind={kind: _mean(values, kinds[kind]) for kind in sorted(kinds)},
        median_seconds=median(seconds),
        ndcg_by_question={question.id: values[question.id]["nDCG@10"] for question in questions},
    )


def _measure(
    questions: Sequence[Question], found: dict[str, Sequence[Place]]
) -> dict[str, dict[str, float]]:
    measures = require("ir_measures", extra="eval", feature="Evaluation")
    qrels = [
        measures.Qrel(question.id, str(number), 1)
        for question in questions
        for number in range(len(question.relevant))
    ]
    run = [
        measures.ScoredDoc(question.id, doc, -rank)
        for question in questions
        for rank, doc in enumerate(_names(question, found[question.id]))
    ]
    wanted = [measures.nDCG @ 10, measures.R @ 5, measures.RR @ 10]
    values: dict[str, dict[str, float]] = defaultdict(dict)
    for metric in measures.iter_calc(wanted, qrels, run):
        values[metric.query_id][str(metric.measure)] = metric.value
    return values


def _names(question: Question, found: Sequence[Place]) -> Iterable[str]:
    """Found places as document names: a right one by its number, the first time it is found."""
    open_answers = dict(enumerate(question.relevant))
    for rank, place in enumerate(found):
        right = next((n for n, answer in open_answers.items() if answer.matches(place)), None)
        if right is None:
            yield f"other-{rank}"
        else:
            del open_answers[right]
            yield str(right)


def _mean(values: dict[str, dict[str, float]], questions: Sequence[Question]) -> Score:
    def mean(measure: str) -> float:
        return sum(values[question.id][measure] for question in questions) / len(questions)

    return Score(
        questions=len(questions),
        ndcg_at_10=mean("nDCG@10"),
        recall_at_5=mean("R@5"),
        mrr_at_10=mean("RR@10"),
    )
