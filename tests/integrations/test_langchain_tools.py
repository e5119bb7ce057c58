"""The agent tools for LangChain: alone, in LangGraph's ToolNode, and in an agent."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from langchain.agents import create_agent
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from PIL import Image as PILImage

from langchain_mm_rag import MultimodalSearchTool, MultimodalTool, multimodal_tools
from mm_rag import Collection
from mm_rag.agent_tools import ToolResult
from mm_rag.errors import CollectionError
from mm_rag.prompt_content import Budget, Words

from .scripted import ScriptedChatModel, asks
from .tool_calls import (
    EXAMPLES,
    MISTAKES,
    QUESTION,
    assert_bounds_of_search,
    assert_described,
)


class OfTheClass:
    @pytest.fixture(autouse=True)
    def _share(self, collection: Collection) -> None:
        self.collection = collection

    @property
    def tool_constructor(self) -> type[BaseTool]:
        return MultimodalSearchTool

    @property
    def tool_constructor_params(self) -> dict[str, Any]:
        return {"collection": self.collection}

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return EXAMPLES["search"]


class OfAllSix:
    @pytest.fixture(autouse=True, params=list(EXAMPLES))
    def _share(self, request: pytest.FixtureRequest, tools: dict[str, BaseTool]) -> None:
        self.one = tools[request.param]

    @property
    def tool_constructor(self) -> BaseTool:
        return self.one

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return EXAMPLES[self.one.name]


class TestClassUnit(OfTheClass, ToolsUnitTests):
    pass


class TestClassIntegration(OfTheClass, ToolsIntegrationTests):
    pass


class TestAllSixUnit(OfAllSix, ToolsUnitTests):
    pass


class TestAllSixIntegration(OfAllSix, ToolsIntegrationTests):
    pass


@pytest.fixture
def tools(collection: Collection) -> dict[str, BaseTool]:
    return {tool.name: tool for tool in multimodal_tools(collection)}


def call(tool: BaseTool, **arguments: Any) -> ToolMessage:
    return tool.invoke({"type": "tool_call", "id": "1", "name": tool.name, "args": arguments})


def blocks(message: BaseMessage, kind: str) -> list[dict[str, Any]]:
    assert isinstance(message.content, list)
    found = [cast("dict[str, Any]", block) for block in message.content]
    assert {block["type"] for block in found} <= {"text", "image"}
    return [block for block in found if block["type"] == kind]


def pictures(message: BaseMessage) -> list[bytes]:
    assert {block["mime_type"] for block in blocks(message, "image")} <= {"image/jpeg", "image/png"}
    return [base64.b64decode(block["base64"]) for block in blocks(message, "image")]


def words(message: BaseMessage) -> str:
    return "\n".join(block["text"] for block in blocks(message, "text"))


def test_there_are_six_tools(tools: dict[str, BaseTool]) -> None:
    assert list(tools) == list(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_model_is_told_what_the_library_says(tools: dict[str, BaseTool], name: str) -> None:
    assert_described(convert_to_openai_tool(tools[name])["function"], name)


def test_model_is_told_the_bounds_of_arguments(tools: dict[str, BaseTool]) -> None:
    assert_bounds_of_search(convert_to_openai_tool(tools["search"])["function"]["parameters"])


def test_search_shows_the_page(
    collection: Collection, folder: Path, slide_of: Callable[[bytes], str]
) -> None:
    message = call(MultimodalSearchTool(collection), query=QUESTION, k=1)
    assert message.status == "success"
    assert "/deck.pdf/page-1" in words(message)
    assert [slide_of(picture) for picture in pictures(message)] == ["blue"]
    [document] = cast("list[Document]", message.artifact)
    assert document.metadata["source"] == str(folder / "deck.pdf")
    assert document.metadata["page"] == 1


def test_artifact_of_a_search_has_probabilities(
    collection: Collection, tools: dict[str, BaseTool]
) -> None:
    artifact = cast("list[Document]", call(tools["search"], query=QUESTION, k=2).artifact)
    hits = collection.search(QUESTION, 2)
    assert [document.metadata["score"] for document in artifact] == [hit.score for hit in hits]
    [opened] = cast("list[Document]", call(tools["open_segment"], path="/deck.pdf/page-1").artifact)
    assert "score" not in opened.metadata


def test_a_search_for_words_in_quotes_that_nothing_has(
    tools: dict[str, BaseTool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Collection, "search", lambda *_, **__: [])  # pyright: ignore
    message = call(tools["search"], query='"no such words"')
    assert message.status == "success"
    assert 'Nothing has the words in quotes ("no such words").' in words(message)
    assert message.artifact == []


def test_artifact_is_a_list_where_there_is_nothing_to_refer_to(tools: dict[str, BaseTool]) -> None:
    assert call(tools["ls"]).artifact == []


def test_without_a_tool_call_the_blocks_are_the_answer(tools: dict[str, BaseTool]) -> None:
    [block] = tools["cat"].invoke("/deck.pdf/page-2")
    assert "Twelve engineers work in Lisbon" in block["text"]


@pytest.mark.parametrize(("name", "arguments", "told"), MISTAKES)
async def test_mistake_is_an_error_that_helps(
    tools: dict[str, BaseTool], name: str, arguments: dict[str, Any], told: str
) -> None:
    message = call(tools[name], **arguments)
    request = {"type": "tool_call", "id": "1", "name": name, "args": arguments}
    for each in (message, await tools[name].ainvoke(request)):
        assert each.status == "error"
        assert told in each.content
        assert "pydantic.dev" not in each.content


async def test_async_answers_the_same_beside_the_event_loop() -> None:
    threads: list[int] = []

    def where() -> ToolResult:
        """Tell nothing."""
        threads.append(threading.get_ident())
        return ToolResult(blocks=(Words(text="nothing"),))

    tool = MultimodalTool(where)
    assert await tool.ainvoke({}) == tool.invoke({}) == [{"type": "text", "text": "nothing"}]
    asynchronous, synchronous = threads
    assert asynchronous != synchronous == threading.get_ident()


def test_what_is_no_mistake_of_the_agent_is_raised() -> None:
    def broken() -> ToolResult:
        """Break."""
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        call(MultimodalTool(broken))


def test_collection_by_its_folder(collection: Collection) -> None:
    tool = MultimodalSearchTool(collection=str(collection.path), name="search_slides")
    assert tool.name == "search_slides"
    assert pictures(call(tool, query=QUESTION))


def test_folder_without_a_collection(tmp_path: Path) -> None:
    with pytest.raises(CollectionError):
        multimodal_tools(tmp_path)


def test_five_pictures_stay_within_the_budget(collection: Collection) -> None:
    budget = Budget(tokens=3_000)
    message = call(MultimodalSearchTool(collection, 3_000), query="slide", k=5)
    shown = [PILImage.open(io.BytesIO(picture)) for picture in pictures(message)]
    assert len(shown) == 5
    tokens = sum(budget.tokens_of_text(block["text"]) for block in blocks(message, "text"))
    tokens += sum(budget.tokens_of_picture(*picture.size) for picture in shown)
    assert tokens <= budget.tokens


def test_tool_node_keeps_the_picture(
    tools: dict[str, BaseTool], slide_of: Callable[[bytes], str]
) -> None:
    graph = StateGraph(MessagesState)
    graph.add_node("tools", ToolNode(list(tools.values())))
    graph.add_edge(START, "tools")
    graph.add_edge("tools", END)
    calls = asks(("open_segment", {"path": "/deck.pdf/page-3"}), ("search", {"query": "x", "k": 0}))
    answered = graph.compile().invoke({"messages": [calls]})["messages"]
    _, opened, refused = cast("list[ToolMessage]", answered)
    assert [slide_of(picture) for picture in pictures(opened)] == ["red"]
    assert (opened.status, refused.status) == ("success", "error")


async def test_agent_sees_what_it_found(
    tools: dict[str, BaseTool], slide_of: Callable[[bytes], str]
) -> None:
    model = ScriptedChatModel(
        responses=[
            asks(("open_segment", {"path": "/deck.pdf/page-7"})),
            asks(("search", {"query": "supplier of batteries", "k": 2}), ("ls", {})),
            AIMessage("Batteries may be late (/deck.pdf/page-3)."),
        ]
    )
    agent = create_agent(model, list(tools.values()))
    done = await agent.ainvoke({"messages": [HumanMessage("What may go wrong?")]})
    assert done["messages"][-1].content.startswith("Batteries may be late")
    assert [tool["function"]["name"] for tool in model.offered[0]] == list(EXAMPLES)
    *_, refused = model.seen[1]
    assert cast("ToolMessage", refused).status == "error"
    assert "page-1 to page-4" in refused.content
    *_, found, listed = model.seen[2]
    assert "red" in [slide_of(picture) for picture in pictures(found)]
    assert "supplier of batteries" in words(found)
    assert "/deck.pdf" in words(listed)
    assert len(words(found)) < 2_000
    assert all(block["base64"] not in words(found) for block in blocks(found, "image"))
