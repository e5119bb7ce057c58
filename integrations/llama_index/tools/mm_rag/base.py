"""The tools of a Toolbox as LlamaIndex tools."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from llama_index.core.schema import Node
from llama_index.core.tools import FunctionTool, ToolMetadata, ToolOutput
from llama_index.core.tools.tool_spec.base import SPEC_FUNCTION_TYPE, BaseToolSpec
from llama_index.utils.mm_rag.nodes import content_block, segment_to_node

from mm_rag._threads import run_in_thread
from mm_rag.agent_tools import Tool, Toolbox, ToolResult, tools_of
from mm_rag.collection import Collection
from mm_rag.errors import InputError
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.prompt_content import Budget


class MultimodalTool(FunctionTool):
    """A method of a `Toolbox`, or any other that returns a `ToolResult`, as a LlamaIndex tool.

    The output has text and image blocks; `raw_output` holds the nodes that they are about, of a
    search with the probability of being relevant as `score` in their metadata. Errors are raised as
    an `MMRagError`, which LlamaIndex's agents turn into an output with `is_error` that says how to
    go on.

    Args:
        method: A bound method, such as `toolbox.search`.
        metadata: Overrides the name and description of the method.

    Example:
        .. code-block:: python

            toolbox = Toolbox("my-collection")
            tools = [MultimodalTool(toolbox.search), MultimodalTool(toolbox.open_segment)]
    """

    def __init__(
        self, method: Callable[..., ToolResult], metadata: ToolMetadata | None = None
    ) -> None:
        self._tool = tool = Tool(method)
        own = ToolMetadata(name=tool.name, description=tool.description, fn_schema=tool.arguments)
        super().__init__(fn=method, metadata=metadata or own)

    def call(self, *args: Any, **kwargs: Any) -> ToolOutput:
        """Run the tool.

        Raises:
            MMRagError: An argument is invalid, or what it names is not in the collection.
        """
        given = dict(zip(self._tool.arguments.model_fields, args, strict=False)) | kwargs
        result = self._tool(**given)
        return ToolOutput(
            tool_name=self.metadata.get_name(),
            blocks=[content_block(block) for block in result.blocks],
            raw_input=given,
            raw_output=_nodes(result),
        )

    async def acall(self, *args: Any, **kwargs: Any) -> ToolOutput:
        """Call the tool in a thread."""
        return await run_in_thread(self.call, *args, **kwargs)


class MultimodalToolSpec(BaseToolSpec):
    """All tools for a collection; the agent sees its pages, pictures and clips.

    Args:
        collection: A `Collection`, or the folder of one made with the built-in default model.
        budget: Bounds of each result; a number is a number of tokens.
        policy: Whether and how pictures and videos may be opened.

    Example:
        .. code-block:: python

            tools = MultimodalToolSpec("my-collection").to_tool_list()
            agent = FunctionAgent(tools=tools, llm=llm)
            await agent.run("Which quarter had the highest revenue?")
    """

    def __init__(
        self,
        collection: Collection | str | Path,
        *,
        budget: Budget | int = Budget(),  # noqa: B008 - it is frozen
        policy: MediaPolicy = DEFAULT_POLICY,
    ) -> None:
        toolbox = Toolbox(collection, budget=budget, policy=policy)
        self._tools = {tool.name: tool for tool in tools_of(toolbox)}
        self.spec_functions = list(self._tools)

    def to_tool_list(
        self,
        spec_functions: list[SPEC_FUNCTION_TYPE] | None = None,
        func_to_metadata_mapping: dict[str, ToolMetadata] | None = None,
    ) -> list[FunctionTool]:
        """Return the tools.

        Args:
            spec_functions: Names of tools; None for all: search, open_segment, ls, cat, grep, find.
            func_to_metadata_mapping: Metadata by name of the tool, to override its own.

        Raises:
            InputError: There is no tool with one of these names.
        """
        names = spec_functions or self.spec_functions
        if unknown := [name for name in names if name not in self._tools]:
            raise InputError(f"There is no tool {unknown[0]}; there are {', '.join(self._tools)}.")
        metadata = func_to_metadata_mapping or {}
        return [
            MultimodalTool(tool.method, metadata.get(name))
            for name, tool in self._tools.items()
            if name in names
        ]


def _nodes(result: ToolResult) -> list[Node]:
    nodes = [segment_to_node(segment) for segment in result.segments]
    for node, score in zip(nodes, result.scores, strict=False):  # of a search only
        node.metadata["score"] = score
        node.excluded_embed_metadata_keys.append("score")
        node.excluded_llm_metadata_keys.append("score")
    return nodes
