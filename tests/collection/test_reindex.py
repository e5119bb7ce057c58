"""Another model's vectors take the place of those that are there, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from mm_rag import Collection, Encoder
from mm_rag.collection.catalog import Catalog
from mm_rag.collection.store import VectorStore
from mm_rag.errors import CollectionMismatch
from tests.collection.conftest import BagOfWords, segment

pytestmark = pytest.mark.slow

MANY = 300  # more than one batch
QUERIES = ("passage number 7", "number 123")


def other_model() -> Encoder:
    return Encoder(modules=[BagOfWords()], truncate_dim=16)


@pytest.fixture
def made(tmp_path: Path, encoder: Encoder) -> Path:
    with Collection(tmp_path / "made", encoder=encoder) as collection:
        collection.add(segment(f"passage number {n}", n) for n in range(MANY))
    with Collection(tmp_path / "made", encoder=encoder, name="other") as other:
        other.add([segment("something else", -1)])
    return tmp_path / "made"


def check(made: Path, fresh: Path, encoder: Encoder) -> None:
    """As if made with the other model; the collection beside it stays as it was."""
    with (
        Collection.reindex(made, encoder=other_model()) as now,
        Collection(fresh, encoder=other_model()) as expected,
    ):
        expected.add(segment(f"passage number {n}", n) for n in range(MANY))
        assert now.verify().ok
        for query in QUERIES:
            hits, wanted = (each.search(query, k=1, rerank=False) for each in (now, expected))
            assert hits[0].segment.id == wanted[0].segment.id
            score = wanted[0].scores["vector:words"]
            assert hits[0].scores["vector:words"] == pytest.approx(score)
    with pytest.raises(CollectionMismatch, match="reindex"):
        Collection(made, encoder=encoder)
    with Collection(made, encoder=encoder, name="other") as other:
        assert "vector:words" in other.search("something else", rerank=False)[0].scores
        assert other.verify().ok


def test_searches_are_those_of_a_collection_made_with_the_other_model(
    made: Path, tmp_path: Path, encoder: Encoder
) -> None:
    check(made, tmp_path / "fresh", encoder)


def test_the_old_model_serves_until_the_other_ones_vectors_are_all_there(
    made: Path, tmp_path: Path, encoder: Encoder
) -> None:
    progress: list[tuple[int, int]] = []

    def stop(done: int, of: int) -> None:
        progress.append((done, of))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Collection.reindex(made, encoder=other_model(), on_progress=stop)
    assert progress == [(256, MANY)]
    with Collection(made, encoder=encoder) as still:
        assert still.verify().ok
        assert still.search("number 123", k=1, rerank=False)[0].scores["vector:words"]
    with Collection.reindex(
        made, encoder=other_model(), on_progress=lambda done, of: progress.append((done, of))
    ):
        assert progress[1:] == [(MANY, MANY)]  # what was done is not done again
    check(made, tmp_path / "fresh", encoder)


@pytest.mark.parametrize(("of", "method"), [(VectorStore, "recreate"), (Catalog, "mark_in_sync")])
def test_killed_after_the_switch_it_is_the_other_models(
    made: Path,
    tmp_path: Path,
    encoder: Encoder,
    monkeypatch: pytest.MonkeyPatch,
    of: type,
    method: str,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(of, method, _die)
        with pytest.raises(KeyboardInterrupt):
            Collection.reindex(made, encoder=other_model())
    with pytest.raises(CollectionMismatch):
        Collection(made, encoder=encoder)
    check(made, tmp_path / "fresh", encoder)


def _die(*_: object) -> None:
    raise KeyboardInterrupt
