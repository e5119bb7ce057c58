"""MultimodalEmbedding."""

from __future__ import annotations

import io
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.schema import TextNode
from llama_index.embeddings.mm_rag import MultimodalEmbedding

from mm_rag import Encoder, Text
from mm_rag.errors import CheckpointError, UnreadableMedia


@pytest.fixture
def embedding(encoder: Encoder) -> MultimodalEmbedding:
    return MultimodalEmbedding(encoder=encoder, embed_batch_size=16)


def test_vectors_are_those_of_the_encoder(embedding: MultimodalEmbedding, encoder: Encoder) -> None:
    texts = ["one", "two"]
    expected = encoder.encode_document([Text(text) for text in texts])
    np.testing.assert_allclose(embedding.get_text_embedding_batch(texts), expected, atol=1e-6)
    np.testing.assert_allclose(embedding.get_text_embedding("one"), expected[0], atol=1e-6)
    asked = encoder.encode_query(Text("two"))
    np.testing.assert_allclose(embedding.get_query_embedding("two"), asked, atol=1e-6)


@pytest.mark.slow  # reads pictures by OCR
def test_pictures_by_path_and_by_bytes(embedding: MultimodalEmbedding, folder: Path) -> None:
    picture = folder / "sunset.png"
    by_path = embedding.get_image_embedding(str(picture))
    by_bytes = embedding.get_image_embedding(io.BytesIO(picture.read_bytes()))
    assert by_path == by_bytes
    assert type(by_path[0]) is float
    assert embedding.get_image_embedding_batch([str(picture)]) == [by_path]


def test_missing_picture_is_named(embedding: MultimodalEmbedding, tmp_path: Path) -> None:
    with pytest.raises(UnreadableMedia, match=r"gone\.png"):
        embedding.get_image_embedding(str(tmp_path / "gone.png"))


def test_the_name_of_a_file_is_text(
    embedding: MultimodalEmbedding, encoder: Encoder, folder: Path
) -> None:
    name = str(folder / "sunset.png")
    expected = encoder.encode_query(Text(name))
    np.testing.assert_allclose(embedding.get_query_embedding(name), expected, atol=1e-6)


def _watch(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    calls: list[tuple[int, int]] = []
    encode = encoder.encode_document

    def watched(contents: list[Any], *, batch_size: int) -> Any:
        calls.append((len(contents), threading.get_ident()))
        return encode(contents, batch_size=batch_size)

    monkeypatch.setattr(encoder, "encode_document", watched)
    return calls


def test_batches_are_batches(
    embedding: MultimodalEmbedding, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = _watch(encoder, monkeypatch)
    embedding.get_text_embedding_batch([f"text {number}" for number in range(20)])
    assert [size for size, _ in calls] == [16, 4]


@pytest.mark.slow  # reads pictures by OCR
async def test_async_leaves_the_event_loop_alone(
    embedding: MultimodalEmbedding,
    encoder: Encoder,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = embedding.get_text_embedding("one")
    asked = embedding.get_query_embedding("one")
    calls = _watch(encoder, monkeypatch)
    assert await embedding.aget_text_embedding("one") == expected
    assert await embedding.aget_text_embedding_batch(["one"]) == [expected]
    assert await embedding.aget_query_embedding("one") == pytest.approx(asked, abs=1e-6)
    picture = str(folder / "sunset.png")
    assert len(await embedding.aget_image_embedding(picture)) == encoder.dimension
    assert len(await embedding.aget_image_embedding_batch([picture, picture])) == 2
    assert len(calls) == 4
    assert threading.get_ident() not in {thread for _, thread in calls}


def test_round_trips_give_the_same_model(embedding: MultimodalEmbedding) -> None:
    saved = embedding.to_dict()
    assert saved["class_name"] == MultimodalEmbedding.class_name()
    assert saved["model_name"] == "mm-rag/multilingual-e5-small"
    assert saved["fingerprint"] == embedding.fingerprint != ""
    assert "encoder" not in saved
    pickled = pickle.dumps(embedding)
    assert len(pickled) < 5_000
    for again in (MultimodalEmbedding.from_dict(saved), pickle.loads(pickled)):
        assert isinstance(again, MultimodalEmbedding)
        assert again.to_dict() == saved
        assert again.get_query_embedding("one") == embedding.get_query_embedding("one")


def test_another_model_does_not_come_back_in_its_place(encoder: Encoder) -> None:
    with pytest.raises(CheckpointError, match="fingerprint"):
        MultimodalEmbedding(encoder=encoder, fingerprint="0123456789abcdef")


def test_index_over_it(embedding: MultimodalEmbedding) -> None:
    texts = ["Bananas grow in the tropics.", "The battery supplier may deliver late."]
    index = VectorStoreIndex([TextNode(text=text) for text in texts], embed_model=embedding)
    [found] = index.as_retriever(similarity_top_k=1).retrieve("late batteries")
    assert found.get_content() == texts[1]
