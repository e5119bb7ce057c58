"""Asking every question, and scoring what is found."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from mm_rag._optional import require
from mm_rag.errors import InputError
from mm_rag.evaluation.measures import Evaluation, Latency, Measures, Score
from mm_rag.evaluation.places import Place
from mm_rag.evaluation.questions import Question, check_ids

Search: TypeAlias = Callable[[str, int], Sequence[Place]]
"""Finds at most so many places for a query, best first."""

Values: TypeAlias = Mapping[str, Score]
"""For each question, by its id."""


def evaluate(
    search: Search, questions: Sequence[Question], measures: Measures | None = None
) -> Evaluation:
    """Ask every question and score what is found. Finding the same answer twice counts once.

    Args:
        search: Called once for each question, one after another.
        questions: Of one or more kinds.
        measures: How many places are looked at; nDCG@10, recall@5 and MRR@10 if left out.

    Raises:
        InputError: There are no questions, or two have the same id.
        MissingExtra: The package that computes the measures is not installed.
    """
    if not questions:
        raise InputError("There are no questions to evaluate with.")
    check_ids(questions)
    # Before all else: what is missing is said at once, not after hours of searching.
    ir: Any = require("ir_measures", extra="eval", feature="Evaluation")
    measures = measures or Measures()
    found, seconds = _asked(search, questions, measures.depth)
    values = _measured(ir, questions, found, measures)
    kinds: dict[str, list[Question]] = defaultdict(list)
    for question in questions:
        kinds[question.kind].append(question)
    return Evaluation(
        measures=measures,
        overall=_mean(values, questions),
        by_kind={kind: _mean(values, kinds[kind]) for kind in sorted(kinds)},
        latency=Latency.of(seconds),
        ndcg_by_question={question.id: values[question.id].ndcg for question in questions},
    )


def _asked(
    search: Search, questions: Sequence[Question], depth: int
) -> tuple[dict[str, Sequence[Place]], list[float]]:
    """What is found for each question, by its id, and the seconds that each one took."""
    found: dict[str, Sequence[Place]] = {}
    seconds: list[float] = []
    for question in questions:
        began = time.perf_counter()
        found[question.id] = search(question.query, depth)
        seconds.append(time.perf_counter() - began)
    return found, seconds


def _measured(
    ir: Any,
    questions: Sequence[Question],
    found: Mapping[str, Sequence[Place]],
    measures: Measures,
) -> Values:
    qrels = [
        ir.Qrel(question.id, str(number), place.grade)
        for question in questions
        for number, place in enumerate(question.relevant)
    ]
    run = [
        ir.ScoredDoc(question.id, doc, -rank)
        for question in questions
        for rank, doc in enumerate(_names(question, found[question.id]))
    ]
    wanted = [ir.nDCG @ measures.ndcg_at, ir.R @ measures.recall_at, ir.RR @ measures.mrr_at]
    values: dict[str, dict[str, float]] = defaultdict(dict)
    for metric in ir.iter_calc(wanted, qrels, run):
        values[metric.query_id][str(metric.measure)] = metric.value
    ndcg, recall, mrr = map(str, wanted)
    return {
        id_: Score(questions=1, ndcg=of[ndcg], recall=of[recall], mrr=of[mrr])
        for id_, of in values.items()
    }


def _names(question: Question, found: Sequence[Place]) -> Iterable[str]:
    """Found places as document names: a right one by its number, the first time it is found."""
    open_answers = dict(enumerate(question.relevant))
    for rank, place in enumerate(found):
        right = [n for n, answer in open_answers.items() if answer.matches(place)]
        if right:
            best = max(right, key=lambda n: open_answers[n].grade)  # of equals, the first
            del open_answers[best]
            yield str(best)
        else:
            yield f"other-{rank}"


def _mean(values: Values, questions: Sequence[Question]) -> Score:
    scores = [values[question.id] for question in questions]
    count = len(scores)
    return Score(
        questions=count,
        ndcg=sum(score.ndcg for score in scores) / count,
        recall=sum(score.recall for score in scores) / count,
        mrr=sum(score.mrr for score in scores) / count,
    )
