"""MultimodalEmbedding as a transformation, with LlamaIndex's caches, and its events."""

from __future__ import annotations

import asyncio
import base64
import copy
import pickle
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.bridge.pydantic import Field
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import BaseNode, Document, ImageNode, MediaResource, Node, TextNode
from llama_index.core.storage.kvstore import SimpleKVStore
from llama_index.embeddings.mm_rag import MultimodalEmbedding
from llama_index.utils.mm_rag.nodes import segment_to_node
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.event_handlers import BaseEventHandler
from PIL import Image as PILImage

from mm_rag import Audio, Collection, Encoder, Image, Segment, Text, Video
from mm_rag.errors import (
    CheckpointError,
    InputError,
    SourceForbidden,
    UnreadableMedia,
    UnsupportedModality,
)
from mm_rag.media.policy import MediaPolicy
from tests.integrations.glancing import Glancing, glancing_encoder


@pytest.fixture
def embedding() -> MultimodalEmbedding:
    return MultimodalEmbedding(encoder=glancing_encoder(), embed_batch_size=3)


@pytest.fixture
def glances(embedding: MultimodalEmbedding) -> Glancing:
    assert embedding.encoder is not None
    [module] = embedding.encoder.chain
    assert isinstance(module, Glancing)
    return module


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{colour}.png" for colour in ("red", "green")]
    for path in paths:
        PILImage.new("RGB", (8, 8), path.stem).save(path)
    return paths


def _page(picture: Path, text: str = "", sha256: str = "0" * 64) -> Segment:
    return Segment(
        modality="image",
        source=f"/files/{picture.stem}.pdf",
        sha256=sha256,
        text=text,
        title="deck",
        media=str(picture),
        mime_type="image/png",
        page=1,
    )


def _vectors(nodes: Any) -> list[Any]:
    return [node.embedding for node in nodes]


def test_nodes_get_the_vectors_of_what_they_show(
    embedding: MultimodalEmbedding, pictures: list[Path]
) -> None:
    red, green = pictures
    tour, song = Path("/films/tour.mp4"), Path("/music/song.wav")
    dusk = MediaResource(text="dusk")
    nodes: list[BaseNode] = [
        TextNode(text="bananas", metadata={"file": "fruit.txt"}),
        ImageNode(image_path=str(red)),
        segment_to_node(_page(green, "Our team.")),
        Node(text_resource=dusk, image_resource=MediaResource(path=red)),
        Node(video_resource=MediaResource(path=tour)),
        Node(audio_resource=MediaResource(path=song)),
        TextNode(text="apples"),
    ]
    shown = [Text("file: fruit.txt\n\nbananas"), Image(red), Image(green), Image(red)]
    shown += [Video(tour), Audio(song), Text("apples")]
    assert embedding(nodes) is nodes
    assert embedding.encoder is not None
    assert _vectors(nodes) == embedding.encoder.encode_document(shown).tolist()


def test_they_are_embedded_in_batches(embedding: MultimodalEmbedding, glances: Glancing) -> None:
    embedding([ImageNode(image_path=f"/nowhere/{number}.png") for number in range(7)])
    assert [len(batch) for batch in glances.batches] == [3, 3, 1]


def test_a_model_without_eyes_is_given_words(pictures: list[Path]) -> None:
    embedding = MultimodalEmbedding(encoder=glancing_encoder("text"))
    page = segment_to_node(_page(pictures[0], "Our team."))
    [node] = embedding([page])
    assert node.embedding == embedding.get_text_embedding("title: deck\n\nOur team.")


def test_bytes_and_addresses_of_others(
    embedding: MultimodalEmbedding, pictures: list[Path]
) -> None:
    data = pictures[0].read_bytes()
    encoded = base64.b64encode(data).decode()
    address = "https://example.org/a.png"
    nodes = [
        ImageNode(image=encoded),
        Node(image_resource=MediaResource(data=data)),
        Node(image_resource=MediaResource(url=address)),  # pyright: ignore[reportArgumentType]
    ]
    expected = embedding.get_image_embedding_batch([BytesIO(data), BytesIO(data), address])
    assert _vectors(embedding(nodes)) == expected


def test_a_file_that_moved_and_what_is_no_node_are_named(encoder: Encoder, tmp_path: Path) -> None:
    embedding = MultimodalEmbedding(encoder=encoder, embed_batch_size=1)
    nodes = [TextNode(text="a"), ImageNode(image_path=str(tmp_path / "gone.png"))]
    with pytest.raises(UnreadableMedia, match=r"^Input 1: .*gone\.png"):
        embedding(nodes)
    with pytest.raises(InputError, match="got a str"):
        embedding(["words"])  # pyright: ignore[reportArgumentType]


def test_pages_get_the_vectors_that_the_collection_has(collection: Collection) -> None:
    embedding = MultimodalEmbedding(encoder=collection.encoder)
    hits = collection.shown(collection.search("revenue", 3, modalities=["image"]))
    nodes = embedding([segment_to_node(hit.segment) for hit in hits])
    expected = collection.encoder.encode_document([hit.segment.content for hit in hits])
    np.testing.assert_allclose(_vectors(nodes), expected, atol=1e-6)


def test_an_index_keeps_what_nodes_show(
    embedding: MultimodalEmbedding, pictures: list[Path]
) -> None:
    pages = [_page(path, sha256=str(number) * 64) for number, path in enumerate(pictures)]
    nodes = embedding([segment_to_node(page) for page in pages])
    index = VectorStoreIndex(nodes, embed_model=embedding)
    kept: Any = index.vector_store
    assert [kept.get(node.node_id) for node in nodes] == _vectors(nodes)
    assert _vectors(nodes) == embedding.get_image_embedding_batch(pictures)


def test_the_cache_of_a_pipeline_tells_pictures_apart(
    embedding: MultimodalEmbedding, glances: Glancing, pictures: list[Path]
) -> None:
    pipeline = IngestionPipeline(transformations=[embedding])
    # One file changed: only its sha256 differs.
    before, after = pictures
    first = pipeline.run(nodes=[segment_to_node(_page(before, sha256="1" * 64))])
    second = pipeline.run(nodes=[segment_to_node(_page(after, sha256="2" * 64))])
    assert _vectors(first) != _vectors(second)
    calls = len(glances.batches)
    again = pipeline.run(nodes=[segment_to_node(_page(before, sha256="1" * 64))])
    assert _vectors(again) == _vectors(first)
    assert len(glances.batches) == calls


async def test_pipelines_run_async(embedding: MultimodalEmbedding, pictures: list[Path]) -> None:
    pipeline = IngestionPipeline(transformations=[embedding])
    nodes = [ImageNode(image_path=str(picture)) for picture in pictures]
    found = await pipeline.arun(nodes=nodes)
    assert _vectors(found) == embedding.get_image_embedding_batch(pictures)


async def test_no_cache_mixes_queries_texts_and_models() -> None:
    store = SimpleKVStore()
    embedding = MultimodalEmbedding(encoder=glancing_encoder(), embeddings_cache=store)
    other = MultimodalEmbedding(encoder=glancing_encoder("text"), embeddings_cache=store)
    plain = MultimodalEmbedding(encoder=glancing_encoder())
    for _ in range(2):
        assert embedding.get_query_embedding("one") == plain.get_query_embedding("one")
        assert embedding.get_text_embedding("one") == plain.get_text_embedding("one")
        assert await embedding.aget_query_embedding("one") == plain.get_query_embedding("one")
        assert await embedding.aget_text_embedding("one") == plain.get_text_embedding("one")
    expected = plain.get_text_embedding_batch(["two", "one"])
    assert embedding.get_text_embedding_batch(["two", "one"]) == expected
    assert await embedding.aget_text_embedding_batch(["two", "one"]) == expected
    assert plain.get_query_embedding("one") != plain.get_text_embedding("one")
    other.get_query_embedding("one")
    names = [f"embeddings-query-{each.fingerprint}" for each in (embedding, other)]
    assert [list(store.get_all(name)) for name in names] == [["one"], ["one"]]
    assert embedding.fingerprint != other.fingerprint
    assert store.get_all("embeddings") == {}


def test_a_cached_text_is_not_embedded_again(
    embedding: MultimodalEmbedding, glances: Glancing
) -> None:
    embedding.embeddings_cache = SimpleKVStore()
    first = embedding.get_text_embedding_batch(["one", "two"])
    calls = len(glances.batches)
    assert embedding.get_text_embedding_batch(["two", "one"]) == first[::-1]
    assert embedding.get_text_embedding("one") == first[0]
    assert len(glances.batches) == calls


def test_recordings_and_videos(embedding: MultimodalEmbedding, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("one", "two")]
    for path in paths:
        path.write_bytes(b"")
    assert embedding.encoder is not None
    encode = embedding.encoder.encode_document
    sound, films = encode([Audio(path) for path in paths]), encode([Video(path) for path in paths])
    assert embedding.get_audio_embedding_batch(paths) == sound.tolist()
    assert embedding.get_video_embedding_batch([str(path) for path in paths]) == films.tolist()
    assert embedding.get_audio_embedding(paths[0]) == sound[0].tolist()
    assert embedding.get_video_embedding(str(paths[0])) == films[0].tolist()


async def test_media_async(embedding: MultimodalEmbedding, pictures: list[Path]) -> None:
    red = pictures[0]
    assert await embedding.aget_image_embedding(red) == embedding.get_image_embedding(red)
    assert await embedding.aget_audio_embedding(red) == embedding.get_audio_embedding(red)
    assert await embedding.aget_video_embedding(red) == embedding.get_video_embedding(red)
    found = await asyncio.gather(
        embedding.aget_image_embedding_batch(pictures),
        embedding.aget_audio_embedding_batch(pictures),
        embedding.aget_video_embedding_batch(pictures),
    )
    assert found == [
        embedding.get_image_embedding_batch(pictures),
        embedding.get_audio_embedding_batch(pictures),
        embedding.get_video_embedding_batch(pictures),
    ]


async def test_async_leaves_the_event_loop_alone(
    embedding: MultimodalEmbedding, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[int] = set()
    assert embedding.encoder is not None
    encode = embedding.encoder.encode

    def watched(*args: Any, **settings: Any) -> Any:
        threads.add(threading.get_ident())
        return encode(*args, **settings)

    monkeypatch.setattr(embedding.encoder, "encode", watched)
    await embedding.acall([TextNode(text="a"), ImageNode(image_path=str(pictures[0]))])
    await embedding.aget_video_embedding(pictures[0])
    await embedding.aget_text_embedding_batch(["a"] * 7)
    assert threads
    assert threading.get_ident() not in threads


@pytest.mark.parametrize("wrong", [None, 3, b"words"])
def test_what_is_no_text_is_refused(embedding: MultimodalEmbedding, wrong: Any) -> None:
    for embed in (embedding.get_query_embedding, embedding.get_text_embedding):
        with pytest.raises(InputError, match=f"got a {type(wrong).__name__}"):
            embed(wrong)
    with pytest.raises(InputError, match=r"^Input 1: .*str"):
        embedding.get_text_embedding_batch(["words", wrong])
    with pytest.raises(InputError, match="A batch must be a list; got a str"):
        embedding.get_text_embedding_batch("words")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("wrong", [None, 3, BytesIO(b"noise")])
def test_what_is_no_medium_is_refused(embedding: MultimodalEmbedding, wrong: Any) -> None:
    with pytest.raises(InputError, match=r"as audio|given as"):
        embedding.get_audio_embedding(wrong)
    with pytest.raises(InputError, match=r"^Input 0: "):
        embedding.get_video_embedding_batch([wrong])
    with pytest.raises(InputError, match="A batch must be a list"):
        embedding.get_image_embedding_batch("a.png")


def test_a_model_without_ears_says_so(pictures: list[Path]) -> None:
    embedding = MultimodalEmbedding(encoder=glancing_encoder("text"))
    with pytest.raises(UnsupportedModality, match="audio"):
        embedding.get_audio_embedding(pictures[0])


class _Recorder(BaseEventHandler):
    events: list[Any] = Field(default_factory=list[Any])

    def handle(self, event: Any, **kwargs: Any) -> None:
        self.events.append(event)


@pytest.fixture
def recorder() -> Iterator[_Recorder]:
    recorder, root = _Recorder(), get_dispatcher()
    root.add_event_handler(recorder)
    yield recorder
    root.event_handlers.remove(recorder)


async def test_events_name_media(
    embedding: MultimodalEmbedding, recorder: _Recorder, pictures: list[Path]
) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    embedding.callback_manager = CallbackManager([debug])
    red, green = pictures
    embedding.get_image_embedding_batch([red, BytesIO(green.read_bytes())])
    await embedding.aget_video_embedding("https://example.org/tour.mp4")
    embedding([TextNode(text="words"), ImageNode(image_path=str(red))])
    ends = [event.chunks for event in recorder.events if hasattr(event, "chunks")]
    expected = [[str(red), "<image in memory>"], ["https://example.org/tour.mp4"]]
    expected += [["words"], [str(red)]]
    assert ends == expected
    names = [event.class_name() for event in recorder.events]
    assert names == ["EmbeddingStartEvent", "EmbeddingEndEvent"] * 4
    pairs = debug.get_event_pairs(CBEventType.EMBEDDING)
    assert [end.payload["chunks"] for _, end in pairs if end.payload] == expected


def test_what_may_be_opened_comes_back(tmp_path: Path, pictures: list[Path]) -> None:
    policy = MediaPolicy(roots=(tmp_path / "mine",), schemes=frozenset({"https"}))
    embedding = MultimodalEmbedding(policy=policy)
    again = MultimodalEmbedding.from_json(embedding.to_json())
    assert again.policy == policy == pickle.loads(pickle.dumps(embedding)).policy
    with pytest.raises(SourceForbidden):
        again.get_image_embedding(pictures[0])


def test_settings_of_a_ready_made_encoder_come_back() -> None:
    embedding = MultimodalEmbedding(encoder=Encoder(prompts={"query": "ask: "}, truncate_dim=64))
    again = pickle.loads(pickle.dumps(embedding))
    assert again.get_query_embedding("one") == embedding.get_query_embedding("one")
    assert len(again.get_query_embedding("one")) == 64


def test_an_encoder_made_of_modules_does_not_come_back_as_another(
    embedding: MultimodalEmbedding,
) -> None:
    with pytest.raises(CheckpointError, match=r"Encoder\.save"):
        MultimodalEmbedding.from_dict(embedding.to_dict())
    with pytest.raises(CheckpointError, match=r"Encoder\.save"):
        pickle.loads(pickle.dumps(embedding))


def test_copies_share_the_weights(embedding: MultimodalEmbedding) -> None:
    again = copy.deepcopy(embedding)
    assert again is not embedding
    assert again.encoder is embedding.encoder
    assert again.get_query_embedding("one") == embedding.get_query_embedding("one")


def test_it_is_one_of_the_transformations_of_an_index(encoder: Encoder) -> None:
    embedding = MultimodalEmbedding(encoder=encoder)
    index = VectorStoreIndex.from_documents(  # pyright: ignore[reportUnknownMemberType]
        [Document(text="zebra")], transformations=[embedding], embed_model=embedding
    )
    found = index.as_retriever().retrieve("zebra")[0]
    expected = encoder.encode_query("zebra") @ encoder.encode_document("zebra")
    assert found.score == pytest.approx(float(expected), abs=1e-5)


def test_a_misspelt_setting_is_not_the_default_model(encoder: Encoder) -> None:
    misspelt: Any = {"model": "some/model"}
    with pytest.raises(ValueError, match=r"model\n.*not permitted"):
        MultimodalEmbedding(encoder=encoder, **misspelt)


def test_it_says_which_model_it_is(encoder: Encoder) -> None:
    embedding = MultimodalEmbedding(encoder=encoder)
    assert embedding.model == embedding.model_name == encoder.name
    assert repr(embedding) == f"MultimodalEmbedding(model={encoder.name!r}, dimension=384)"


def test_it_has_a_schema() -> None:
    assert "model_name" in MultimodalEmbedding.model_json_schema()["properties"]


def test_a_picture_in_a_data_uri_is_a_picture(
    embedding: MultimodalEmbedding, pictures: list[Path]
) -> None:
    data = base64.b64encode(pictures[0].read_bytes()).decode()
    inline = ImageNode(image_url=f"data:image/png;base64,{data}")
    assert _vectors(embedding([inline])) == _vectors(embedding([ImageNode(image=data)]))


def test_damaged_base64_is_unreadable(embedding: MultimodalEmbedding) -> None:
    with pytest.raises(UnreadableMedia, match="base64"):
        embedding([ImageNode(image="!!!")])
