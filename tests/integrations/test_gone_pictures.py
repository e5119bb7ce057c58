"""Retrievers of a collection that stores no pictures, when a source file is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from llama_index.readers.mm_rag import nodes_to_blocks
from llama_index.retrievers.mm_rag import MultimodalRetriever as LlamaRetriever

from langchain_mm_rag import MultimodalRetriever, documents_to_blocks
from mm_rag import Collection, Encoder
from tests.collection.conftest import BagOfWords
from tests.media_made import make_pdf

GONE = "[picture cannot be shown: its file is missing or damaged]"


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[Collection]:
    """Two files, of which the second was deleted after indexing."""
    files = tmp_path / "files"
    files.mkdir()
    make_pdf(files / "here.pdf", ["The ferry leaves at seven."])
    make_pdf(files / "gone.pdf", ["The ferry takes bicycles."])
    encoder = Encoder(modules=[BagOfWords()])
    with Collection(tmp_path / "made", encoder=encoder, assets="reference") as collection:
        collection.sync(files)
        (files / "gone.pdf").unlink()
        yield collection


def test_langchain_finds_both_and_shows_what_is_there(collection: Collection) -> None:
    documents = MultimodalRetriever(collection=collection, k=2).invoke("ferry")
    assert {Path(d.metadata["source"]).name for d in documents} == {"here.pdf", "gone.pdf"}
    blocks = documents_to_blocks(documents)
    assert sorted(block["type"] for block in blocks) == ["image", "text", "text", "text"]
    assert {"type": "text", "text": GONE} in blocks


def test_llama_index_finds_both_and_shows_what_is_there(collection: Collection) -> None:
    nodes = LlamaRetriever(collection, similarity_top_k=2).retrieve("ferry")
    assert {Path(n.metadata["source"]).name for n in nodes} == {"here.pdf", "gone.pdf"}
    kinds = [len(node.node.get_content_blocks()) for node in nodes]  # not of missing files
    assert sorted(kinds) == [1, 2]
    blocks = nodes_to_blocks(nodes)
    assert sorted(block.block_type for block in blocks) == ["image", "text", "text", "text"]
