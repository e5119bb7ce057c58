"""Vision rerankers give the same scores as sentence-transformers' CrossEncoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder

from mm_rag import Image, Mixed, Reranker, Text
from mm_rag.errors import UnreadableMedia

from .rerankers import RERANKERS, RerankerFamily
from .visual_pairs import QUERY, TEXTS, conversations, picture_pairs, same_size, video_pairs

TOLERANCE = 1e-5
IDENTITY = torch.nn.Identity()
FAMILIES = [family for family in RERANKERS if "image" in family.modalities]
WITH_VIDEO = [family for family in FAMILIES if "video" in family.modalities]
PICTURES = picture_pairs()
CLEARLY = 1e-3  # apart: a hundred times what two right answers may be


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A replica in both libraries."""

    folder: Path
    ours: Reranker
    theirs: Any  # a CrossEncoder, whose annotations leave out much that it takes
    trust: bool

    def check(self, pairs: Any, **options: Any) -> Any:
        """Compare the logits of both libraries, and return them."""
        expected = self.theirs.predict(pairs, activation_fn=IDENTITY, **options)
        close(self.ours.predict(pairs, activation_fn=IDENTITY, **options), expected)
        return expected


Load: TypeAlias = Callable[[RerankerFamily], Loaded]


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    """Make each replica once."""
    made: dict[str, Loaded] = {}

    def loaded(family: RerankerFamily) -> Loaded:
        if family.name not in made:
            folder = family.make(tmp_path_factory.mktemp("reranker"))
            made[family.name] = both(folder, trust=family.trust_remote_code)
        return made[family.name]

    return loaded


def both(folder: Path, *, trust: bool) -> Loaded:
    ours = Reranker(folder, device="cpu", trust_remote_code=trust)
    theirs = CrossEncoder(str(folder), device="cpu", trust_remote_code=trust)
    return Loaded(folder=folder, ours=ours, theirs=theirs, trust=trust)


def close(mine: Any, reference: Any) -> None:
    np.testing.assert_allclose(np.asarray(mine), np.asarray(reference), rtol=0, atol=TOLERANCE)


def all_families(families: list[RerankerFamily]) -> Any:
    return pytest.mark.parametrize("family", families, ids=lambda family: family.name)


@all_families(FAMILIES)
@pytest.mark.parametrize("case", PICTURES)
def test_pairs_with_pictures(load: Load, family: RerankerFamily, case: str) -> None:
    load(family).check(PICTURES[case])


@all_families(FAMILIES)
@pytest.mark.parametrize(
    "case",
    [
        "a text and texts",
        "a text and pages of one size",
        "a picture and pictures of its size",
        "pictures and a text",
        "queries and documents that are all different",
    ],
)
def test_the_replica_looks_and_reads(load: Load, family: RerankerFamily, case: str) -> None:
    scores = np.sort(load(family).check(PICTURES[case]))

    assert np.diff(scores).min() > CLEARLY


@all_families(WITH_VIDEO)
def test_pairs_with_videos(load: Load, family: RerankerFamily, tmp_path: Path) -> None:
    loaded = load(family)

    for pairs in video_pairs(tmp_path).values():
        loaded.check(pairs)


@all_families(WITH_VIDEO)
def test_frames_in_memory(load: Load, family: RerankerFamily) -> None:
    frames = np.random.default_rng(5).integers(0, 255, (2, 6, 48, 64, 3), dtype=np.uint8)

    load(family).check([(QUERY, frames[0]), (QUERY, frames[1]), (frames[0], QUERY)])


@all_families(FAMILIES)
def test_everything_in_one_list(load: Load, family: RerankerFamily) -> None:
    loaded = load(family)
    pairs = [pair for case in PICTURES.values() for pair in case]

    expected = loaded.check(pairs)
    for size in (1, 5):
        close(loaded.ours.predict(pairs, activation_fn=IDENTITY, batch_size=size), expected)


@all_families(FAMILIES)
def test_a_prompt_is_the_instruction(load: Load, family: RerankerFamily) -> None:
    loaded, a = load(family), same_size(1)[0]
    pairs = [(QUERY, TEXTS[0]), (QUERY, a), (a, TEXTS[1]), (a, a)]

    told = loaded.check(pairs, prompt="Find the page with the same colours.")
    assert np.abs(told - loaded.check(pairs)).min() > CLEARLY


@all_families(FAMILIES)
def test_conversations(load: Load, family: RerankerFamily) -> None:
    loaded, pairs = load(family), conversations()

    loaded.check(pairs)
    a = same_size(1)[0]
    mixed = [*pairs, (QUERY, a), (a, TEXTS[0])]
    loaded.check(mixed)
    close(
        loaded.ours.predict(mixed, activation_fn=IDENTITY)[:3],
        loaded.ours.predict(pairs, activation_fn=IDENTITY),
    )


@all_families(FAMILIES)
def test_content_is_what_plain_values_are(load: Load, family: RerankerFamily) -> None:
    loaded, a = load(family), same_size(1)[0]
    together = Mixed((Image(a), Text("What is the total?")))

    found = loaded.ours.predict(
        [(Text(QUERY), Image(a)), (Text(QUERY), together)], activation_fn=IDENTITY
    )
    shown = {"image": a, "text": "What is the total?"}
    close(found, loaded.theirs.predict([(QUERY, a), (QUERY, shown)], activation_fn=IDENTITY))


@all_families(FAMILIES)
@pytest.mark.parametrize("query", [QUERY, same_size(1, seed=8)[0]], ids=["text", "picture"])
def test_the_same_order(load: Load, family: RerankerFamily, query: Any) -> None:
    loaded = load(family)
    documents = [*TEXTS, *same_size(3), {"image": same_size(1)[0], "text": "light"}]

    expected = loaded.theirs.rank(query, documents)
    ranked = loaded.ours.rank(query, documents)
    assert [place["index"] for place in ranked] == [place["corpus_id"] for place in expected]
    close([place["score"] for place in ranked], [place["score"] for place in expected])
    assert loaded.ours.rank(query, documents, 3) == ranked[:3]


@all_families(FAMILIES)
def test_what_it_takes(load: Load, family: RerankerFamily) -> None:
    reranker = load(family).ours

    assert reranker.is_cross_encoder
    assert all(reranker.supports(kind) for kind in family.modalities)
    assert reranker.supports("video") == ("video" in family.modalities)


@all_families(FAMILIES)
def test_saved_here_loads_there_and_back(
    load: Load, family: RerankerFamily, tmp_path: Path
) -> None:
    loaded = load(family)
    pairs = PICTURES["everything"]
    expected = loaded.check(pairs)

    loaded.ours.save(tmp_path / "ours")
    loaded.theirs.save_pretrained(str(tmp_path / "theirs"))
    for folder in (tmp_path / "ours", tmp_path / "theirs"):
        again = both(folder, trust=loaded.trust)
        close(again.check(pairs), expected)
        close(again.ours.predict(pairs), loaded.theirs.predict(pairs))


@all_families(FAMILIES)
@pytest.mark.parametrize("batch_size", [1, 32])
def test_an_undecodable_document_is_named(
    load: Load, family: RerankerFamily, tmp_path: Path, batch_size: int
) -> None:
    reranker = load(family).ours
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n" + b"nothing" * 9)
    documents = [TEXTS[0], same_size(1)[0], broken, TEXTS[1]]

    for query in (QUERY, same_size(1)[0]):
        with pytest.raises(UnreadableMedia, match=r"broken\.png") as caught:
            reranker.rank(query, documents, batch_size=batch_size)
        assert caught.value.position == 2
