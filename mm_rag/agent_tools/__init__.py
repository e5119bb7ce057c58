"""Tools with which an agent explores a collection, in any framework.

They search the collection, open what was found, and browse it as a file system in which
`/report.pdf` is a file and `/report.pdf/page-3` a page of it. They are read-only, reach nothing
outside of the collection, and keep every result within a budget. The integrations make tools of
their framework from them.
"""

from __future__ import annotations

from mm_rag.agent_tools.tool import Tool, ToolResult
from mm_rag.agent_tools.toolbox import Toolbox, tools_of

__all__ = ["Tool", "ToolResult", "Toolbox", "tools_of"]
