"""The ranking benchmark: its generated sets are fair, and its measures are right."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

from benchmarks.ranking.generated import NATURES, generated, has_words
from benchmarks.ranking.metrics import (
    area_under_curve,
    calibration_error,
    interval,
    ndcg,
    reliability,
)
from benchmarks.ranking.sets import RankingSet, beir_set


def texts(ranking_set: RankingSet) -> dict[tuple[str, int | None], str]:
    return {(one.source, one.page): one.text for one in ranking_set.segments}


@pytest.mark.parametrize("nature", NATURES)
def test_a_seed_gives_one_set(nature: str) -> None:
    one, again, other = (generated(nature, seed, 60) for seed in (1, 1, 2))
    assert len(one.segments) == len(texts(one)) == 60
    assert one == again
    assert {s.text for s in one.segments}.isdisjoint(s.text for s in other.segments)
    assert len({segment.id for segment in one.segments}) == 60


@pytest.mark.parametrize("nature", NATURES)
def test_right_pages_have_what_is_asked_for(nature: str) -> None:
    made = generated(nature, 7, 200)
    pages = texts(made)
    for question in made.questions:
        assert question.right <= pages.keys()
        assert bool(question.right) == (question.kind not in ("unanswerable", "nonsense"))
        if question.kind in ("quote", "code", "one word"):
            words = question.text.strip('"')
            assert {at for at, text in pages.items() if has_words(text, words)} == question.right


@pytest.mark.parametrize("nature", NATURES)
def test_halves_share_no_document(nature: str) -> None:
    halves: list[set[str]] = [set(), set()]
    for question in generated(nature, 3, 300).questions:
        if question.right:
            halves[question.half].add(min(source for source, _ in question.right))
    assert all(halves)
    assert halves[0].isdisjoint(halves[1])


def test_real_sets_are_asked_by_half_and_language(tmp_path: Path) -> None:
    documents = [{"_id": f"d{n}", "text": f"Text number {n}."} for n in range(40)]
    queries = [{"_id": f"{'de' if n % 2 else 'en'}_{n}", "text": f"Q{n}?"} for n in range(40)]
    for name, rows in (("corpus", documents), ("queries", queries)):
        lines = "\n".join(map(json.dumps, rows))
        (tmp_path / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    (tmp_path / "qrels.tsv").write_text(
        "".join(f"{q['_id']}\td{n}\t1\n" for n, q in enumerate(queries))
    )
    both, first, second = (beir_set(tmp_path, 40, halves) for halves in ((0, 1), (0,), (1,)))
    assert {one.kind for one in both.questions} == {"question (en)", "question (de)"}
    assert {one.half for one in first.questions} == {0}
    assert {one.half for one in second.questions} == {1}
    assert len(first.questions) + len(second.questions) == len(both.questions) == 40
    assert len(both.segments) == len(second.segments) == 40


def test_missing_codes_and_towns_are_nowhere() -> None:
    made = generated("memos", 5, 500)
    everything = " ".join(texts(made).values())
    missing = [one.text for one in made.questions if one.kind == "unanswerable"]
    codes = [found[0] for text in missing if (found := re.search(r"\S*\d[\w-]+", text))]
    towns = [found[1] for text in missing if (found := re.search(r" in ([A-Z]\w+)\?$", text))]
    assert len(missing) == 18
    assert len(codes) >= 4
    assert len(towns) >= 6
    assert not [each for each in (*codes, *towns) if each in everything]


def test_measures() -> None:
    a, b, c = ("a", None), ("b", 1), ("c", 2)
    assert ndcg([a, b], frozenset([a])) == 1.0
    assert ndcg([b, a], frozenset([a])) == pytest.approx(1 / math.log2(3))
    assert ndcg([b, a, c], frozenset([a, c])) == pytest.approx(
        (1 / math.log2(3) + 1 / 2) / (1 + 1 / math.log2(3))
    )
    assert ndcg([], frozenset([a])) == 0.0
    assert area_under_curve([0.9, 0.5], [0.1, 0.5]) == 0.875
    assert interval([1.0] * 9) == (1.0, 1.0, 1.0)
    low, high = interval([0.0, 1.0] * 200)[1:]
    assert 0.44 < low < 0.46
    assert 0.54 < high < 0.56


def test_calibration() -> None:
    scores, right = [0.95, 0.95, 0.05, 0.05], [True, False, False, False]
    table = reliability(scores, right)
    assert table[9] == (2, 0.95, 0.5)
    assert table[0] == (2, 0.05, 0.0)
    assert calibration_error(scores, right) == pytest.approx(0.25)
    assert calibration_error([1.0, 0.0], [True, False]) == 0.0
