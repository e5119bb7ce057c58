"""Recall of the right picture with an artificial modality gap.

Each question has one right picture, and wrong texts that are nearly as similar. The cosines of
texts to pictures are lowered by 0.3.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

from benchmarks.collections.planted import (
    Vectors,
    at_cosine,
    made_up,
    planted_encoder,
    random_unit,
)
from mm_rag import Collection, Encoder, Hit, Segment
from mm_rag.content import Modality
from tests.collection.model.stored import vectors_of

Found: TypeAlias = Callable[[str], Sequence[str]]

K = 10
DIMENSION = 384
GAP = 0.3
RIGHT, WRONG, SPREAD = 0.62, 0.5, 0.04  # cosines before the gap, and their standard deviation


@dataclass(frozen=True, kw_only=True)
class GapPlan:
    """Sizes.

    Attributes:
        questions: Questions, each with its right picture.
        distractors: Similar texts for each question.
        others: Unrelated pictures, and as many unrelated texts.
    """

    questions: int = 200
    distractors: int = 20
    others: int = 1000


@dataclass(frozen=True, kw_only=True)
class Recalls:
    """Recall@10 of the right picture.

    Attributes:
        without_gap: `Collection.search` without a gap.
        with_gap: `Collection.search` with the gap.
        with_quotas: `Collection.search` with the gap, for 5 pictures and 5 texts.
        plain_without_gap: One list by cosine, without the gap.
        plain: One list by cosine, with the gap.
    """

    without_gap: float
    with_gap: float
    with_quotas: float
    plain_without_gap: float
    plain: float


def measure_gap(folder: Path, plan: GapPlan) -> Recalls:
    """Fill a collection with the gap and one without, and query both."""
    planned = _planned(plan)
    segments = _segments(plan, folder)
    made: dict[bool, Collection] = {}
    encoders: dict[bool, Encoder] = {}
    for shared in (True, False):
        encoders[shared] = planted_encoder(DIMENSION, gap=GAP, planned=planned, shared=shared)
        made[shared] = Collection(folder / f"shared-{shared}", encoder=encoders[shared])
        made[shared].add(segments)
    recalls = Recalls(
        without_gap=_recall(made[True], plan, None),
        with_gap=_recall(made[False], plan, None),
        with_quotas=_recall(made[False], plan, {"image": K // 2, "text": K // 2}),
        plain_without_gap=_plain_recall(made[True], encoders[True], plan),
        plain=_plain_recall(made[False], encoders[False], plan),
    )
    for collection in made.values():
        collection.close()
    return recalls


def _planned(plan: GapPlan) -> dict[str, Vectors]:
    dice = random.Random(6)
    planned: dict[str, Vectors] = {}
    for n in range(plan.questions):
        asked = planned[f"question{n}"] = random_unit(f"question{n}", DIMENSION)
        wanted = {f"picture{n}": RIGHT}
        wanted |= {f"text{n}x{m}": WRONG for m in range(plan.distractors)}
        for name, cosine in wanted.items():
            planned[name] = at_cosine(asked, dice.gauss(cosine, SPREAD), name)
    return planned


def _segments(plan: GapPlan, folder: Path) -> list[Segment]:
    picture = folder / "picture.png"
    Image.new("RGB", (8, 8)).save(picture)
    pictures = [f"picture{n}" for n in range(plan.questions + plan.others)]
    texts = [f"text{n}x{m}" for n in range(plan.questions) for m in range(plan.distractors)]
    texts += [f"other{n}" for n in range(plan.others)]
    return [
        *(made_up(name, "image", name, picture) for name in pictures),
        *(made_up(name, "text", name) for name in texts),
    ]


def _recall(collection: Collection, plan: GapPlan, quotas: dict[Modality, int] | None) -> float:
    def found(question: str) -> Sequence[str]:
        hits: list[Hit] = collection.search(question, k=K, modalities=quotas, rerank=False)
        return [hit.segment.text for hit in hits]

    return _share(plan, found)


def _plain_recall(collection: Collection, encoder: Encoder, plan: GapPlan) -> float:
    """Recall of Chroma's own list over the same vectors."""
    with vectors_of(collection.path) as vectors:

        def found(question: str) -> Sequence[str]:
            asked = np.asarray(encoder.encode_query(question))
            got = vectors.query(query_embeddings=[asked], n_results=K, include=["documents"])
            return (got["documents"] or [[]])[0]

        return _share(plan, found)


def _share(plan: GapPlan, found: Found) -> float:
    right = sum(f"picture{n}" in found(f"question{n}") for n in range(plan.questions))
    return right / plan.questions
