"""A collection's tools over the Model Context Protocol, for any client."""

from __future__ import annotations

from mm_rag._optional import require

for _module in ("mcp.server.stdio", "anyio", "starlette", "uvicorn"):
    require(_module, extra="mcp", feature="The MCP server")

from mm_rag_mcp.server import make_server  # noqa: E402
from mm_rag_mcp.serving import protocol_output, serve_http, serve_stdio  # noqa: E402

__all__ = ["make_server", "protocol_output", "serve_http", "serve_stdio"]
