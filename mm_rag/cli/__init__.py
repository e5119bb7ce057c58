"""The terminal: `mm-rag index`, `search`, `verify`, `reindex`, `eval`, `demo`, `mcp`."""

from __future__ import annotations

from mm_rag.cli.app import app

__all__ = ["app"]
