"""Ask questions with known answers, and score what is found as trec_eval does."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np

from mm_rag._optional import require
from mm_rag.errors import InputError
from mm_rag.evaluation.questions import Place, Question, check_ids

Search: TypeAlias = Callable[[str, int], Sequence[Place]]
"""Finds at most a number of places for a query, the best first."""


@dataclass(frozen=True, kw_only=True)
class Measures:
    """The cutoff of each measure: how many of the first results count.

    Attributes:
        ndcg_at: Cutoff of nDCG.
        recall_at: Cutoff of recall.
        mrr_at: Cutoff of the reciprocal rank.
    """

    ndcg_at: int = 10
    recall_at: int = 5
    mrr_at: int = 10

    def __post_init__(self) -> None:
        """Check the cutoffs.

        Raises:
            InputError: A cutoff is below 1.
        """
        if min(self.ndcg_at, self.recall_at, self.mrr_at) < 1:
            raise InputError(f"The cutoff of a measure is 1 or more; got {self}.")

    @property
    def depth(self) -> int:
        """How many results a search has to return."""
        return max(self.ndcg_at, self.recall_at, self.mrr_at)

    @property
    def names(self) -> tuple[str, str, str]:
        """Usual names: `nDCG@10`, `recall@5`, `MRR@10`."""
        return f"nDCG@{self.ndcg_at}", f"recall@{self.recall_at}", f"MRR@{self.mrr_at}"


@dataclass(frozen=True, kw_only=True)
class Score:
    """Means over some questions, each from 0 to 1.

    Attributes:
        questions: Number of questions.
        ndcg: Normalised discounted cumulative gain; a place of grade 2 gains twice as much.
        recall: Share of the relevant places that are found within the cutoff.
        mrr: Reciprocal rank of the first relevant place; 0 if it is not within the cutoff.
    """

    questions: int
    ndcg: float
    recall: float
    mrr: float

    def to_dict(self, measures: Measures) -> dict[str, float]:
        """A dict for JSON, with the cutoff in each key: `ndcg_at_10`."""
        return {
            "questions": self.questions,
            f"ndcg_at_{measures.ndcg_at}": self.ndcg,
            f"recall_at_{measures.recall_at}": self.recall,
            f"mrr_at_{measures.mrr_at}": self.mrr,
        }


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Duration of one search, in seconds.

    Attributes:
        mean: Mean.
        p50: Median.
        p95: 95th percentile.
        p99: 99th percentile.
    """

    mean: float
    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Latency:
        """Summarise the durations of searches; percentiles are interpolated linearly."""
        p50, p95, p99 = (float(p) for p in np.percentile(seconds, (50, 95, 99)))
        return cls(mean=float(np.mean(seconds)), p50=p50, p95=p95, p99=p99)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The result of an evaluation.

    Attributes:
        measures: Cutoffs of the measures.
        overall: Means over all questions.
        by_kind: Means over each kind of question.
        latency: Duration of one search.
        ndcg_by_question: nDCG of each question, by its id.
    """

    measures: Measures
    overall: Score
    by_kind: Mapping[str, Score]
    latency: Latency
    ndcg_by_question: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """A dict for JSON."""
        return {
            "measures": asdict(self.measures),
            "overall": self.overall.to_dict(self.measures),
            "by_kind": {kind: s.to_dict(self.measures) for kind, s in self.by_kind.items()},
            "seconds": asdict(self.latency),
            "ndcg_by_question": dict(self.ndcg_by_question),
        }


def evaluate(
    search: Search, questions: Sequence[Question], measures: Measures | None = None
) -> Evaluation:
    """Ask every question and score what is found. An answer that is found twice counts once.

    Args:
        search: Called once for each question, in order.
        questions: Questions of one or more kinds.
        measures: Cutoffs; nDCG@10, recall@5 and MRR@10 by default.

    Raises:
        InputError: There are no questions, or two have the same id.
        MissingExtra: The package that computes the measures is not installed.
    """
    if not questions:
        raise InputError("There are no questions to evaluate with.")
    check_ids(questions)
    # Imported first, so that a missing package is reported before hours of searching.
    ir: Any = require("ir_measures", extra="eval", feature="Evaluation")
    measures = measures or Measures()
    found, seconds = _ask_all(search, questions, measures.depth)
    scores = _scores(ir, questions, found, measures)
    kinds: dict[str, list[Question]] = defaultdict(list)
    for question in questions:
        kinds[question.kind].append(question)
    return Evaluation(
        measures=measures,
        overall=_mean(scores, questions),
        by_kind={kind: _mean(scores, kinds[kind]) for kind in sorted(kinds)},
        latency=Latency.of(seconds),
        ndcg_by_question={question.id: scores[question.id].ndcg for question in questions},
    )


def _ask_all(
    search: Search, questions: Sequence[Question], depth: int
) -> tuple[dict[str, Sequence[Place]], list[float]]:
    """What each question finds, by its id, and the seconds that each search took."""
    found: dict[str, Sequence[Place]] = {}
    seconds: list[float] = []
    for question in questions:
        began = time.perf_counter()
        found[question.id] = search(question.query, depth)
        seconds.append(time.perf_counter() - began)
    return found, seconds


def _scores(
    ir: Any,
    questions: Sequence[Question],
    found: Mapping[str, Sequence[Place]],
    measures: Measures,
) -> dict[str, Score]:
    """The measures of each question, by its id."""
    qrels = [
        ir.Qrel(question.id, str(number), place.grade)
        for question in questions
        for number, place in enumerate(question.relevant)
    ]
    run = [
        ir.ScoredDoc(question.id, doc, -rank)
        for question in questions
        for rank, doc in enumerate(_document_names(question, found[question.id]))
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


def _document_names(question: Question, found: Sequence[Place]) -> Iterable[str]:
    """Names of the found places for trec_eval.

    A relevant place is named by its number the first time it is found, any other place uniquely.
    """
    unfound = dict(enumerate(question.relevant))
    for rank, place in enumerate(found):
        matching = [n for n, answer in unfound.items() if answer.matches(place)]
        if matching:
            best = max(matching, key=lambda n: unfound[n].grade)  # the first of equals
            del unfound[best]
            yield str(best)
        else:
            yield f"other-{rank}"


def _mean(by_id: Mapping[str, Score], questions: Sequence[Question]) -> Score:
    scores = [by_id[question.id] for question in questions]
    count = len(scores)
    return Score(
        questions=count,
        ndcg=sum(score.ndcg for score in scores) / count,
        recall=sum(score.recall for score in scores) / count,
        mrr=sum(score.mrr for score in scores) / count,
    )
