"""MultimodalRetriever and MultimodalRerank in a multimodal query engine."""

from __future__ import annotations

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
from llama_index.postprocessor.mm_rag import MultimodalRerank
from llama_index.retrievers.mm_rag import MultimodalQuery, MultimodalRetriever

from mm_rag import Audio, Collection, Reranker
from mm_rag.errors import InputError
from tests.av_made import make_wav, tone

QUESTION = "Which quarter had the best revenue?"


class RecordingLLM(CustomLLM):
    """A fake chat model that records its input and always gives the same answer."""

    received: list[ChatMessage] = Field(default_factory=list[ChatMessage])
    answer: str = "The fourth, with 9.4 million."

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(is_chat_model=True)

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        self.received.extend(messages)
        return ChatResponse(message=ChatMessage(self.answer, role="assistant"))

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        raise AssertionError("a chat model is asked to chat")

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        raise AssertionError("a chat model is asked to chat")


def test_engine_shows_the_page_to_the_chat_model(
    collection: Collection, slide_of: Callable[[bytes], str]
) -> None:
    llm = RecordingLLM()
    engine = RetrieverQueryEngine.from_args(
        MultimodalRetriever(collection, similarity_top_k=1), llm=llm, multimodal=True
    )
    assert str(engine.query(QUESTION)) == llm.answer
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


def test_engine_answers_a_recording(
    collection: Collection, tmp_path: Path, slide_of: Callable[[bytes], str]
) -> None:
    llm = RecordingLLM()
    engine = RetrieverQueryEngine.from_args(
        MultimodalRetriever(collection, similarity_top_k=1),
        llm=llm,
        node_postprocessors=[MultimodalRerank(reranker=collection.reranker, top_n=1)],
        multimodal=True,
    )
    question = Audio(make_wav(tmp_path / "question.wav", tone(0.1)), text="late batteries")
    assert str(engine.query(MultimodalQuery("Why?", content=question))) == llm.answer
    blocks = [block for message in llm.received for block in message.blocks]
    [picture] = [block for block in blocks if isinstance(block, ImageBlock)]
    assert slide_of(picture.resolve_image().read()) == "red"
    words = "\n".join(block.text for block in blocks if isinstance(block, TextBlock))
    assert "Why?" in words


async def test_engine_answers_async(collection: Collection) -> None:
    llm = RecordingLLM()
    engine = RetrieverQueryEngine.from_args(
        MultimodalRetriever(collection, similarity_top_k=2),
        llm=llm,
        node_postprocessors=[MultimodalRerank(reranker=collection.reranker, top_n=1)],
        multimodal=True,
    )
    assert str(await engine.aquery(QUESTION)) == llm.answer


def test_engine_refuses_an_empty_question(collection: Collection) -> None:
    engine = RetrieverQueryEngine.from_args(
        MultimodalRetriever(collection), llm=RecordingLLM(), multimodal=True
    )
    with pytest.raises(InputError, match="The query is empty"):
        engine.query("")
