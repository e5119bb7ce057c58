"""Importing is cheap, and what is exported is there."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

HEAVY = (
    *("torch", "transformers", "chromadb", "langchain_core", "llama_index.core", "av", "cv2"),
    *("httpx", "rich"),  # each worker process would pay for them
)


@pytest.mark.slow
@pytest.mark.parametrize("package", ["mm_rag", "mm_rag_loaders"])
def test_import_leaves_heavy_packages_alone(package: str) -> None:
    code = f"import sys, {package}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("package", ["mm_rag", "mm_rag_loaders", "mm_rag.modules", "mm_rag.errors"])
def test_every_exported_name_exists(package: str) -> None:
    module = importlib.import_module(package)
    assert list(module.__all__) == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = importlib.import_module("mm_rag").Nonsense
