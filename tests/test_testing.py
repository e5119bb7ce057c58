"""The fakes behave as their documentation says, in a real collection."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mm_rag import Collection, Image
from mm_rag.errors import UnsupportedModality
from mm_rag.testing import FakeTranscriber, fake_encoder, fake_reranker
from tests.collection.conftest import segment


def test_a_collection_finds_shared_words_and_the_reranker_orders_them(tmp_path: Path) -> None:
    reranker = fake_reranker(lambda query, document: -len(getattr(document, "text", "")))
    with Collection(tmp_path / "c", encoder=fake_encoder(), reranker=reranker) as collection:
        collection.add([segment("a red car", 1), segment("a red car in the rain", 2)])
        assert [hit.segment.text for hit in collection.search("red car")] == [
            "a red car",
            "a red car in the rain",
        ]


def test_the_words_of_a_picture_are_those_of_its_name() -> None:
    encoder = fake_encoder(modalities=("text", "image"))
    pictures = encoder.encode([Image(Path("red-car.png")), Image(Path("blue_sky.png"))])
    near, far = encoder.similarity(encoder.encode(["red car"]), pictures)[0]
    assert near == pytest.approx(1.0, abs=1e-4)
    assert far < 0.5


def test_an_encoder_is_the_same_every_time_and_knows_its_size() -> None:
    first, second = (fake_encoder(dimension=16) for _ in range(2))
    assert first.fingerprint == second.fingerprint
    assert first.fingerprint != fake_encoder(dimension=32).fingerprint
    assert np.array_equal(first.encode(["x"]), second.encode(["x"]))
    assert first.encode(["x"]).shape == (1, 16)


def test_the_default_score_is_the_share_of_the_querys_words() -> None:
    reranker = fake_reranker()
    assert reranker.predict([("red car", "a red bus"), ("red", "sky")]).tolist() == [0.5, 0.0]
    with pytest.raises(UnsupportedModality, match="image"):
        reranker.predict([("red car", Image(Path("red-car.png")))])


def test_a_transcriber_says_its_words_over_the_whole_recording() -> None:
    transcript = FakeTranscriber("good morning").transcribe(np.zeros(32_000, np.float32))
    assert [(word.text, word.start, word.end) for word in transcript.words] == [
        ("good", 0.0, 1.0),
        ("morning", 1.0, 2.0),
    ]
