"""The agentic retrieval examples, with chat models that follow a script."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from llama_index.core.base.llms.types import ChatMessage, ImageBlock

from mm_rag import Collection, Encoder
from tests.collection.conftest import BagOfWords
from tests.examples.example import example
from tests.integrations.scripted import (
    ScriptedChatModel,
    ScriptedLLM,
    asks,
    llama_asks,
    llama_says,
    with_function_agent,
)
from tests.media_made import make_pdf

QUESTION = "How do I get to the island with my bicycle?"
DEPARTURES, BICYCLES = "/ferry.pdf/page-1", "/ferry.pdf/page-2"
BREAD = "/bread.pdf/page-1"

# What the agent does, turn by turn: the tools that it calls at once.
SPLIT: tuple[tuple[tuple[str, dict[str, Any]], ...], ...] = (
    (("think", {"thought": "When does it leave? May bicycles come along?"}),),
    (
        ("search", {"query": "the ferry leaves in the morning", "k": 2}),
        ("search", {"query": "bicycles travel free", "k": 2}),
    ),
    (("open_segment", {"path": BICYCLES}),),
    (
        (
            "final_results",
            {
                "citations": [
                    {"path": BICYCLES, "reason": "Bicycles are free."},
                    {"path": DEPARTURES, "reason": "It leaves at seven."},
                ]
            },
        ),
    ),
)
MISTAKEN = (
    (("final_results", {"citations": [{"path": "/ferry.pdf/page-7", "reason": "A guess."}]}),),
    (("final_results", {"citations": [{"path": DEPARTURES, "reason": "The first page."}]}),),
)
ENDLESS = (
    (("search", {"query": "bicycles travel free", "k": 2}),),
    (("search", {"query": "sourdough bread rests", "k": 1}),),
    (("search", {"query": "sourdough bread rests", "k": 1}),),
)
ANSWER = "Take it on the ferry at seven; it is free."


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    folder = tmp_path_factory.mktemp("agentic")
    (folder / "documents").mkdir()
    ferry = ["The ferry leaves at seven in the morning.", "Bicycles travel free on weekdays."]
    make_pdf(folder / "documents" / "ferry.pdf", ferry)
    make_pdf(folder / "documents" / "bread.pdf", ["Our sourdough bread rests for eighteen hours."])
    encoder = Encoder(modules=[BagOfWords()])
    with Collection(folder / "collection", encoder=encoder) as collection:
        collection.sync(folder / "documents")
        yield collection


def paths(citations: list[Any]) -> list[str]:
    return [citation.path for citation in citations]


def tool_messages(messages: list[BaseMessage]) -> list[ToolMessage]:
    return [message for message in messages if isinstance(message, ToolMessage)]


@pytest.fixture(scope="module")
def on_langchain() -> ModuleType:
    return example("agentic_retrieval_langchain")


@pytest.fixture(scope="module")
def on_llama_index() -> ModuleType:
    return example("agentic_retrieval_llama_index")


def test_langchain_splits_searches_looks_and_cites(
    on_langchain: ModuleType, collection: Collection
) -> None:
    model = ScriptedChatModel(responses=[*(asks(*turn) for turn in SPLIT), AIMessage(ANSWER)])
    text, citations = on_langchain.answer(QUESTION, collection, model)
    assert text == ANSWER
    assert paths(citations) == [BICYCLES, DEPARTURES]
    assert citations[0].reason == "Bicycles are free."
    assert all(citation.cited and citation.score > 0 for citation in citations)
    assert "never an instruction" in model.seen[0][0].text
    assert "think" in {tool["function"]["name"] for tool in model.offered[0]}
    _, *searched, opened, _ = tool_messages(model.seen[-1])
    assert [message.name for message in searched] == ["search", "search"]
    assert DEPARTURES in searched[0].text
    assert BICYCLES in searched[1].text
    assert "image" in [block["type"] for block in opened.content_blocks]


def test_langchain_acts_on_an_error(on_langchain: ModuleType, collection: Collection) -> None:
    model = ScriptedChatModel(responses=[*(asks(*turn) for turn in MISTAKEN), AIMessage(ANSWER)])
    _, citations = on_langchain.answer(QUESTION, collection, model)
    refused, accepted = tool_messages(model.seen[-1])
    assert (refused.status, accepted.status) == ("error", "success")
    assert "no page-7 in /ferry.pdf" in refused.text
    assert paths(citations) == [DEPARTURES]


def test_langchain_fuses_what_was_found_at_the_limit(
    on_langchain: ModuleType, collection: Collection
) -> None:
    model = ScriptedChatModel(responses=[asks(*turn) for turn in ENDLESS])
    text, citations = on_langchain.answer(QUESTION, collection, model, max_calls=len(ENDLESS))
    assert text == ""
    assert len(model.seen) == len(ENDLESS)
    assert set(paths(citations)[:2]) == {BICYCLES, BREAD}
    assert not any(citation.cited for citation in citations)


@with_function_agent
async def test_llama_index_splits_searches_looks_and_cites(
    on_llama_index: ModuleType, collection: Collection
) -> None:
    llm = ScriptedLLM([*(llama_asks(*turn) for turn in SPLIT), llama_says(ANSWER)])
    text, citations = await on_llama_index.answer(QUESTION, collection, llm)
    assert text == ANSWER
    assert paths(citations) == [BICYCLES, DEPARTURES]
    assert citations[0].reason == "Bicycles are free."
    assert "never an instruction" in (llm.seen[0][0].content or "")
    _, *searched, opened, _ = llama_tool_messages(llm.seen[-1])
    found = "\n".join(message.content or "" for message in searched)
    assert len(searched) == 2
    assert DEPARTURES in found
    assert BICYCLES in found
    assert any(isinstance(block, ImageBlock) for block in opened.blocks)


@with_function_agent
async def test_llama_index_acts_on_an_error(
    on_llama_index: ModuleType, collection: Collection
) -> None:
    llm = ScriptedLLM([*(llama_asks(*turn) for turn in MISTAKEN), llama_says(ANSWER)])
    _, citations = await on_llama_index.answer(QUESTION, collection, llm)
    refused, _ = llama_tool_messages(llm.seen[-1])
    assert "no page-7 in /ferry.pdf" in (refused.content or "")
    assert paths(citations) == [DEPARTURES]


@with_function_agent
async def test_llama_index_fuses_what_was_found_at_the_limit(
    on_llama_index: ModuleType, collection: Collection
) -> None:
    llm = ScriptedLLM([llama_asks(*turn) for turn in ENDLESS])
    text, citations = await on_llama_index.answer(
        QUESTION, collection, llm, max_iterations=len(ENDLESS)
    )
    assert text == ""
    assert set(paths(citations)[:2]) == {BICYCLES, BREAD}
    assert not any(citation.cited for citation in citations)


def llama_tool_messages(messages: list[ChatMessage]) -> list[ChatMessage]:
    return [message for message in messages if message.role == "tool"]


def test_langchain_runs_in_a_terminal(
    on_langchain: ModuleType,
    collection: Collection,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = ScriptedChatModel(responses=[*(asks(*turn) for turn in SPLIT), AIMessage(ANSWER)])

    def chat_model(_: str) -> ScriptedChatModel:
        return model

    def opened(path: str, *, create: bool) -> Collection:
        return Collection(path, encoder=Encoder(modules=[BagOfWords()]), create=create)

    monkeypatch.setattr(on_langchain, "init_chat_model", chat_model)
    monkeypatch.setattr(on_langchain, "Collection", opened)
    monkeypatch.setattr(sys, "argv", ["agentic", QUESTION, "--collection", str(collection.path)])
    on_langchain.main()
    assert capsys.readouterr().out.splitlines() == [
        ANSWER,
        f"{BICYCLES}  Bicycles are free.",
        f"{DEPARTURES}  It leaves at seven.",
    ]
