"""Scores and times of both libraries on one checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import CrossEncoder

from benchmarks.rerankers.cases import Case
from benchmarks.rerankers.plans import Plan
from benchmarks.timing import Run, Times, cpu_seconds, gpu_seconds, interleaved
from mm_rag import Reranker
from mm_rag.rerankers.feature_cache import FeatureCache

DEFAULT_BATCH = 32

Scores = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Result:
    """Result of one case.

    Attributes:
        case: The case.
        ours: Times of mm-rag.
        default: Times of sentence-transformers with its default batch size.
        best: Times of sentence-transformers with its fastest batch size.
        best_batch: That batch size.
        difference: Largest difference between the two logits of a pair.
        spread: Standard deviation of the logits, for comparison with the difference.
        same_order: Share of document pairs that both libraries order alike.
        operations: Least number of operations of the case.
    """

    case: Case
    ours: Times
    default: Times
    best: Times
    best_batch: int
    difference: float
    spread: float
    same_order: float
    operations: float


class Contest:
    """Both libraries with one checkpoint loaded.

    Args:
        folder: The checkpoint.
        plan: Sizes.
        device: "cpu" or "cuda".
    """

    def __init__(self, folder: Path, plan: Plan, device: str) -> None:
        self._plan, self._clock = plan, gpu_seconds if device == "cuda" else cpu_seconds
        self._seen = FeatureCache(4 * 2**30, min_tokens=1)
        self._ours = Reranker(
            str(folder), device=device, dtype=plan.dtype, feature_cache=self._seen
        )
        self._theirs = CrossEncoder(str(folder), device=device, model_kwargs={"dtype": plan.dtype})

    def result(self, case: Case) -> Result:
        """Compare the scores of both libraries, then time both, interleaved."""
        forget: Callable[[], object] = (lambda: None) if case.seen else self._seen.clear
        self._seen.clear()
        self._our_scores(case)  # warms up, and fills the feature cache
        forget()
        ours = self._our_scores(case)
        theirs = self._their_scores(case, DEFAULT_BATCH)
        best = self._best_batch(case)
        runs = {
            "ours": Run(measured=partial(self._our_scores, case), prepare=forget),
            "default": Run(measured=partial(self._their_scores, case, DEFAULT_BATCH)),
            "best": Run(measured=partial(self._their_scores, case, best)),
        }
        if best >= min(DEFAULT_BATCH, len(case.pairs)):  # all in one batch, either way
            del runs["best"]
        times = interleaved(runs, rounds=self._plan.rounds, clock=self._clock)
        text, vision = self._plan.text or self._plan.visual_text, self._plan.vision
        return Result(
            case=case,
            ours=times["ours"],
            default=times["default"],
            best=times.get("best", times["default"]),
            best_batch=best,
            difference=float(np.abs(ours - theirs).max()),
            spread=float(theirs.std()),
            same_order=same_order(ours, theirs),
            operations=case.operations(text, vision),
        )

    def _best_batch(self, case: Case) -> int:
        sizes = sorted({min(size, len(case.pairs)) for size in self._plan.batch_sizes})
        runs = {str(size): Run(measured=partial(self._their_scores, case, size)) for size in sizes}
        times = interleaved(runs, rounds=1, clock=self._clock)
        return min(sizes, key=lambda size: times[str(size)].median)

    def _our_scores(self, case: Case) -> Scores:
        return np.asarray(self._ours.predict(case.pairs, activation_fn=torch.nn.Identity()))

    def _their_scores(self, case: Case, batch_size: int) -> Scores:
        scores = self._theirs.predict(
            case.pairs,
            batch_size=batch_size,
            activation_fn=torch.nn.Identity(),
            show_progress_bar=False,
        )
        return np.asarray(scores, dtype=np.float32)


def same_order(ours: Scores, theirs: Scores) -> float:
    """Share of pairs that two lists of scores order alike."""
    first, second = np.triu_indices(len(ours), k=1)
    agree = np.sign(ours[first] - ours[second]) == np.sign(theirs[first] - theirs[second])
    return float(agree.mean())
