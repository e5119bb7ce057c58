"""MultimodalToolSpec: what an agent may do with a collection, as LlamaIndex tools."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from llama_index.core.base.llms.types import ImageBlock, TextBlock
from llama_index.core.tools import FunctionTool, ToolMetadata, ToolOutput
from llama_index.core.tools.tool_spec.base import SPEC_FUNCTION_TYPE, BaseToolSpec
from llama_index.readers.mm_rag.nodes import segment_to_node

from mm_rag._off_loop import off_loop
from mm_rag.blocks import Block, Budget, Words
from mm_rag.collection import Collection
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.toolbox import Tool, Toolbox


class MultimodalToolSpec(BaseToolSpec):
    """Let an agent search and browse a collection, and see the pages, pictures and clips in it.

    The tools answer with text and image blocks; `raw_output` holds the nodes that they are about.
    What goes wrong is raised as an `MMRagError`, which LlamaIndex's agents turn into an output with
    `is_error` that says how to go on.

    Args:
        collection: A `Collection`, or the folder of one made with the embedded default model.
        budget: Of every answer.
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
        budget: Budget = Budget(),  # noqa: B008 - it is frozen
        policy: MediaPolicy = DEFAULT_POLICY,
    ) -> None:
        is_open = isinstance(collection, Collection)
        opened = collection if is_open else Collection(collection, create=False)
        self.toolbox = Toolbox(opened, budget=budget, policy=policy)
        self.spec_functions = list(TOOL_NAMES)

    def to_tool_list(
        self,
        spec_functions: list[SPEC_FUNCTION_TYPE] | None = None,
        func_to_metadata_mapping: dict[str, ToolMetadata] | None = None,
    ) -> list[FunctionTool]:
        ...
