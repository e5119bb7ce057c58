"""Tool: schema and validation of a method's arguments."""

from __future__ import annotations

import inspect
from typing import Annotated

import pytest
from pydantic import Field

from mm_rag.agent_tools import Tool, Toolbox, ToolResult, tools_of
from mm_rag.errors import InputError
from mm_rag.prompt_content import Words


def add(
    first: Annotated[int, Field(description="One number.", ge=0)],
    others: Annotated[list[int], Field(description="More numbers.")],
    name: str = "sum",
) -> ToolResult:
    """Add numbers.

    All of them.
    """
    return ToolResult(blocks=(Words(text=f"{name} {first + sum(others)}"),))


def test_name_and_description_are_those_of_the_method() -> None:
    tool = Tool(add)
    assert (tool.name, tool.description) == ("add", "Add numbers.\n\nAll of them.")


def test_arguments_as_a_schema() -> None:
    schema = Tool(add).arguments.model_json_schema()
    assert schema["required"] == ["first", "others"]
    assert schema["additionalProperties"] is False
    first = schema["properties"]["first"]
    assert (first["description"], first["minimum"]) == ("One number.", 0)
    assert schema["properties"]["name"]["default"] == "sum"


def test_arguments_reach_the_method() -> None:
    assert Tool(add)(first=1, others=[2, 3]).text == "sum 6"
    assert Tool(add)(first="1", others=[], name="one").text == "one 1"  # chat models quote numbers


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"others": []}, "add was not run. first: Field required. Its arguments are: first"),
        ({"first": -1, "others": []}, "first: Input should be greater than or equal to 0"),
        ({"first": 1, "others": [1, "x"]}, "others.1: Input should be a valid integer"),
        ({"first": 1, "others": [], "nam": "x"}, "nam: Extra inputs are not permitted"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, object], told: str) -> None:
    with pytest.raises(InputError) as error:
        Tool(add)(**arguments)
    assert told in str(error.value)


def test_every_public_method_of_a_toolbox_is_a_tool(toolbox: Toolbox) -> None:
    tools = tools_of(toolbox)
    public = [name for name, _ in inspect.getmembers(Toolbox, inspect.isfunction) if name[0] != "_"]
    assert sorted(tool.name for tool in tools) == sorted(public)
    # OpenAI takes 1,024 characters.
    assert all(0 < len(tool.description) <= 1_024 for tool in tools)
