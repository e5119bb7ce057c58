"""MultimodalRetriever, alone and in an LCEL chain whose chat model receives the page."""

from __future__ import annotations

import asyncio
import base64
import copy
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import ConfigurableField, RunnableLambda, RunnablePassthrough
from langchain_tests.integration_tests import RetrieversIntegrationTests
from pydantic import ValidationError

from langchain_mm_rag import MultimodalRetriever, documents_to_blocks
from mm_rag import Collection, Encoder, Image, Segment
from mm_rag.content import Modality
from mm_rag.errors import CollectionError, CollectionMismatch, InputError
from tests.integrations.scripted import ScriptedChatModel

QUESTION = "Which quarter had the best revenue?"


class TestStandard(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def _share(self, collection: Collection) -> None:
        self.collection = collection

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return MultimodalRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"collection": self.collection}

    @property
    def retriever_query_example(self) -> str:
        return QUESTION


@pytest.fixture
def retriever(collection: Collection) -> MultimodalRetriever:
    return MultimodalRetriever(collection=collection, k=2)


def test_document_tells_where_it_comes_from(retriever: MultimodalRetriever, folder: Path) -> None:
    best, second = retriever.invoke(QUESTION)
    assert "fourth quarter was the best" in best.page_content
    assert best.metadata["source"] == str(folder / "deck.pdf")
    assert best.metadata["page"] == 1
    assert best.metadata["modality"] == "image"
    assert best.metadata["mime_type"] == "image/jpeg"
    assert Path(best.metadata["media"]).is_file()
    assert len(best.metadata["sha256"]) == 64
    assert "start" not in best.metadata
    assert (best.metadata["rank"], second.metadata["rank"]) == (1, 2)
    assert best.metadata["score"] >= second.metadata["score"]


def test_id_is_that_of_the_segment(retriever: MultimodalRetriever, collection: Collection) -> None:
    assert retriever.invoke(QUESTION)[0].id == collection.search(QUESTION)[0].segment.id


def test_settings_and_their_override(collection: Collection) -> None:
    retriever = MultimodalRetriever(collection=collection, k=9, where={"page": 3})
    assert [found.metadata["page"] for found in retriever.invoke(QUESTION)] == [3]
    assert [found.metadata["page"] for found in retriever.invoke(QUESTION, where={"page": 2})] == [
        2
    ]
    assert len(retriever.invoke(QUESTION, where={"page": {"$gte": 1}}, k=2)) == 2
    assert (
        len(MultimodalRetriever(collection=collection).invoke(QUESTION, modalities=["image"])) > 1
    )


def test_a_picture_can_ask(retriever: MultimodalRetriever, tmp_path: Path) -> None:
    [slide] = [found.metadata["media"] for found in retriever.invoke("batteries supplier", k=1)]
    picture = Image(Path(slide), text="late batteries in winter")
    by_content = retriever.invoke(picture, k=1)
    by_mapping = retriever.invoke({"text": "late batteries", "image": picture}, k=1)
    assert [found.metadata["page"] for found in by_content + by_mapping] == [3, 3]


async def test_async_takes_the_same_arguments(retriever: MultimodalRetriever) -> None:
    settings: dict[str, Any] = {"k": 1, "where": {"page": {"$gte": 2}}, "rerank": False}
    assert await retriever.ainvoke(QUESTION, **settings) == retriever.invoke(QUESTION, **settings)


async def test_async_search_leaves_the_event_loop_alone(
    retriever: MultimodalRetriever, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    search = collection.search

    def watched(*args: Any, **settings: Any) -> Any:
        threads.append(threading.get_ident())
        return search(*args, **settings)

    monkeypatch.setattr(collection, "search", watched)
    found = await asyncio.gather(*(retriever.ainvoke(QUESTION) for _ in range(3)))
    assert threading.get_ident() not in threads
    assert found[0] == found[1] == found[2]


async def test_concurrent_searches_are_all_reranked(
    retriever: MultimodalRetriever, caplog: pytest.LogCaptureFixture
) -> None:
    alone = retriever.invoke(QUESTION)
    with caplog.at_level(logging.WARNING):
        found = await asyncio.gather(*(retriever.ainvoke(QUESTION) for _ in range(16)))
    assert not caplog.records
    scores = [[hit.metadata["score_rerank"] for hit in hits] for hits in (alone, *found)]
    assert scores == [pytest.approx(scores[0], abs=1e-5)] * 17


def test_every_setting_reaches_the_search(
    collection: Collection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    def search(query: Any, **settings: Any) -> list[Any]:
        given.update(settings)
        return []

    monkeypatch.setattr(collection, "search", search)
    settings: dict[str, Any] = {
        "k": 7,
        "modalities": {"image": 2, "text": 1},
        "where": {"author": "Ada"},
        "source": [folder / "deck.pdf"],
        "page": 2,
        "time": (0.0, 9.5),
        "rerank": ["text"],
        "diversity": 0.5,
        "threshold": 0.0,
    }
    reached = {**settings, "tags": ["2024"]}
    settings["tagged"] = ["2024"]  # LangChain uses `tags` for tracing
    MultimodalRetriever(collection=collection, **settings).invoke(QUESTION)
    assert given == reached
    MultimodalRetriever(collection=collection).invoke(QUESTION, **settings)
    assert given == reached
    MultimodalRetriever(collection=collection, **settings).invoke(QUESTION, page=None, k=None)
    assert given == {**reached, "page": None, "k": None}


def test_the_reranker_may_decide_alone(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    def search(query: Any, **settings: Any) -> list[Any]:
        given.update(settings)
        return []

    monkeypatch.setattr(collection, "search", search)
    MultimodalRetriever(collection=collection, rerank="alone").invoke(QUESTION)
    assert given["rerank"] == "alone"
    with pytest.raises(ValidationError):
        MultimodalRetriever(collection=collection, rerank="first")  # pyright: ignore[reportArgumentType]


def test_the_threshold_is_a_probability(collection: Collection) -> None:
    documents = MultimodalRetriever(collection=collection).invoke(QUESTION)
    scores = [document.metadata["score"] for document in documents]
    assert all(0.0 <= score <= 1.0 for score in scores)
    least = MultimodalRetriever(collection=collection, threshold=scores[1])
    assert least.invoke(QUESTION) == [
        each for each in documents if each.metadata["score"] >= scores[1]
    ]
    assert least.invoke(QUESTION, threshold=1.0) == []
    assert {"evidence_base", "evidence_meaning"} <= set(documents[0].metadata)
    with pytest.raises(InputError, match="threshold must be a probability from 0 to 1"):
        least.invoke(QUESTION, threshold=-3.0)
    with pytest.raises(ValidationError, match="threshold"):
        MultimodalRetriever(collection=collection, threshold=-3.0)


def test_a_setting_that_there_is_not(collection: Collection) -> None:
    """`top_k` was accepted and ignored."""
    settings: dict[str, Any] = {"top_k": 3}
    with pytest.raises(ValidationError, match="top_k"):
        MultimodalRetriever(collection=collection, **settings)


def _noted(modality: Modality, number: int, picture: Path) -> Segment:
    """In a separate file: a slide and its passage tie, and either may be the result."""
    name = f"{modality}-{number}"
    return Segment(
        modality=modality,
        source=f"/made-up/{name}",
        sha256=name,
        text=f"{'engineers ' * number}and batteries",
        media=None if modality == "text" else str(picture),
        mime_type=None if modality == "text" else "image/png",
    )


async def test_quotas_and_sources(
    collection: Collection, folder: Path, encoder: Encoder, tmp_path: Path
) -> None:
    with Collection(tmp_path / "noted", encoder=encoder) as noted:
        kinds: tuple[Modality, ...] = ("image", "text")
        noted.add(_noted(kind, n, folder / "sunset.png") for kind in kinds for n in (1, 2, 3))
        retriever = MultimodalRetriever(collection=noted, modalities={"image": 2, "text": 1})
        found = await retriever.ainvoke("engineers and batteries")
    modalities = sorted(document.metadata["modality"] for document in found)
    assert modalities == ["image", "image", "text"]
    retriever = MultimodalRetriever(collection=collection, modalities={"image": 2, "text": 1})
    found = await retriever.ainvoke("engineers", source=folder / "deck.pdf", page=2)
    assert {document.metadata["page"] for document in found} == {2}


async def test_an_unknown_setting_is_refused(retriever: MultimodalRetriever) -> None:
    with pytest.raises(InputError, match="no setting top_k"):
        retriever.invoke(QUESTION, top_k=3)
    with pytest.raises(InputError, match="no setting explain"):
        await retriever.ainvoke(QUESTION, explain=True)


def test_copies_share_the_collection(retriever: MultimodalRetriever) -> None:
    assert copy.deepcopy(retriever).invoke(QUESTION) == retriever.invoke(QUESTION)
    assert copy.deepcopy(retriever).collection is retriever.collection
    configurable = retriever.configurable_fields(k=ConfigurableField(id="k"))
    assert len(configurable.invoke(QUESTION, {"configurable": {"k": 1}})) == 1
    named = retriever.with_config(run_name="slides")
    assert named.invoke(QUESTION) == retriever.invoke(QUESTION)


def test_folder_of_a_collection_will_do(encoder: Encoder, tmp_path: Path) -> None:
    with Collection(tmp_path / "mine", encoder=encoder) as made:
        made.add([Segment(modality="text", source="/a.txt", sha256="a" * 64, text="The sea.")])
    with MultimodalRetriever(collection=tmp_path / "mine") as retriever:
        configurable = retriever.configurable_fields(k=ConfigurableField(id="k"))
        [found] = configurable.invoke("the sea", {"configurable": {"k": 1}})
        assert found.page_content == "The sea."
        [found] = copy.deepcopy(retriever).invoke("the sea")
        assert found.page_content == "The sea."


def test_folder_without_a_collection_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match="no collection"):
        MultimodalRetriever(collection=tmp_path)


def test_collection_of_another_model_is_refused(encoder: Encoder, tmp_path: Path) -> None:
    other = Encoder(modules=list(encoder.chain), truncate_dim=16)
    with Collection(tmp_path, encoder=other) as made:
        made.add([Segment(modality="text", source="/a.txt", sha256="a" * 64, text="The sea.")])
    with (
        MultimodalRetriever(collection=tmp_path) as retriever,
        pytest.raises(CollectionMismatch, match="cannot be mixed"),
    ):
        retriever.invoke("the sea")


@pytest.mark.parametrize("query", [None, 3, 3.5, [1, 2], {"words": "sea"}])
async def test_wrong_queries_are_refused(retriever: MultimodalRetriever, query: Any) -> None:
    with pytest.raises(InputError, match=r"Cannot use a|A dict input takes"):
        retriever.invoke(query)
    with pytest.raises(InputError, match=r"Cannot use a|A dict input takes"):
        await retriever.ainvoke(query)


def test_wrong_settings_are_refused(retriever: MultimodalRetriever, collection: Collection) -> None:
    with pytest.raises(ValidationError, match="k"):
        MultimodalRetriever(collection=collection, k=0)
    with pytest.raises(ValidationError, match="modalities"):
        MultimodalRetriever(collection=collection, modalities=cast("Any", "image"))
    with pytest.raises(InputError, match="filter"):
        retriever.invoke(QUESTION, where={"$and": []})
    with pytest.raises(InputError, match="at least one hit"):
        retriever.invoke(QUESTION, k=0)


def test_chain_shows_the_page_to_the_chat_model(
    collection: Collection, slide_of: Callable[[bytes], str]
) -> None:
    def prompt(given: dict[str, Any]) -> list[BaseMessage]:
        documents: list[Document] = given["documents"]
        question = {"type": "text", "text": given["question"]}
        return [HumanMessage([*map(dict, documents_to_blocks(documents)), question])]

    chat_model = ScriptedChatModel(responses=[AIMessage("The fourth, with 9.4 million.")])
    retriever = MultimodalRetriever(collection=collection, k=1)
    chain = (
        {"documents": retriever, "question": RunnablePassthrough[str]()}
        | RunnableLambda(prompt)
        | chat_model
        | StrOutputParser()
    )
    assert chain.invoke(QUESTION) == "The fourth, with 9.4 million."
    [[message]] = chat_model.seen
    source, picture, question = message.content_blocks
    assert source["type"] == "text"
    assert source["text"].startswith("[1] deck.pdf, page 1\n")
    assert picture["type"] == "image"
    assert picture.get("mime_type") == "image/jpeg"
    assert slide_of(base64.b64decode(picture.get("base64", ""))) == "blue"
    assert question == {"type": "text", "text": QUESTION}
