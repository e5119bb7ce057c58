"""MultimodalRetriever and MultimodalRerank, alone and in a query engine that shows the page."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    CompletionResponseGen,
    ImageBlock,
    LLMMetadata,
    TextBlock,
)
from llama_index.core.bridge.pydantic import Field
from llama_index.core.llms import CustomLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.postprocessor.mm_rag import MultimodalRerank
from llama_index.retrievers.mm_rag import MultimodalRetriever
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.event_handlers import BaseEventHandler

from mm_rag import Collection, Reranker
from mm_rag.errors import InputError

QUESTION = "Which quarter had the best revenue?"


class RecordingLLM(CustomLLM):
    """A chat model that remembers what it was given, and always says the same."""

    received: list[ChatMessage] = Field(default_factory=list[ChatMessage])

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(is_chat_model=True)

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        self.received.extend(messages)
        return ChatResponse(message=ChatMessage("The fourth, with 9.4 million.", role="assistant"))

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        raise AssertionError("a chat model is asked to chat")

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        raise AssertionError("a chat model is asked to chat")


@pytest.fixture
def retriever(collection: Collection) -> MultimodalRetriever:
    return MultimodalRetriever(collection, similarity_top_k=2)


def test_hits_become_nodes(retriever: MultimodalRetriever, collection: Collection) -> None:
    best, second = retriever.retrieve(QUESTION)
    hits = collection.search(QUESTION, 2)
    assert [best.node_id, second.node_id] == [hit.segment.id for hit in hits]
    assert [best.score, second.score] == [hit.score for hit in hits]
    assert best.metadata["page"] == 1
    assert best.metadata["rank"] == 1
    assert "fourth quarter was the best" in best.get_content()


@pytest.mark.slow  # reads pictures by OCR
def test_a_picture_can_ask_and_the_bundle_stays_as_it_is(
    retriever: MultimodalRetriever,
) -> None:
    [slide, _] = [n.metadata["media"] for n in retriever.retrieve("batteries supplier")]
    bundle = QueryBundle("", image_path=slide)
    assert retriever.retrieve(bundle)[0].metadata["page"] == 3
    assert bundle == QueryBundle("", image_path=slide)


def test_settings(collection: Collection, tmp_path: Path) -> None:
    filtered = MultimodalRetriever(collection, where={"page": 4}, modalities=["image"])
    assert [node.metadata["page"] for node in filtered.retrieve(QUESTION)] == [4]
    with Collection(tmp_path / "mine"):
        pass
    assert MultimodalRetriever(tmp_path / "mine").retrieve(QUESTION) == []


async def test_async_search_leaves_the_event_loop_alone(
    retriever: MultimodalRetriever, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    search = collection.search

    def watched(*args: Any, **settings: Any) -> Any:
        threads.append(threading.get_ident())
        return search(*args, **settings)

    monkeypatch.setattr(collection, "search", watched)
    first, second = await asyncio.gather(*(retriever.aretrieve(QUESTION) for _ in range(2)))
    assert [node.node_id for node in first] == [node.node_id for node in second]
    assert threading.get_ident() not in threads


def test_engine_shows_the_page_to_the_chat_model(
    collection: Collection, slide_of: Callable[[bytes], str]
) -> None:
    llm = RecordingLLM()
    engine = RetrieverQueryEngine.from_args(
        MultimodalRetriever(collection, similarity_top_k=1), llm=llm, multimodal=True
    )
    assert str(engine.query(QUESTION)) == "The fourth, with 9.4 million."
    blocks = [block for message in llm.received for block in message.blocks]
    [picture] = [block for block in blocks if isinstance(block, ImageBlock)]
    assert slide_of(picture.resolve_image().read()) == "blue"
    words = "\n".join(block.text for block in blocks if isinstance(block, TextBlock))
    assert "fourth quarter was the best" in words
    assert "page: 1" in words


def test_engine_reranks_by_what_the_pages_look_like(
    collection: Collection, seeing_reranker: Reranker, slide_of: Callable[[bytes], str]
) -> None:
    llm = RecordingLLM()
    engine = RetrieverQueryEngine.from_args(
        MultimodalRetriever(collection, similarity_top_k=9),
        llm=llm,
        node_postprocessors=[MultimodalRerank(reranker=seeing_reranker, top_n=1)],
        multimodal=True,
    )
    engine.query("batteries")
    blocks = [block for message in llm.received for block in message.blocks]
    [picture] = [block for block in blocks if isinstance(block, ImageBlock)]
    assert slide_of(picture.resolve_image().read()) == "blue"


@pytest.fixture
def nodes() -> list[NodeWithScore]:
    texts = ["Bananas grow.", "The battery supplier may deliver late.", "The sea is deep."]
    return [NodeWithScore(node=TextNode(text=text), score=0.5) for text in texts]


def test_rerank_gives_new_nodes_with_scores(nodes: list[NodeWithScore], reranker: Reranker) -> None:
    rerank = MultimodalRerank(reranker=reranker, top_n=2)
    found = rerank.postprocess_nodes(nodes, query_str="late delivery of batteries")
    assert found[0].node is nodes[1].node
    assert len(found) == 2
    assert found[0].get_score() > found[1].get_score()
    assert [node.score for node in nodes] == [0.5, 0.5, 0.5]
    assert rerank.postprocess_nodes([], query_str="x") == []


async def test_rerank_async(nodes: list[NodeWithScore], reranker: Reranker) -> None:
    rerank = MultimodalRerank(reranker=reranker, top_n=1)
    found = await rerank.apostprocess_nodes(nodes, query_str="late delivery of batteries")
    assert found == rerank.postprocess_nodes(nodes, query_str="late delivery of batteries")


def test_rerank_without_query_is_refused(nodes: list[NodeWithScore], reranker: Reranker) -> None:
    with pytest.raises(InputError, match="query_bundle or query_str"):
        MultimodalRerank(reranker=reranker).postprocess_nodes(nodes)


class _Recorder(BaseEventHandler):
    names: list[str] = Field(default_factory=list[str])

    def handle(self, event: Any, **kwargs: Any) -> None:
        self.names.append(event.class_name())


def test_rerank_emits_events(nodes: list[NodeWithScore], reranker: Reranker) -> None:
    recorder, root = _Recorder(), get_dispatcher()
    root.add_event_handler(recorder)
    try:
        MultimodalRerank(reranker=reranker).postprocess_nodes(nodes, query_str="sea")
    finally:
        root.event_handlers.remove(recorder)
    assert recorder.names == ["ReRankStartEvent", "ReRankEndEvent"]


def test_rerank_round_trips() -> None:
    rerank = MultimodalRerank(top_n=2)
    pickled = pickle.dumps(rerank)
    assert len(pickled) < 5_000
    for again in (MultimodalRerank.from_dict(rerank.to_dict()), pickle.loads(pickled)):
        assert isinstance(again, MultimodalRerank)
        assert again.to_dict() == rerank.to_dict()


def test_rerank_with_its_own_model_does_not_come_back_as_another(reranker: Reranker) -> None:
    rerank = MultimodalRerank(reranker=reranker)
    for save in (rerank.to_dict, rerank.to_json, lambda: pickle.dumps(rerank)):
        with pytest.raises(InputError, match=r"Reranker\.save"):
            save()
