"""What an agent may do with a collection, as LangChain tools."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from langchain_core.documents import Document
from langchain_core.messages.content import ContentBlock
from langchain_core.tools import BaseTool, ToolException
from pydantic import PrivateAttr

from langchain_mm_rag.blocks import content_block
from langchain_mm_rag.documents import segment_to_document
from mm_rag._off_loop import off_loop
from mm_rag.agent_tools import Tool, Toolbox, ToolResult, tools_of
from mm_rag.collection import Collection
from mm_rag.errors import MMRagError
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.prompt_content import Budget


class MultimodalTool(BaseTool):
    """A tool of a `Toolbox` or `Trajectory` as a LangChain tool.

    The message to the chat model holds text and image blocks, its artifact the Documents that they
    are about. What goes wrong becomes a message of status "error" that says how to go on.

    Args:
        method: The tool: `toolbox.search`, say.
        **settings: LangChain's, such as another `name`.

    Example:
        .. code-block:: python

            tools = [MultimodalTool(trajectory.think), MultimodalTool(trajectory.search)]
    """

    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"
    _tool: Tool = PrivateAttr()

    def __init__(self, method: Callable[..., ToolResult], **settings: Any) -> None:
        tool = Tool(method)
        of_tool: dict[str, Any] = {
            "name": tool.name,
            "description": tool.description,
            "args_schema": tool.arguments,
            "handle_tool_error": True,
            "handle_validation_error": tool.refusal,
        }
        super().__init__(**{**of_tool, **settings})
        self._tool = tool

    def _run(self, *args: Any, **arguments: Any) -> tuple[list[ContentBlock], list[Document]]:
        try:
            result = self._tool.method(*args, **arguments)
        except MMRagError as error:
            raise ToolException(str(error)) from error
        # Text and images only: for one audio or video block, LangChain would write the whole
        # message, pictures too, as one long text.
        blocks = [content_block(block) for block in result.blocks]
        return blocks, [segment_to_document(segment) for segment in result.segments]

    async def _arun(
        self, *args: Any, **arguments: Any
    ) -> tuple[list[ContentBlock], list[Document]]:
        return await off_loop(self._run, *args, **arguments)


class MultimodalSearchTool(MultimodalTool):
    """Let an agent search a collection, and see the pages, pictures and clips that it finds.

    Args:
        collection: A `Collection`, or the folder of one made with the embedded default model.
        budget: Of every answer; a number is one of tokens.
        policy: Whether and how pictures and videos may be opened.
        **settings: LangChain's, such as another `name`.

    Example:
        .. code-block:: python

            search = MultimodalSearchTool(collection="my-collection")
            create_agent(chat_model, [search]).invoke(
                {"messages": [("user", "Which quarter had the highest revenue?")]}
            )
    """

    def __init__(
        self,
        collection: Collection | str | Path,
        budget: Budget | int = Budget(),  # noqa: B008 - it is frozen
        policy: MediaPolicy = DEFAULT_POLICY,
        **settings: Any,
    ) -> None:
        super().__init__(Toolbox(collection, budget=budget, policy=policy).search, **settings)


def multimodal_tools(
    collection: Collection | str | Path,
    *,
    budget: Budget | int = Budget(),  # noqa: B008 - it is frozen
    policy: MediaPolicy = DEFAULT_POLICY,
) -> list[BaseTool]:
    """All that an agent may do with a collection: search, open_segment, ls, cat, grep and find.

    Args:
        collection: A `Collection`, or the folder of one made with the embedded default model.
        budget: Of every answer; a number is one of tokens.
        policy: Whether and how pictures and videos may be opened.
    """
    toolbox = Toolbox(collection, budget=budget, policy=policy)
    return [MultimodalTool(tool.method) for tool in tools_of(toolbox)]
