"""mm_rag for the Model Context Protocol: a collection's tools for any client that speaks it."""

from __future__ import annotations

from mm_rag_mcp.server import make_server
from mm_rag_mcp.serving import protocol_output, serve_http, serve_stdio

__all__ = ["make_server", "protocol_output", "serve_http", "serve_stdio"]
