"""What an agent may do with a collection, as LlamaIndex tools."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from llama_index.core.tools import FunctionTool, ToolMetadata, ToolOutput
from llama_index.core.tools.tool_spec.base import SPEC_FUNCTION_TYPE, BaseToolSpec
from llama_index.readers.mm_rag.blocks import content_block
from llama_index.readers.mm_rag.nodes import segment_to_node

from mm_rag._off_loop import off_loop
from mm_rag.agent_tools import Tool, Toolbox, ToolResult, tools_of
from mm_rag.collection import Collection
from mm_rag.errors import InputError
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.prompt_content import Budget


class MultimodalTool(FunctionTool):
    """A tool of a `Toolbox` or `Trajectory` as a LlamaIndex tool.

    It answers with text and image blocks; `raw_output` holds the nodes that they are about. What
    goes wrong is raised as an `MMRagError`, of which LlamaIndex's agents make an output with
    `is_error` that says how to go on.

    Args:
        method: The tool: `toolbox.search`, say.
        metadata: Another name, description or return_direct than the method's own.

    Example:
        .. code-block:: python

            tools = [MultimodalTool(trajectory.think), MultimodalTool(trajectory.search)]
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
            MMRagError: An argument is wrong, or what it asks for is not in the collection.
        """
        given = dict(zip(self._tool.arguments.model_fields, args, strict=False)) | kwargs
        result = self._tool(**given)
        return ToolOutput(
            tool_name=self.metadata.get_name(),
            blocks=[content_block(block) for block in result.blocks],
            raw_input=given,
            raw_output=[segment_to_node(segment) for segment in result.segments],
        )

    async def acall(self, *args: Any, **kwargs: Any) -> ToolOutput:
        """The same, in a thread beside the event loop."""
        return await off_loop(self.call, *args, **kwargs)


class MultimodalToolSpec(BaseToolSpec):
    """Let an agent search and browse a collection, and see the pages, pictures and clips in it.

    Args:
        collection: A `Collection`, or the folder of one made with the embedded default model.
        budget: Of every answer; a number is one of tokens.
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
        """The tools.

        Args:
            spec_functions: Which, by name; None for all: search, open_segment, ls, cat, grep, find.
            func_to_metadata_mapping: Another description of a tool, by name.

        Raises:
            InputError: There is no tool of that name.
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
