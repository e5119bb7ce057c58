"""Quotas, diversity, threshold, and which places are reranked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PILImage
from torch import Tensor

from mm_rag import Collection, Hit, Reranker, Text
from mm_rag.errors import InputError
from mm_rag.preprocessing.chat_template import PairOrChat
from mm_rag.rerankers.model import RerankerModel, ScoreOptions
from tests.collection.conftest import segment
from tests.collection.seeing import seeing, seen

PLANNED = {f"text{n}": ("asked", 0.85 - n / 100) for n in range(12)} | {
    f"picture{n}": ("asked", 0.8 - n / 100) for n in range(12)
}


class ByLength(RerankerModel):
    """The longer the words, the better."""

    is_cross_encoder = True

    @property
    def modalities(self) -> tuple[str, ...]:
        return ("text",)

    def score(self, pairs: Sequence[PairOrChat], options: ScoreOptions) -> Tensor:
        return torch.tensor([[float(len(_document(pair)))] for pair in pairs])

    def save(self, folder: Path) -> None:
        pass


def _document(asked: PairOrChat) -> str:
    assert isinstance(asked, tuple)
    assert isinstance(asked[1], Text)
    return asked[1].text


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    """12 texts and 12 pictures that answer `asked`, and 600 of each that do not."""
    photo = tmp_path_factory.mktemp("photo") / "photo.png"
    PILImage.new("RGB", (8, 8)).save(photo)
    reranker = Reranker(modules=[ByLength()], activation_fn=torch.nn.Identity())
    with Collection(":memory:", encoder=seeing(PLANNED), reranker=reranker) as collection:
        lines = [line for line in PLANNED if line.startswith("text")]
        collection.add(segment(line, n) for n, line in enumerate(lines))
        collection.add(segment(f"unlike {n}", 100 + n) for n in range(600))
        pictures = [line for line in PLANNED if line.startswith("picture")]
        collection.add(seen(line, photo) for line in pictures)
        collection.add(seen(f"scene {n}", photo) for n in range(600))
        yield collection


def kinds(hits: Sequence[Hit]) -> Counter[str]:
    return Counter(hit.segment.modality for hit in hits)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("k", "quotas", "expected"),
    [
        (None, {"image": 3, "text": 2}, {"image": 3, "text": 2}),
        (None, {"image": 12, "text": 8}, {"image": 12, "text": 8}),
        (10, {"image": 3, "text": 2}, {"image": 3, "text": 2}),
        (None, {"image": 4}, {"image": 4}),
        (None, None, None),
    ],
)
@pytest.mark.parametrize("diversity", [0.0, 0.5])
def test_quotas(
    mixed: Collection, k: int | None, quotas: Any, expected: Any, diversity: float
) -> None:
    hits = mixed.search("asked", k, modalities=quotas, rerank=False, diversity=diversity)
    assert len(hits) == sum(expected.values()) if expected else 5
    assert expected is None or kinds(hits) == expected


def test_k_bounds_the_quotas_too(mixed: Collection) -> None:
    hits = mixed.search("asked", 4, modalities={"image": 3, "text": 3}, rerank=False)
    assert len(hits) == 4
    assert max(kinds(hits).values()) <= 3


@pytest.mark.parametrize("modalities", ["image", ["image"], {"image"}, ("image",), {"image": 5}])
def test_modalities_in_every_form(mixed: Collection, modalities: Any) -> None:
    assert kinds(mixed.search("asked", modalities=modalities)) == {"image": 5}


@pytest.mark.parametrize("modalities", [{}, {"image": 0}, {"image": -1}, {"picture": 3}, [], "all"])
def test_quotas_that_mean_nothing(mixed: Collection, modalities: Any) -> None:
    with pytest.raises(InputError):
        mixed.search("asked", modalities=modalities)


@pytest.mark.parametrize("k", [0, -3, 2.5, "5", float("nan")])
def test_k_is_a_positive_whole_number(mixed: Collection, k: Any) -> None:
    with pytest.raises(InputError, match="hit"):
        mixed.search("asked", k)
    assert len(mixed.search("asked", np.int64(3), rerank=False)) == 3  # pyright: ignore


def test_what_was_asked_for_is_what_is_shown(collection: Collection, folder: Path) -> None:
    """Who asks for passages is not given the page."""
    collection.sync(folder)
    assert kinds(collection.search("ferry", modalities={"text": 2})) == {"text": 2}
    assert kinds(collection.search("ferry", 2)) == {"image": 2}


@pytest.mark.parametrize("options", [{"diversity": -0.1}, {"diversity": 1.1}])
def test_options_out_of_range(mixed: Collection, options: Any) -> None:
    with pytest.raises(InputError):
        mixed.search("asked", **options)


def test_diverse_hits_are_unlike_each_other(collection: Collection) -> None:
    alike = [segment(f"valve leak repair guide {n}", n) for n in range(12)]
    others = [
        segment(f"valve {word}", 50 + n) for n, word in enumerate(["cost", "colour", "sound"])
    ]
    collection.add([*alike, *others])
    plain, some, most = (
        collection.search("valve leak repair guide", 4, diversity=d) for d in (0.0, 0.7, 1.0)
    )
    assert all("guide" in hit.segment.text for hit in plain)
    assert plain[0].segment == some[0].segment == most[0].segment
    assert [hit.rank for hit in most] == [1, 2, 3, 4]
    guides = [sum("guide" in hit.segment.text for hit in hits) for hits in (plain, some, most)]
    assert guides == sorted(guides, reverse=True)
    assert guides[0] == 4
    assert guides[2] == 1
    for hits in (some, most):
        assert hits[0].score == max(hit.score for hit in hits)
    assert {hit.segment.text: hit.score for hit in plain}.items() <= {
        hit.segment.text: hit.score for hit in collection.search("valve leak repair guide", 15)
    }.items()


@pytest.mark.parametrize("threshold", [-3.0, -0.01, 1.01, 99, np.nan, np.inf, "high"])
def test_a_threshold_is_a_probability(mixed: Collection, threshold: Any) -> None:
    with pytest.raises(InputError, match="threshold must be a probability from 0 to 1, such as"):
        mixed.search("asked", threshold=threshold)


def test_the_threshold_is_compared_with_the_score(mixed: Collection) -> None:
    hits = mixed.search("asked", 200, rerank=False)
    assert all(0.0 <= hit.score <= 1.0 for hit in hits)
    for hit in (hits[0], hits[5], hits[30]):
        kept = mixed.search("asked", 200, rerank=False, threshold=hit.score)
        assert kept == [other for other in hits if other.score >= hit.score]
    assert mixed.search("asked", 200, rerank=False, threshold=0.0) == hits


def test_the_threshold_holds_for_what_only_shares_words(mixed: Collection) -> None:
    hits = mixed.search("unlike asked", 300, rerank=False)
    by_words = [hit for hit in hits if hit.segment.text.startswith("unlike")]
    assert len(by_words) > 50
    least = by_words[10].score
    kept = mixed.search("unlike asked", 300, rerank=False, threshold=least)
    assert kept == [hit for hit in hits if hit.score >= least]


def test_only_texts_are_reranked(mixed: Collection) -> None:
    before = mixed.search("asked", 50, rerank=False)
    after = mixed.search("asked", 50, rerank=["text"])
    pictures = [hit for hit in after if hit.segment.modality == "image"]
    assert pictures
    assert all("rerank" not in hit.scores for hit in pictures)
    assert [hit.segment for hit in pictures] == [
        hit.segment for hit in before if hit.segment.modality == "image"
    ]
    texts = [hit for hit in after if "rerank" in hit.scores]
    shares = [(hit.scores["rerank"], hit.evidence["reranker"]) for hit in texts]
    assert len(set(shares)) > 1
    assert [share for _, share in sorted(shares)] == sorted(share for _, share in shares)


def test_alone_a_reranker_shares_out_the_places_of_what_it_scored(mixed: Collection) -> None:
    before = mixed.search("asked", 20, rerank=False)
    after = mixed.search("asked", 20, rerank="alone", modalities=["text"])
    assert len(before) == len(after)
    scores = [hit.scores["rerank"] for hit in after]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("rerank", [False, [], ["video"]])
def test_nobody_is_reranked(mixed: Collection, rerank: Any) -> None:
    plain = mixed.search("asked", rerank=False)
    assert mixed.search("asked", rerank=rerank) == plain


def test_rerank_names_modalities(mixed: Collection) -> None:
    with pytest.raises(InputError, match="rerank takes True, False, 'alone', or some of"):
        mixed.search("asked", rerank=["pages"])  # pyright: ignore[reportArgumentType]


def test_stages_are_explained(mixed: Collection) -> None:
    told = mixed.search("asked", explain=True)
    stages = {"encode", "open", "vectors", "words", "merge", "rerank", "show"}
    assert set(told.seconds) == {*stages, "total"}
    added = sum(told.seconds[stage] for stage in stages)
    assert 0.5 * told.seconds["total"] < added <= told.seconds["total"]
    assert told.hits == mixed.search("asked")
    assert told.listed["vectors"] >= 100
    assert told.places >= len(told.hits)
    assert set(mixed.search("", explain=True).seconds) == {"encode", "total"}
