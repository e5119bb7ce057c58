"""Convert plain values to Content: str, Path, pictures, arrays, dicts, chat messages."""

from __future__ import annotations

from mm_rag.inputs.convert import as_content, as_contents

__all__ = ["as_content", "as_contents"]
