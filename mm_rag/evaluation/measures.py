"""What is measured, and the figures that come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mm_rag.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Measures:
    """How many of the first places each measure looks at.

    Attributes:
        ndcg_at: For nDCG.
        recall_at: For recall.
        mrr_at: For the reciprocal rank.
    """

    ndcg_at: int = 10
    recall_at: int = 5
    mrr_at: int = 10

    def __post_init__(self) -> None:
        """Check that each looks at something.

        Raises:
            InputError: One is below 1.
        """
        if min(self.ndcg_at, self.recall_at, self.mrr_at) < 1:
            raise InputError(f"A measure looks at one place or more; got {self}.")

    @property
    def depth(self) -> int:
        """How many places have to be searched for."""
        return max(self.ndcg_at, self.recall_at, self.mrr_at)

    @property
    def names(self) -> tuple[str, str, str]:
        """What people call them: `nDCG@10`, `recall@5`, `MRR@10`."""
        return f"nDCG@{self.ndcg_at}", f"recall@{self.recall_at}", f"MRR@{self.mrr_at}"


@dataclass(frozen=True, kw_only=True)
class Score:
    """Means over some questions, each from 0 to 1.

    Attributes:
        questions: How many.
        ndcg: Normalised discounted cumulative gain. A place of grade 2 gains twice as much.
        recall: The share of the right places that are among the first.
        mrr: Reciprocal rank of the first right place; 0 where it is not among the first.
    """

    questions: int
    ndcg: float
    recall: float
    mrr: float

    def to_dict(self, measures: Measures) -> dict[str, float]:
        """For JSON, under names that say how many places were looked at: `ndcg_at_10`."""
        return {
            "questions": self.questions,
            f"ndcg_at_{measures.ndcg_at}": self.ndcg,
            f"recall_at_{measures.recall_at}": self.recall,
            f"mrr_at_{measures.mrr_at}": self.mrr,
        }


@dataclass(frozen=True, kw_only=True)
class Latency:
    """How long one search takes, in seconds.

    Attributes:
        mean: On average.
        p50: Half of the searches take no longer.
        p95: 95 of 100 take no longer.
        p99: 99 of 100 take no longer.
    """

    mean: float
    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Latency:
        """Of one or more searches, interpolated linearly between them."""
        p50, p95, p99 = (float(p) for p in np.percentile(seconds, (50, 95, 99)))
        return cls(mean=float(np.mean(seconds)), p50=p50, p95=p95, p99=p99)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The outcome.

    Attributes:
        measures: How many places each measure looked at.
        overall: Over all questions.
        by_kind: For each kind of question.
        latency: Of one search.
        ndcg_by_question: To see which ones went wrong.
    """

    measures: Measures
    overall: Score
    by_kind: Mapping[str, Score]
    latency: Latency
    ndcg_by_question: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "measures": asdict(self.measures),
            "overall": self.overall.to_dict(self.measures),
            "by_kind": {kind: s.to_dict(self.measures) for kind, s in self.by_kind.items()},
            "seconds": asdict(self.latency),
            "ndcg_by_question": dict(self.ndcg_by_question),
        }
