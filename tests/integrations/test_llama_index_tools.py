"""The agent tools for LlamaIndex: alone, and in a FunctionAgent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from llama_index.core.agent.workflow import FunctionAgent, ToolCallResult
from llama_index.core.base.llms.types import ContentBlock, ImageBlock, TextBlock
from llama_index.core.schema import MetadataMode, Node
from llama_index.core.tools import FunctionTool, ToolMetadata
from llama_index.core.tools.calling import acall_tool, call_tool
from llama_index.core.workflow import Context
from llama_index.tools.mm_rag import MultimodalTool, MultimodalToolSpec

from mm_rag import Collection
from mm_rag.agent_tools import ToolResult
from mm_rag.errors import CollectionError, InputError
from mm_rag.prompt_content import Words

from .scripted import ScriptedLLM, llama_asks, llama_says, with_function_agent
from .tool_calls import (
    EXAMPLES,
    MISTAKES,
    QUESTION,
    assert_bounds_of_search,
    assert_described,
)


@pytest.fixture
def tools(collection: Collection) -> dict[str, FunctionTool]:
    found = MultimodalToolSpec(collection).to_tool_list()
    return {tool.metadata.get_name(): tool for tool in found}


def pictures(blocks: Sequence[ContentBlock]) -> list[bytes]:
    return [block.resolve_image().read() for block in blocks if isinstance(block, ImageBlock)]


def words(blocks: Sequence[ContentBlock]) -> str:
    assert all(isinstance(block, TextBlock | ImageBlock) for block in blocks)
    return "\n".join(block.text for block in blocks if isinstance(block, TextBlock))


@pytest.mark.parametrize("name", EXAMPLES)
def test_model_is_told_what_the_library_says(tools: dict[str, FunctionTool], name: str) -> None:
    assert_described(tools[name].metadata.to_openai_tool()["function"], name)


def test_model_is_told_the_bounds_of_arguments(tools: dict[str, FunctionTool]) -> None:
    assert_bounds_of_search(tools["search"].metadata.get_parameters_dict())


def test_search_shows_the_page(
    tools: dict[str, FunctionTool], folder: Path, slide_of: Callable[[bytes], str]
) -> None:
    output = tools["search"].call(query=QUESTION, k=1)
    assert "/deck.pdf/page-1" in words(output.blocks)
    assert [slide_of(picture) for picture in pictures(output.blocks)] == ["blue"]
    assert output.raw_input == {"query": QUESTION, "k": 1}
    [node] = cast("list[Node]", output.raw_output)
    assert node.metadata["source"] == str(folder / "deck.pdf")
    assert node.metadata["page"] == 1


def test_nodes_of_a_search_have_probabilities_that_no_model_reads(
    collection: Collection, tools: dict[str, FunctionTool]
) -> None:
    nodes = cast("list[Node]", tools["search"].call(query=QUESTION, k=2).raw_output)
    hits = collection.search(QUESTION, 2)
    assert [node.metadata["score"] for node in nodes] == [hit.score for hit in hits]
    for mode in (MetadataMode.LLM, MetadataMode.EMBED):
        assert "score: " not in nodes[0].get_content(mode)
    [opened] = cast("list[Node]", tools["open_segment"].call(path="/deck.pdf/page-1").raw_output)
    assert "score" not in opened.metadata


def test_positional_arguments(tools: dict[str, FunctionTool]) -> None:
    output = tools["cat"].call("/deck.pdf/page-2", 1)
    assert "Twelve engineers work in Lisbon" in output.content
    assert output.raw_input == {"path": "/deck.pdf/page-2", "start": 1}


@pytest.mark.parametrize(("name", "arguments", "told"), MISTAKES)
async def test_mistake_is_an_error_that_helps(
    tools: dict[str, FunctionTool], name: str, arguments: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError) as error:
        tools[name].call(**arguments)
    assert told in str(error.value)
    for output in (call_tool(tools[name], arguments), await acall_tool(tools[name], arguments)):
        assert output.is_error
        assert told in output.content
        assert "pydantic.dev" not in output.content


async def test_async_answers_the_same_beside_the_event_loop() -> None:
    threads: list[int] = []

    def where() -> ToolResult:
        """Tell nothing."""
        threads.append(threading.get_ident())
        return ToolResult(blocks=(Words(text="nothing"),))

    tool = MultimodalTool(where)
    assert (await tool.acall()).content == tool.call().content == "nothing"
    asynchronous, synchronous = threads
    assert asynchronous != synchronous == threading.get_ident()


def test_some_of_the_tools(collection: Collection) -> None:
    spec = MultimodalToolSpec(collection)
    renamed = ToolMetadata(name="read", description="Read.")
    tools = spec.to_tool_list(["cat", "search"], {"cat": renamed})
    assert [tool.metadata.name for tool in tools] == ["search", "read"]
    with pytest.raises(InputError, match="no tool dog; there are search, open_segment"):
        spec.to_tool_list(["dog"])


def test_collection_by_its_folder(collection: Collection, tmp_path: Path) -> None:
    assert len(MultimodalToolSpec(str(collection.path)).to_tool_list()) == len(EXAMPLES)
    with pytest.raises(CollectionError):
        MultimodalToolSpec(tmp_path)


@with_function_agent
async def test_agent_sees_what_it_found(
    tools: dict[str, FunctionTool], slide_of: Callable[[bytes], str]
) -> None:
    llm = ScriptedLLM(
        [
            llama_asks(("open_segment", {"path": "/deck.pdf/page-7"})),
            llama_asks(("search", {"query": "supplier of batteries", "k": 2})),
            llama_says("Batteries may be late (/deck.pdf/page-3)."),
        ]
    )
    agent = FunctionAgent(tools=list(tools.values()), llm=llm)
    handler = agent.run(Context(agent), user_msg="What may go wrong?")
    results = [
        event async for event in handler.stream_events() if isinstance(event, ToolCallResult)
    ]
    assert str(await handler).startswith("Batteries may be late")
    assert [tool.metadata.name for tool in llm.offered[0]] == list(EXAMPLES)
    *_, refused = llm.seen[1]
    assert "page-1 to page-4" in words(refused.blocks)
    *_, found = llm.seen[2]
    assert "red" in [slide_of(picture) for picture in pictures(found.blocks)]
    assert "supplier of batteries" in words(found.blocks)
    assert len(words(found.blocks)) < 2_000
    assert [result.tool_output.is_error for result in results] == [True, False]
    assert isinstance(results[1].tool_output.raw_output[0], Node)
    assert "deck.pdf" in results[1].tool_output.model_dump_json()  # as in traces
