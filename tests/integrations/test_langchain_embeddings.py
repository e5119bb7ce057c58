"""MultimodalEmbeddings: LangChain's conformance suites, and what they do not cover."""

from __future__ import annotations

import asyncio
import base64
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import chromadb
import numpy as np
import pytest
from langchain_chroma import Chroma
from langchain_core.embeddings import Embeddings
from langchain_tests.integration_tests import EmbeddingsIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests
from PIL import Image as PILImage
from PIL import ImageDraw

from langchain_mm_rag import MultimodalEmbeddings
from mm_rag import Audio, Encoder, Image, Text
from mm_rag.content import Url
from mm_rag.errors import InputError, SourceForbidden, UnreadableMedia


class _WithSharedEncoder:
    @pytest.fixture(autouse=True)
    def _share(self, encoder: Encoder) -> None:
        self.encoder = encoder

    @property
    def embeddings_class(self) -> type[Embeddings]:
        return MultimodalEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"encoder": self.encoder}


class TestUnit(_WithSharedEncoder, EmbeddingsUnitTests):
    pass


class TestIntegration(_WithSharedEncoder, EmbeddingsIntegrationTests):
    pass


@pytest.fixture
def embeddings(encoder: Encoder) -> MultimodalEmbeddings:
    return MultimodalEmbeddings(encoder=encoder)


@pytest.fixture
def receipt(tmp_path: Path) -> Path:
    picture = PILImage.new("RGB", (420, 120), "white")
    ImageDraw.Draw(picture).text((10, 30), "COFFEE AND CAKE", fill="black", font_size=40)
    path = tmp_path / "receipt.png"
    picture.save(path)
    return path


def test_vectors_are_those_of_the_encoder(
    embeddings: MultimodalEmbeddings, encoder: Encoder
) -> None:
    texts = ["revenue by quarter", "a long\nway home"]
    expected = encoder.encode_document([Text(text) for text in texts])
    np.testing.assert_allclose(embeddings.embed_documents(texts), expected, atol=1e-6)


def test_the_name_of_a_file_is_text(
    embeddings: MultimodalEmbeddings,
    encoder: Encoder,
    receipt: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(receipt.parent)
    expected = encoder.encode_query(Text("receipt.png"))
    np.testing.assert_allclose(embeddings.embed_query("receipt.png"), expected, atol=1e-6)
    [document] = encoder.encode_document([Text("receipt.png")])
    np.testing.assert_allclose(embeddings.embed_documents(["receipt.png"])[0], document, atol=1e-6)


@pytest.mark.slow  # reads pictures by OCR
def test_a_picture_lies_near_the_words_on_it(
    embeddings: MultimodalEmbeddings, receipt: Path
) -> None:
    [picture] = embeddings.embed_image(uris=[str(receipt)])
    assert type(picture[0]) is float
    near = np.dot(picture, embeddings.embed_query("coffee and cake"))
    far = np.dot(picture, embeddings.embed_query("the history of Rome"))
    assert near > far + 0.1  # its cosines lie between 0.7 and 1


def test_media_have_methods_of_their_own(
    embeddings: MultimodalEmbeddings,
    encoder: Encoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[Any] = []

    def encode_document(contents: list[Any], *, batch_size: int) -> Any:
        given.extend(contents)
        return np.zeros((len(contents), encoder.dimension))

    monkeypatch.setattr(encoder, "encode_document", encode_document)
    talk = tmp_path / "talk.recording"  # a suffix of no known type
    talk.touch()
    embeddings.embed_audio([str(talk)])
    embeddings.embed_video(["https://example.org/film.mp4"])
    assert [content.modality for content in given] == ["audio", "video"]
    assert isinstance(given[0], Audio)
    assert given[0].source == talk
    assert given[1].source == Url("https://example.org/film.mp4")


def test_nothing_gives_nothing(embeddings: MultimodalEmbeddings) -> None:
    assert embeddings.embed_documents([]) == []
    assert embeddings.embed_image([]) == []


def test_missing_picture_is_named(embeddings: MultimodalEmbeddings, tmp_path: Path) -> None:
    with pytest.raises(UnreadableMedia, match=r"gone\.png"):
        embeddings.embed_image([tmp_path / "gone.png"])


def test_concurrent_calls_give_the_same_vectors(embeddings: MultimodalEmbeddings) -> None:
    texts = [f"text {'and more ' * (number % 7)}{number}" for number in range(24)]
    alone = [embeddings.embed_query(text) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(embeddings.embed_query, texts))
    np.testing.assert_allclose(together, alone, atol=1e-6)


async def test_async_gives_the_same_vectors(embeddings: MultimodalEmbeddings) -> None:
    queries = ["one", "two", "three"]
    together = await asyncio.gather(*(embeddings.aembed_query(query) for query in queries))
    np.testing.assert_allclose(together, [embeddings.embed_query(q) for q in queries], atol=1e-6)


@pytest.mark.slow  # reads pictures by OCR
def test_chroma_finds_pictures_by_words_and_by_picture(
    embeddings: MultimodalEmbeddings, receipt: Path, folder: Path, tmp_path: Path
) -> None:
    store = Chroma("pictures", embeddings, client=chromadb.PersistentClient(str(tmp_path / "db")))
    store.add_images([str(folder / "sunset.png"), str(receipt)], ids=["sunset", "receipt"])
    [found] = store.similarity_search("what did the cake cost?", k=1)
    assert found.id == "receipt"
    [found] = store.similarity_search_by_image(str(receipt), k=1)
    assert found.id == "receipt"


def test_inputs_of_any_kind_in_one_list(
    embeddings: MultimodalEmbeddings,
    encoder: Encoder,
    receipt: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(receipt.parent)
    picture = Image(receipt, text="coffee and cake")
    inputs = ["receipt.png", picture, {"text": "for two", "image": picture}]
    expected = encoder.encode_document([Text("receipt.png"), *inputs[1:]])
    made = embeddings.embed_inputs(inputs)
    assert type(made[0][0]) is float
    np.testing.assert_allclose(made, expected, atol=1e-6)


def test_queries_and_documents_have_their_own_prompts(embeddings: MultimodalEmbeddings) -> None:
    encoder = Encoder(
        modules=list(embeddings.encoder.chain),
        prompts={"query": "find: ", "document": "passage: "},
    )
    prompted = MultimodalEmbeddings(encoder=encoder)
    query, document = (
        prompted.embed_inputs(["the sea"], task=task)[0] for task in ("query", "document")
    )
    assert query == pytest.approx(prompted.embed_query("the sea"), abs=1e-6)
    assert document == pytest.approx(prompted.embed_documents(["the sea"])[0], abs=1e-6)
    assert query != pytest.approx(document, abs=1e-3)


def test_pictures_are_named_as_everywhere(
    embeddings: MultimodalEmbeddings, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def encode_document(contents: list[Any], **_: Any) -> Any:
        given.extend(contents)
        return np.zeros((len(contents), encoder.dimension))

    monkeypatch.setattr(encoder, "encode_document", encode_document)
    pixels = b"\x89PNG\r\n\x1a\n and so on"
    uri = f"data:image/png;base64,{base64.b64encode(pixels).decode()}"
    embeddings.embed_image([uri, "https://example.org/view?id=3"])
    assert given[0].source == pixels
    assert given[1].source == Url("https://example.org/view?id=3")


def test_private_addresses_are_not_fetched(embeddings: MultimodalEmbeddings) -> None:
    with pytest.raises(SourceForbidden, match=r"127\.0\.0\.1"):
        embeddings.embed_image(["http://127.0.0.1/picture.png"])


@pytest.mark.parametrize(
    ("method", "given", "reason"),
    [
        ("embed_documents", "abc", "a list; got a str"),
        ("embed_documents", {"text": "abc"}, "a list; got a dict"),
        ("embed_documents", None, "a list; got a NoneType"),
        ("embed_documents", ["a", None], "Input 1: Text holds a str; got a NoneType"),
        ("embed_documents", [{"text": "a"}], "Input 0: Text holds a str; got a dict"),
        ("embed_query", None, "Text holds a str; got a NoneType"),
        ("embed_query", ["a"], "Text holds a str; got a list"),
        ("embed_image", "chart.png", "a list; got a str"),
        ("embed_image", [None], "Input 0: Cannot use a NoneType as image"),
        ("embed_image", [Audio(Path("a.wav"))], "Input 0: What was given as image is audio"),
        ("embed_audio", [["a.wav"]], "Input 0: Cannot use a list as audio"),
        ("embed_inputs", {"text": "abc"}, "a list; got a dict"),
        ("embed_inputs", [3.5], "Input 0: Cannot use a float"),
    ],
)
def test_wrong_types_are_named(
    embeddings: MultimodalEmbeddings, method: str, given: Any, reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        getattr(embeddings, method)(given)


def test_unknown_task_is_refused(embeddings: MultimodalEmbeddings) -> None:
    task: Any = "passage"
    with pytest.raises(InputError, match="task must be one of query, document; got 'passage'"):
        embeddings.embed_inputs(["a"], task=task)


@pytest.mark.parametrize("kind", ["documents", "query", "image", "audio", "video", "inputs"])
async def test_async_twins_work_in_another_thread(
    embeddings: MultimodalEmbeddings, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    threads: list[int] = []

    def watched(given: Any, **_: Any) -> Any:
        threads.append(threading.get_ident())
        return given

    monkeypatch.setattr(embeddings, f"embed_{kind}", watched)
    assert await getattr(embeddings, f"aembed_{kind}")(["a.wav"]) == ["a.wav"]
    assert threads != [threading.get_ident()]
    assert len(threads) == 1
