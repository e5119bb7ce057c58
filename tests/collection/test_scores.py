"""Scores: probabilities that tell questions with an answer from those without."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image as PILImage

from benchmarks.ranking.generated import generated
from mm_rag import Collection, Segment
from tests.collection.conftest import segment

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def memos() -> Iterator[Collection]:
    """60 memos that differ in a code, a town and a subject."""
    with Collection(":memory:") as collection:
        collection.add(generated("memos", 11, 60).segments)
        yield collection


def test_the_score_is_the_sum_of_the_evidence(memos: Collection) -> None:
    for rerank in (True, False):
        for hit in memos.search("Where is the cooling pump leaking?", 10, rerank=rerank):
            assert hit.score == pytest.approx(1 / (1 + math.exp(-sum(hit.evidence.values()))))
            assert ("reranker" in hit.evidence) == rerank


def test_a_code_is_first_and_sure_and_its_neighbour_is_not(memos: Collection) -> None:
    made = generated("memos", 11, 60)
    asked = [one for one in made.questions if one.kind in ("code", "code in a sentence")]
    assert len(asked) >= 4
    for one in asked:
        best, second = memos.search(one.text, 2)
        assert best.segment.source in {source for source, _ in one.right}
        assert best.score > 0.9 > second.score
        assert best.evidence["identifiers"] > 0
    missing = memos.search("What is the matter with QQ-98761, please?", 3)
    assert all(hit.evidence["identifiers"] < 0 and hit.score < 0.2 for hit in missing)


def test_what_nothing_treats_has_a_low_score(memos: Collection) -> None:
    made = generated("memos", 11, 60)
    best = {
        one.text: memos.search(one.text, 1)[0].score
        for one in made.questions
        if one.kind not in ("paragraph", "quote")
    }
    answered = [best[one.text] for one in made.questions if one.right and one.text in best]
    others = [best[one.text] for one in made.questions if not one.right and one.text in best]
    assert sorted(answered)[len(answered) // 2] > 0.6
    assert max(others) < 0.5
    assert sum(others) / len(others) < 0.2


def test_what_is_in_quotes_is_sure(memos: Collection) -> None:
    text = memos.search("estimate", 1)[0].segment.text
    phrase = " ".join(text.split()[3:9])
    best = memos.search(f'"{phrase}"', 1)[0]
    assert phrase in best.segment.text
    assert best.evidence["required"] > 0
    assert best.score > 0.6


def test_a_photo_alone_of_its_kind_is_not_taken_for_the_answer(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    PILImage.new("RGB", (8, 8)).save(photo)
    with Collection(":memory:") as collection:
        minutes = "Minutes of meeting {}: the budget was approved."
        collection.add(segment(minutes.format(n), n) for n in range(40))
        collection.add([segment("The ferry to the island loses money every winter.", 90)])
        collection.add(
            [
                Segment(
                    modality="image",
                    source=str(photo),
                    sha256="e" * 64,
                    media=str(photo),
                    text="This picture probably shows pelican, seabird, water bird, bird, animal.",
                )
            ]
        )
        best, *others = collection.search("Which ferry line has losses?", 5)
        assert best.segment.text.startswith("The ferry")
        photos = [hit.score for hit in others if hit.segment.modality == "image"]
        assert all(score < 0.5 for score in photos)
        [pelican, *_] = collection.search("a big bird by the sea", 3)
        assert pelican.segment.modality == "image"
