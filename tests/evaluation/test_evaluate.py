"""Places match as people would say they do, each answer counts once, and the figures are right."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from mm_rag import Hit, Segment
from mm_rag.errors import InputError, MissingExtra
from mm_rag.evaluation import (
    Latency,
    Measures,
    Place,
    Question,
    Score,
    document_of,
    evaluate,
    place_of,
)

PAGE = Place(file="a.pdf", page=2)
CLIP = Place(file="a.mp3", start=10.0, end=20.0)
OTHERS = [Place(file="other.pdf", page=page) for page in range(1, 30)]


def scored(found: Sequence[Place], *relevant: Place, **cutoffs: int) -> Score:
    question = Question(id="q", query="?", relevant=relevant)
    return evaluate(lambda _query, k: found[:k], [question], Measures(**cutoffs)).overall


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
    assert scored([found], answer).ndcg == (1.0 if right else 0.0)


def test_the_rank_counts() -> None:
    score = scored([*OTHERS[:2], PAGE], PAGE)
    assert score.ndcg == pytest.approx(1 / math.log2(4))
    assert score.mrr == pytest.approx(1 / 3)
    assert score.recall == 1.0


def test_the_same_answer_twice_counts_once() -> None:
    early, late = (Place(file="a.mp3", start=s, end=s + 5) for s in (10.0, 15.0))
    second = Place(file="b.pdf", page=1)
    score = scored([early, late], CLIP, second)
    assert score.ndcg == pytest.approx(1.0 / (1.0 + 1 / math.log2(3)))
    assert score.recall == 0.5


def test_a_better_answer_gains_as_much_more_as_its_grade_says() -> None:
    best, fair = Place(file="best", grade=3), Place(file="fair", grade=1)
    wrong_way = scored([Place(file="fair"), OTHERS[0], Place(file="best")], best, fair)
    gained, possible = 1 + 3 / math.log2(4), 3 + 1 / math.log2(3)
    assert wrong_way.ndcg == pytest.approx(gained / possible)
    assert (wrong_way.recall, wrong_way.mrr) == (1.0, 1.0)


def test_what_shows_two_answers_counts_as_the_better_one() -> None:
    anywhere, page = Place(file="a.pdf"), Place(file="a.pdf", page=2, grade=2)
    found = [Place(file="a.pdf", page=2), Place(file="a.pdf", page=9)]
    assert scored(found, anywhere, page).ndcg == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("rank", "cutoffs", "expected"),
    [
        (11, {}, (0.0, 0.0, 0.0)),
        (6, {}, (1 / math.log2(7), 0.0, 1 / 6)),
        (11, {"ndcg_at": 20}, (1 / math.log2(12), 0.0, 0.0)),
        (11, {"recall_at": 20}, (0.0, 1.0, 0.0)),
        (11, {"mrr_at": 11}, (0.0, 0.0, 1 / 11)),
        (2, {"ndcg_at": 1, "recall_at": 1, "mrr_at": 1}, (0.0, 0.0, 0.0)),
    ],
)
def test_each_measure_looks_as_deep_as_it_is_told(
    rank: int, cutoffs: Mapping[str, int], expected: tuple[float, float, float]
) -> None:
    score = scored([*OTHERS[: rank - 1], PAGE, *OTHERS[rank:]], PAGE, **cutoffs)
    assert (score.ndcg, score.recall, score.mrr) == pytest.approx(expected)


def test_finding_nothing_is_zero() -> None:
    assert scored([], PAGE) == Score(questions=1, ndcg=0.0, recall=0.0, mrr=0.0)


def test_kinds_are_counted_apart_and_together() -> None:
    questions = [
        Question(id="1", query="found", relevant=(PAGE,), kind="table"),
        Question(id="2", query="found", relevant=(PAGE,), kind="photo"),
        Question(id="3", query="not found", relevant=(PAGE,), kind="photo"),
    ]
    outcome = evaluate(lambda query, _k: [PAGE] if query == "found" else [], questions)
    assert {kind: (s.questions, s.mrr) for kind, s in outcome.by_kind.items()} == {
        "photo": (2, 0.5),
        "table": (1, 1.0),
    }
    assert outcome.overall.mrr == pytest.approx(2 / 3)
    assert outcome.ndcg_by_question == {"1": 1.0, "2": 1.0, "3": 0.0}


def test_percentiles_are_between_the_searches() -> None:
    latency = Latency.of([0.01 * n for n in range(101)])
    assert (latency.p50, latency.p95, latency.p99) == pytest.approx((0.5, 0.95, 0.99))
    assert latency.mean == pytest.approx(0.5)
    assert Latency.of([2.0]) == Latency(mean=2.0, p50=2.0, p95=2.0, p99=2.0)


def test_a_search_is_timed() -> None:
    def search(_query: str, _k: int) -> list[Place]:
        time.sleep(0.02)
        return []

    latency = evaluate(search, [Question(id="1", query="?", relevant=(PAGE,))]).latency
    assert 0.02 <= latency.p50 == latency.p99 < 2.0


def test_json_names_say_how_deep_a_measure_looked() -> None:
    question = Question(id="q", query="?", relevant=(PAGE,))
    outcome = evaluate(lambda _query, _k: [PAGE], [question], Measures(ndcg_at=3, recall_at=100))
    parsed = json.loads(json.dumps(outcome.to_dict()))
    one = {"questions": 1, "ndcg_at_3": 1.0, "recall_at_100": 1.0, "mrr_at_10": 1.0}
    assert parsed["overall"] == one
    assert parsed["by_kind"] == {"all": one}
    assert set(parsed["seconds"]) == {"mean", "p50", "p95", "p99"}
    assert parsed["measures"] == {"ndcg_at": 3, "recall_at": 100, "mrr_at": 10}


def test_no_questions_is_an_error() -> None:
    with pytest.raises(InputError, match="no questions"):
        evaluate(lambda _query, _k: [], [])


def test_two_questions_of_one_id_are_an_error() -> None:
    twice = [Question(id="q", query=query, relevant=(PAGE,)) for query in ("?", "!")]
    with pytest.raises(InputError, match="'q'"):
        evaluate(lambda _query, _k: [], twice)


def test_a_measure_that_looks_at_nothing_is_an_error() -> None:
    with pytest.raises(InputError, match="recall_at=0"):
        Measures(recall_at=0)


def test_a_missing_package_is_said_before_anything_is_searched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ir_measures", None)
    asked: list[str] = []

    def search(query: str, _k: int) -> list[Place]:
        asked.append(query)
        return []

    with pytest.raises(MissingExtra, match=r"\[eval\]"):
        evaluate(search, [Question(id="q", query="?", relevant=(PAGE,))])
    assert asked == []


def hit(source: Path, **more: Any) -> Hit:
    found = Segment(modality="text", source=str(source), sha256="0" * 64, **more)
    return Hit(segment=found, rank=1, score=1.0, also=("/elsewhere/copy.pdf",))


def test_a_hit_is_a_place_in_the_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = hit(tmp_path / "pdf" / "a.pdf", page=2)
    place = Place(file="pdf/a.pdf", page=2, also=("/elsewhere/copy.pdf",))
    monkeypatch.chdir(tmp_path)
    for corpus in (tmp_path, tmp_path / "pdf" / "..", Path(), Path("pdf/..")):
        assert place_of(page, corpus) == place
    clip = hit(tmp_path / "a.mp3", start=1.0, end=2.5)
    assert place_of(clip, tmp_path).start == 1.0
    assert document_of(page) == Place(file=str(tmp_path / "pdf" / "a.pdf"))
