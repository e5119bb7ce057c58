"""Fake chat models that give scripted answers and record what they receive.

A line of the script is a message, or a function that makes one of the messages so far.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeAlias
from uuid import uuid4

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, ToolCall
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from llama_index.core.base.llms.types import ChatMessage, TextBlock, ToolCallBlock
from llama_index.core.llms.mock import MockFunctionCallingLLM
from pydantic import Field, SkipValidation

Line: TypeAlias = AIMessage | Callable[[list[BaseMessage]], AIMessage]
LlamaLine: TypeAlias = ChatMessage | Callable[[list[ChatMessage]], ChatMessage]

with_function_agent = pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecationWarning")
"""For tests that make a FunctionAgent: LlamaIndex looks at deprecated attributes of pydantic."""


class ScriptedChatModel(BaseChatModel):
    """A chat model of LangChain with a script.

    Attributes:
        responses: What it says, one after the other.
        seen: The messages it was given, call by call.
        offered: The tools it was given, call by call, in the form that OpenAI takes.
    """

    responses: Annotated[Sequence[Line], SkipValidation]
    seen: list[list[BaseMessage]] = Field(default_factory=list[list[BaseMessage]])
    offered: list[list[dict[str, Any]]] = Field(default_factory=list[list[dict[str, Any]]])

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Record the tools, as models that call tools do."""
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools])

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        assert len(self.seen) < len(self.responses), f"the script ends before {messages[-1]!r}"
        line = self.responses[len(self.seen)]
        self.seen.append(list(messages))
        self.offered.append(kwargs.get("tools", []))
        message = line if isinstance(line, AIMessage) else line(messages)
        return ChatResult(generations=[ChatGeneration(message=message)])


def asks(*calls: tuple[str, dict[str, Any]], text: str = "") -> AIMessage:
    """LangChain message with tool calls, each a name and arguments."""
    named = [ToolCall(name=name, args=args, id=uuid4().hex) for name, args in calls]
    return AIMessage(text, tool_calls=named)


class ScriptedLLM(MockFunctionCallingLLM):
    """A function-calling chat model of LlamaIndex with a script.

    Attributes:
        responses: What it says, one after the other.
        seen: The messages it was given, call by call.
        offered: The tools it was given, call by call.
    """

    responses: Annotated[Sequence[LlamaLine], SkipValidation]
    seen: list[list[ChatMessage]] = Field(default_factory=list[list[ChatMessage]])
    offered: list[list[Any]] = Field(default_factory=list[list[Any]])

    def __init__(self, responses: Sequence[LlamaLine]) -> None:
        super().__init__(responses=responses, response_generator=self._say, is_chat_model=True)

    @classmethod
    def class_name(cls) -> str:
        """Metadata that LlamaIndex requires."""
        return "ScriptedLLM"

    def _say(
        self, messages: Sequence[ChatMessage], tools: Sequence[Any] = (), **_: Any
    ) -> ChatMessage:
        assert len(self.seen) < len(self.responses), f"the script ends before {messages[-1]!r}"
        line = self.responses[len(self.seen)]
        self.seen.append(list(messages))
        self.offered.append(list(tools))
        return line if isinstance(line, ChatMessage) else line(list(messages))


def llama_asks(*calls: tuple[str, dict[str, Any]], text: str = "") -> ChatMessage:
    """LlamaIndex message with tool calls, each a name and arguments."""
    blocks = [
        ToolCallBlock(tool_call_id=uuid4().hex, tool_name=name, tool_kwargs=args)
        for name, args in calls
    ]
    return ChatMessage(role="assistant", blocks=[TextBlock(text=text), *blocks])


def llama_says(text: str) -> ChatMessage:
    """LlamaIndex message with the final answer."""
    return ChatMessage(role="assistant", content=text)
