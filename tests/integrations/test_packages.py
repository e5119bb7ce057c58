"""Names that the import roots of the integrations export."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

PACKAGES = {
    "langchain_mm_rag": [
        "MultimodalEmbeddings",
        "MultimodalLoader",
        "MultimodalParser",
        "MultimodalReranker",
        "MultimodalRetriever",
        "MultimodalSearchTool",
        "MultimodalTool",
        "ShownStore",
        "documents_to_blocks",
        "multimodal_tools",
    ],
    "llama_index.embeddings.mm_rag": ["MultimodalEmbedding"],
    "llama_index.postprocessor.mm_rag": ["MultimodalRerank"],
    "llama_index.readers.mm_rag": ["MultimodalReader", "nodes_to_blocks"],
    "llama_index.retrievers.mm_rag": ["MultimodalQuery", "MultimodalRetriever"],
    "llama_index.tools.mm_rag": ["MultimodalTool", "MultimodalToolSpec"],
}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_promised_name_exists(package: str) -> None:
    module = importlib.import_module(package)
    assert list(module.__all__) == PACKAGES[package]
    for name in module.__all__:
        assert getattr(module, name).__module__.startswith(package.split(".")[0])


def test_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        assert importlib.import_module("langchain_mm_rag").Nonsense


@pytest.mark.parametrize(
    "statement",
    [
        "from langchain_mm_rag import MultimodalLoader, documents_to_blocks",
        "from llama_index.readers.mm_rag import MultimodalReader",
    ],
)
def test_reading_files_needs_no_model(statement: str) -> None:
    code = f"import sys; {statement}; print({{'torch', 'chromadb'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
