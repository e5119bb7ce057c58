"""Models that look for themselves, and rerankers whose word is final."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from PIL import Image as PILImage
from torch import Tensor

from mm_rag import Collection, Encoder, Image, Reranker, Text
from mm_rag.content import Chat, Content, Mixed
from mm_rag.preprocessing.chat_template import PairOrChat
from mm_rag.rerankers.model import RerankerModel, ScoreOptions
from tests.collection.conftest import segment
from tests.media_made import make_pdf
from tests.parity import replicas


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    """A small CLIP with random weights: it sees colours, and understands nothing."""
    return Encoder(replicas.clip(tmp_path_factory.mktemp("clip")))


@pytest.fixture
def seen(tmp_path: Path, clip: Encoder) -> Iterator[Collection]:
    """Two photos without words and a document, indexed by sight."""
    folder = tmp_path / "files"
    folder.mkdir()
    for colour in ("red", "blue"):
        PILImage.new("RGB", (64, 64), colour).save(folder / f"{colour}.png")
    make_pdf(folder / "report.pdf", ["The harbour was full of red boats."])
    with Collection(tmp_path / "collection", encoder=clip) as collection:
        collection.sync(folder)
        yield collection


def names(collection: Collection, query: object) -> list[str]:
    return [Path(hit.segment.source).name for hit in collection.search(query)]


@pytest.mark.slow
def test_a_photo_finds_itself_by_its_pixels(seen: Collection, tmp_path: Path) -> None:
    photo = tmp_path / "query.png"
    PILImage.new("RGB", (64, 64), "blue").save(photo)
    hit = seen.search(Image(photo), k=1)[0]
    assert Path(hit.segment.source).name == "blue.png"
    assert hit.scores["vector:image"] == pytest.approx(1.0, abs=1e-4)


@pytest.mark.slow
def test_pixels_and_words_are_ranked_apart(seen: Collection) -> None:
    hits = {Path(hit.segment.source).name: hit for hit in seen.search("red boats")}
    assert set(hits) == {"red.png", "blue.png", "report.pdf"}
    assert {"vector:words", "vector:image", "lexical"} <= set(hits["report.pdf"].scores)
    assert "vector:words" not in hits["blue.png"].scores


@pytest.mark.slow
def test_there_is_no_reranker_unless_one_is_given(seen: Collection) -> None:
    assert seen.reranker is None


class Longest(RerankerModel):
    """The longer a document, the better."""

    is_cross_encoder = True

    @property
    def modalities(self) -> tuple[str, ...]:
        return ("text",)

    def score(self, pairs: Sequence[PairOrChat], options: ScoreOptions) -> Tensor:
        assert all(isinstance(side, Text) for pair in pairs for side in sides(pair))
        return torch.tensor([[float(len(words(sides(pair)[1])))] for pair in pairs])

    def save(self, folder: Path) -> None:
        pass


def sides(asked: PairOrChat) -> tuple[Content, Content]:
    assert isinstance(asked, tuple)
    return asked


def words(content: Content) -> str:
    assert not isinstance(content, Mixed | Chat)
    return content.text or ""


@pytest.fixture
def judged(tmp_path: Path, encoder: Encoder) -> Iterator[Collection]:
    reranker = Reranker(modules=[Longest()], activation_fn=torch.nn.Identity())
    with Collection(tmp_path / "judged", encoder=encoder, reranker=reranker) as collection:
        collection.add(segment("pump " + "x" * n, n) for n in range(60))
        yield collection


def test_a_judges_order_stands(judged: Collection) -> None:
    hits = judged.search("pump", k=5, rerank="alone")
    lengths = [len(hit.segment.text) for hit in hits]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths == [hit.scores["rerank"] for hit in hits]
    assert all(hit.score > 0.99 for hit in hits), "the sigmoid of so high a score"


def test_a_reranker_is_one_signal_among_others(judged: Collection) -> None:
    before = {hit.segment.id: hit for hit in judged.search("pump", k=60, rerank=False)}
    hits = [hit for hit in judged.search("pump", k=60) if "rerank" in hit.scores]
    assert len(hits) == 50
    longest = max(hits, key=lambda hit: hit.scores["rerank"])
    shortest = min(hits, key=lambda hit: hit.scores["rerank"])
    assert longest.evidence["reranker"] == -shortest.evidence["reranker"] == 1.0
    assert longest.score > before[longest.segment.id].score
    assert shortest.score < before[shortest.segment.id].score
    for hit in hits:
        kept = {name: each for name, each in hit.evidence.items() if name != "reranker"}
        assert kept == before[hit.segment.id].evidence
        odds = sum(hit.evidence.values())
        assert hit.score == pytest.approx(1 / (1 + math.exp(-odds)))


def test_what_the_reranker_has_not_seen_comes_after(judged: Collection) -> None:
    hits = judged.search("pump", k=60, rerank="alone")
    assert len(hits) == 60
    seen_by_judge = ["rerank" in hit.scores for hit in hits]
    assert seen_by_judge == sorted(seen_by_judge, reverse=True)
    assert not all(seen_by_judge)


def test_reranking_can_be_left_out(judged: Collection) -> None:
    assert all("rerank" not in hit.scores for hit in judged.search("pump", rerank=False))


def test_a_judge_that_only_reads_is_given_the_words_of_a_picture(
    tmp_path: Path, clip: Encoder
) -> None:
    photo = tmp_path / "photo.png"
    PILImage.new("RGB", (64, 64), "blue").save(photo)
    reranker = Reranker(modules=[Longest()], activation_fn=torch.nn.Identity())
    with Collection(tmp_path / "mixed", encoder=clip, reranker=reranker) as collection:
        collection.add([segment("short", 1), segment("much longer", 2)])
        described = collection.search(Image(photo, text="a blue square"), k=1)[0]
        assert described.segment.text == "much longer"
        wordless = collection.search(Image(photo), k=2)
        assert not any("rerank" in hit.scores for hit in wordless)
