"""A reranker with eyes over real files: what it is given, and what it cannot be given."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLModel, Qwen3VLVisionModel

from mm_rag import Collection, FeatureCache, Hit, Image, Reranker, Text
from mm_rag.errors import CheckpointError, InputError
from mm_rag.record import hit_to_metadata
from tests.media_made import make_picture
from tests.mixed_made import Given, make_mixed_folder
from tests.parity.replicas.cross_encoders import cross_encoder
from tests.parity.replicas.visual_rerankers import qwen3_vl_reranker

pytestmark = pytest.mark.slow

WORDY = " ".join(["harbour"] * 400)  # more than the model takes


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return qwen3_vl_reranker(tmp_path_factory.mktemp("reranker"))


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every kind of file, indexed with the built-in default."""
    root = tmp_path_factory.mktemp("mixed")
    with Collection(root / "collection") as made:
        made.sync(make_mixed_folder(root / "files"))
    return root / "collection"


@pytest.fixture
def reranker(checkpoint: Path) -> Reranker:
    """With a cache that keeps the replica's small pages, too."""
    return Reranker(checkpoint, device="cpu", feature_cache=FeatureCache(min_tokens=1))


@pytest.fixture
def collection(indexed: Path, reranker: Reranker) -> Iterator[Collection]:
    with Collection(indexed, reranker=reranker) as opened:
        yield opened


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures and videos the vision tower was given, call by call."""
    counted: list[int] = []
    forward: Any = Qwen3VLVisionModel.forward

    def counting(self: Any, hidden_states: Any, grid_thw: Any, **options: Any) -> Any:
        counted.append(len(grid_thw))
        return forward(self, hidden_states, grid_thw, **options)

    monkeypatch.setattr(Qwen3VLVisionModel, "forward", counting)
    return counted


def names(hits: list[Hit]) -> set[str]:
    return {Path(hit.segment.source).name for hit in hits}


def test_it_is_given_what_it_can_see_and_the_words_of_the_rest(
    collection: Collection, reranker: Reranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Given(reranker, monkeypatch)
    hits = collection.search("harbour", k=9)

    assert len(hits) == 6
    assert given.modalities == {"image": 3, "video": 1, "text": 2}
    texts = {document.text.splitlines()[0] for document in given if isinstance(document, Text)}
    assert texts == {"harbour horn", "harbour note"}
    assert all("reranker" in hit.evidence for hit in hits)


def test_the_order_may_be_that_of_the_reranker_alone(
    collection: Collection, reranker: Reranker
) -> None:
    found = collection.search("red boats", k=9, rerank="alone")
    assert [hit.score for hit in found] == [hit.scores["rerank"] for hit in found]
    assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)
    hits = {hit.segment.page: hit for hit in found}
    pages = [hits[page].segment.media for page in (1, 2)]
    expected = reranker.predict([("red boats", page) for page in pages])

    np.testing.assert_allclose([hits[page].score for page in (1, 2)], expected, atol=1e-5)


def test_a_page_is_looked_at_in_the_first_search_only(
    collection: Collection, looks: list[int]
) -> None:
    collection.search("harbour")
    assert sum(looks) == 4  # two pages, a picture, a video
    looks.clear()

    collection.search("where is the harbour master?")
    assert sum(looks) == 0


def test_another_process_finds_the_pages_on_the_disk(
    indexed: Path, checkpoint: Path, tmp_path: Path, looks: list[int]
) -> None:
    def search() -> list[Hit]:
        pages = FeatureCache(folder=tmp_path / "seen", min_tokens=1)
        reranker = Reranker(checkpoint, device="cpu", feature_cache=pages)
        with Collection(indexed, reranker=reranker) as opened:
            return opened.search("harbour", k=9)

    first = search()
    looks.clear()

    assert search() == first
    assert sum(looks) == 0


def test_a_picture_asks_by_what_it_shows(collection: Collection, tmp_path: Path) -> None:
    photo = make_picture(tmp_path / "photo.png", "harbour")
    for query in (Image(photo), {"text": "Where?", "image": photo}):
        hits = collection.search(query, k=9)
        assert all("rerank" in hit.scores for hit in hits)


def test_hits_are_json(collection: Collection) -> None:
    hits = collection.search("harbour", k=9, rerank="alone")
    told = json.loads(json.dumps([hit_to_metadata(hit) for hit in hits]))
    assert [one["score_rerank"] for one in told] == [hit.score for hit in hits]


def test_a_query_longer_than_the_reranker_takes_is_searched_without_it(
    collection: Collection, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        hits = collection.search(WORDY, k=9)

    assert hits == collection.search(WORDY, k=9, rerank=False)
    [told] = [record.message for record in caplog.records if "not reranked" in record.message]
    assert "max_seq_length" in told
    assert "Input 0" not in told


def test_a_page_that_cannot_be_opened_any_more_is_judged_by_its_words(
    collection: Collection, caplog: pytest.LogCaptureFixture
) -> None:
    [page] = [hit for hit in collection.search("red boats", k=9) if hit.segment.page == 1]
    media = Path(page.segment.media or "")
    whole = media.read_bytes()
    try:
        media.write_bytes(b"no picture")
        with caplog.at_level(logging.WARNING):
            hits = collection.search("red boats", k=9)
    finally:
        media.write_bytes(whole)

    assert len(hits) == 6
    assert all("rerank" in hit.scores for hit in hits)
    assert media.name in caplog.text


def test_a_reranker_that_gives_classes_orders_nothing(tmp_path: Path) -> None:
    classes = Reranker(cross_encoder(tmp_path / "classes", labels=3), device="cpu")
    with pytest.raises(InputError, match="3 labels"):
        Collection(tmp_path / "collection", reranker=classes)


@pytest.mark.parametrize(
    "error",
    [
        CheckpointError("The model fails."),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        torch.OutOfMemoryError("out of memory"),
        NotImplementedError("no kernel for this device"),
        KeyError("pixel_values"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_search_goes_on_whatever_the_reranker_raises(
    error: Exception,
    collection: Collection,
    reranker: Reranker,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: Any, **options: Any) -> Any:
        raise error

    monkeypatch.setattr(Qwen3VLModel, "forward", fail)
    with caplog.at_level(logging.WARNING):
        hits = collection.search("harbour", k=9)

    assert hits == collection.search("harbour", k=9, rerank=False)
    [told] = [record.message for record in caplog.records if "not reranked" in record.message]
    assert str(error) in told
