"""Places match as people would say they do, and each answer counts once."""

from __future__ import annotations

import math

import pytest

from mm_rag.errors import InputError
from mm_rag.evaluation import Place, Question, evaluate


def score(found: list[Place], *relevant: Place) -> float:
    question = Question(id="q", query="?", relevant=relevant)
    return evaluate(lambda _query, k: found[:k], [question]).overall.ndcg_at_10


PAGE = Place(file="a.pdf", page=2)
CLIP = Place(file="a.mp3", start=10.0, end=20.0)


@pytest.mark.parametrize(
    ("answer", "found", "right"),
    [
        (PAGE, Place(file="a.pdf", page=2), True),
        (PAGE, Place(file="a.pdf", page=3), False),
        (PAGE, Place(file="b.pdf", page=2), False),
        (PAGE, Place(file="b.pdf", page=2, also=("a.pdf",)), True),
        (Place(file="a.png"), Place(file="a.png", page=1), True),
        (CLIP, Place(file="a.mp3", start=19.9, end=40.0), True),
        (CLIP, Place(file="a.mp3", start=20.0, end=40.0), False),
        (CLIP, Place(file="a.mp3", start=0.0, end=10.0), False),
        (CLIP, Place(file="a.mp3"), True),
    ],
)
def test_what_matches(answer: Place, found: Place, right: bool) -> None:
    assert score([found], answer) == (1.0 if right else 0.0)


def test_the_rank_counts() -> None:
    other = Place(file="other.pdf", page=1)
    assert score([other, PAGE], PAGE) == pytest.approx(1 / math.log2(3))


def test_the_same_answer_twice_counts_once() -> None:
    early, late = (Place(file="a.mp3", start=s, end=s + 5) for s in (10.0, 15.0))
    second = Place(file="b.pdf", page=1)
    assert score([early, late], CLIP, second) == pytest.approx(1.0 / (1.0 + 1 / math.log2(3)))


def test_finding_nothing_is_zero() -> None:
    assert score([], PAGE) == 0.0


def test_no_questions_is_an_error() -> None:
    with pytest.raises(InputError, match="no questions"):
        evaluate(lambda _query, _k: [], [])
