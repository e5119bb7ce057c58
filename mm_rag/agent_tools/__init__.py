"""The toolbox: what an agent may do with a collection, whatever framework it runs in.

It searches, opens what it found, and browses the collection as if it were a file system, where
`/report.pdf` is a file and `/report.pdf/page-3` a page of it. It changes nothing, sees nothing but
the collection, and every answer stays within a budget. The integrations make tools of its methods.
"""

from __future__ import annotations

from mm_rag.agent_tools.result import ToolResult
from mm_rag.agent_tools.tool import Tool, tools_of
from mm_rag.agent_tools.toolbox import Toolbox
from mm_rag.agent_tools.trajectory import (
    AGENT_PROMPT,
    Citation,
    CitedPath,
    Search,
    Trajectory,
)

__all__ = [
    "AGENT_PROMPT",
    "Citation",
    "CitedPath",
    "Search",
    "Tool",
    "ToolResult",
    "Toolbox",
    "Trajectory",
    "tools_of",
]
