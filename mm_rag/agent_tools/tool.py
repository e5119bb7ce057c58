"""Tool: a method of a Toolbox with what a framework needs to know of it, written down once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from mm_rag.agent_tools.result import ToolResult
from mm_rag.agent_tools.toolbox import Toolbox
from mm_rag.errors import InputError


class Tool:
    """A method of a Toolbox or Trajectory as a tool, whose arguments come from a chat model.

    Args:
        method: Bound: `toolbox.search`.

    Attributes:
        method: The same.
        name: Of the method.
        description: What the agent is told: the method's docstring.
        arguments: What it takes, with the description and the bounds of each; nothing else.
    """

    def __init__(self, method: Callable[..., ToolResult]) -> None:
        self.method = method
        self.name = method.__name__
        self.description = inspect.getdoc(method) or ""
        self.arguments = _arguments_of(method)

    def __call__(self, **arguments: Any) -> ToolResult:
        """Check the arguments and run the method.

        Raises:
            InputError: An argument is missing, unknown or out of its bounds, or what it asks for
                is not in the collection.
        """
        try:
            checked = self.arguments.model_validate(arguments)
        except ValidationError as error:
            raise InputError(self.refusal(error)) from error
        return self.method(**dict(checked))

    def refusal(self, error: ValidationError) -> str:
        """What is wrong with the arguments, in words that help an agent to call again."""
        wrong = "; ".join(
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()
        )
        names = ", ".join(self.arguments.model_fields)
        return f"{self.name} was not run. {wrong}. Its arguments are: {names}."


def tools_of(toolbox: Toolbox) -> list[Tool]:
    """All tools of a toolbox."""
    methods = (toolbox.search, toolbox.open_segment, toolbox.ls, toolbox.cat)
    return [Tool(method) for method in (*methods, toolbox.grep, toolbox.find)]


def _arguments_of(method: Callable[..., ToolResult]) -> type[BaseModel]:
    types = get_type_hints(method, include_extras=True)
    fields: dict[str, Any] = {
        name: (types[name], ... if parameter.default is parameter.empty else parameter.default)
        for name, parameter in inspect.signature(method).parameters.items()
    }
    return create_model(method.__name__, __config__=ConfigDict(extra="forbid"), **fields)
