"""The terminal: what `mm-rag` does, command by command."""

from __future__ import annotations

from mm_rag.cli.app import app

__all__ = ["app"]
