"""MultimodalRetriever and MultimodalRerank in a multimodal query engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from llama_index.core.base.llms.types import ImageBlock, TextBlock
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.postprocessor.mm_rag import MultimodalRerank
from llama_index.retrievers.mm_rag import MultimodalQuery, MultimodalRetriever

from mm_rag import Audio, Collection, Reranker
from mm_rag.errors import InputError
from tests.av_made import make_wav, tone
from tests.integrations.scripted import ScriptedLLM, llama_says

QUESTION = "Which quarter had the best revenue?"
ANSWER = "The fourth, with 9.4 million."


@pytest.fixture
def llm() -> ScriptedLLM:
    return ScriptedLLM([llama_says(ANSWER)])


def test_engine_shows_the_page_to_the_chat_model(
    collection: Collection, llm: ScriptedLLM, slide_of: Callable[[bytes], str]
) -> None:
    engine = RetrieverQueryEngine.from_args(
        MultimodalRetriever(collection, similarity_top_k=1), llm=llm, multimodal=True
    )
    assert str(engine.query(QUESTION)) == ANSWER
    blocks = [block for message in llm.seen[0] for block in message.blocks]
    [picture] = [block for block in blocks if isinstance(block, ImageBlock)]
    assert slide_of(picture.resolve_image().read()) == "blue"
    words = "\n".join(block.text for block in blocks if isinstance(block, TextBlock))
    assert "fourth quarter was the best" in words
    assert "page: 1" in words


def test_engine_reranks_by_what_the_pages_look_like(
    collection: Collection,
    llm: ScriptedLLM,
    seeing_reranker: Reranker,
    slide_of: Callable[[bytes], str],
) -> None:
    engine = RetrieverQueryEngine.from_args(
        MultimodalRetriever(collection, similarity_top_k=9),
        llm=llm,
        node_postprocessors=[MultimodalRerank(reranker=seeing_reranker, top_n=1)],
        multimodal=True,
    )
    engine.query("batteries")
    blocks = [block for message in llm.seen[0] for block in message.blocks]
    [picture] = [block for block in blocks if isinstance(block, ImageBlock)]
    assert slide_of(picture.resolve_image().read()) == "blue"


def test_engine_answers_a_recording(
    collection: Collection, llm: ScriptedLLM, tmp_path: Path, slide_of: Callable[[bytes], str]
) -> None:
    engine = RetrieverQueryEngine.from_args(
        MultimodalRetriever(collection, similarity_top_k=1),
        llm=llm,
        node_postprocessors=[MultimodalRerank(reranker=collection.reranker, top_n=1)],
        multimodal=True,
    )
    question = Audio(make_wav(tmp_path / "question.wav", tone(0.1)), text="late batteries")
    assert str(engine.query(MultimodalQuery("Why?", content=question))) == ANSWER
    blocks = [block for message in llm.seen[0] for block in message.blocks]
    [picture] = [block for block in blocks if isinstance(block, ImageBlock)]
    assert slide_of(picture.resolve_image().read()) == "red"
    words = "\n".join(block.text for block in blocks if isinstance(block, TextBlock))
    assert "Why?" in words


async def test_engine_answers_async(collection: Collection, llm: ScriptedLLM) -> None:
    engine = RetrieverQueryEngine.from_args(
        MultimodalRetriever(collection, similarity_top_k=2),
        llm=llm,
        node_postprocessors=[MultimodalRerank(reranker=collection.reranker, top_n=1)],
        multimodal=True,
    )
    assert str(await engine.aquery(QUESTION)) == ANSWER


def test_engine_refuses_an_empty_question(collection: Collection, llm: ScriptedLLM) -> None:
    engine = RetrieverQueryEngine.from_args(
        MultimodalRetriever(collection), llm=llm, multimodal=True
    )
    with pytest.raises(InputError, match="The query is empty"):
        engine.query("")
