"""The tools of a Toolbox as LangChain tools."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from langchain_core.documents import Document
from langchain_core.messages.content import ContentBlock
from langchain_core.tools import BaseTool, ToolException
from pydantic import PrivateAttr

from langchain_mm_rag.documents import content_block, segment_to_document
from mm_rag._threads import run_in_thread
from mm_rag.agent_tools import Tool, Toolbox, ToolResult, tools_of
from mm_rag.collection import Collection
from mm_rag.errors import MMRagError
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.prompt_content import Budget


class MultimodalTool(BaseTool):
    """A method of a `Toolbox`, or any other that returns a `ToolResult`, as a LangChain tool.

    The message to the chat model has text and image blocks; its artifact is the Documents that they
    are about, of a search with the probability of being relevant as `score`. An error becomes a
    message of status "error" that says how to go on.

    Args:
        method: A bound method, such as `toolbox.search`.
        **settings: LangChain's settings of tools, such as another `name`.

    Example:
        .. code-block:: python

            toolbox = Toolbox("my-collection")
            tools = [MultimodalTool(toolbox.search), MultimodalTool(toolbox.open_segment)]
    """

    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"
    _tool: Tool = PrivateAttr()

    def __init__(self, method: Callable[..., ToolResult], **settings: Any) -> None:
        tool = Tool(method)
        defaults: dict[str, Any] = {
            "name": tool.name,
            "description": tool.description,
            "args_schema": tool.arguments,
            "handle_tool_error": True,
            "handle_validation_error": tool.refusal,
        }
        super().__init__(**{**defaults, **settings})
        self._tool = tool

    def _run(self, *args: Any, **arguments: Any) -> tuple[list[ContentBlock], list[Document]]:
        try:
            result = self._tool.method(*args, **arguments)
        except MMRagError as error:
            raise ToolException(str(error)) from error
        # Text and images only: with an audio or video block, LangChain would convert the whole
        # message, including its pictures, to one long text.
        blocks = [content_block(block) for block in result.blocks]
        documents = [segment_to_document(segment) for segment in result.segments]
        for document, score in zip(documents, result.scores, strict=False):  # of a search only
            document.metadata["score"] = score
        return blocks, documents

    async def _arun(
        self, *args: Any, **arguments: Any
    ) -> tuple[list[ContentBlock], list[Document]]:
        return await run_in_thread(self._run, *args, **arguments)


class MultimodalSearchTool(MultimodalTool):
    """Search a collection; the agent sees the pages, pictures and clips that are found.

    Args:
        collection: A `Collection`, or the folder of one made with the built-in default model.
        budget: Bounds of each result; a number is a number of tokens.
        policy: Whether and how pictures and videos may be opened.
        **settings: LangChain's settings of tools, such as another `name`.

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
    """All tools for a collection: search, open_segment, ls, cat, grep and find.

    Args:
        collection: A `Collection`, or the folder of one made with the built-in default model.
        budget: Bounds of each result; a number is a number of tokens.
        policy: Whether and how pictures and videos may be opened.
    """
    toolbox = Toolbox(collection, budget=budget, policy=policy)
    return [MultimodalTool(tool.method) for tool in tools_of(toolbox)]
