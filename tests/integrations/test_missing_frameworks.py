"""An adapter without its framework names the extra that installs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

HIDDEN = [
    ("langchain_mm_rag", "langchain_core", "langchain"),
    ("llama_index.embeddings.mm_rag", "llama_index.core", "llama-index"),
    ("llama_index.postprocessor.mm_rag", "llama_index.core", "llama-index"),
    ("llama_index.readers.mm_rag", "llama_index.core", "llama-index"),
    ("llama_index.retrievers.mm_rag", "llama_index.core", "llama-index"),
    ("llama_index.tools.mm_rag", "llama_index.core", "llama-index"),
    ("mm_rag_mcp", "mcp", "mcp"),
    ("mm_rag_mcp", "uvicorn", "mcp"),
]


@pytest.mark.parametrize(("adapter", "framework", "extra"), HIDDEN)
def test_an_adapter_without_its_framework(adapter: str, framework: str, extra: str) -> None:
    code = f"""
import importlib, sys
from mm_rag.errors import MissingExtra
sys.modules[{framework!r}] = None
try:
    importlib.import_module({adapter!r})
except MissingExtra as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"[{extra}]" in done.stdout
    assert framework in done.stdout
