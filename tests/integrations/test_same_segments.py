"""LangChain's loader and LlamaIndex's reader return the Segments of `load` without loss."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from langchain_core.documents import Document
from llama_index.core.schema import Node
from llama_index.readers.mm_rag import MultimodalReader

from langchain_mm_rag import MultimodalLoader
from mm_rag.record import segment_from_record
from mm_rag.segment import Segment
from mm_rag_loaders import AssetStore, LoadOptions, load
from tests.av_made import make_wav, tone
from tests.media_made import make_pdf, make_picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in"
    made.mkdir()
    make_pdf(made / "a.pdf", ["Alpha on one.", "Beta on two. " * 120])
    make_picture(made / "b.png", "Gamma")
    make_wav(made / "c.wav", tone(2.0))
    (made / "d.txt").write_text("Delta in plain text.")
    (made / "e.pdf").write_text("no PDF")
    with zipfile.ZipFile(made / "f.zip", "w") as archive:
        archive.write(made / "a.pdf", "deep/a.pdf")
        archive.write(made / "b.png", "wall.png")
        archive.writestr("mail.eml", "From: Ada <a@example.org>\n\nEpsilon.\n")
    return made


@pytest.fixture
def options(tmp_path: Path) -> LoadOptions:
    return LoadOptions(assets=AssetStore(tmp_path / "assets"))


@pytest.fixture
def segments(folder: Path, options: LoadOptions) -> list[Segment]:
    found = list(load(folder, options))
    assert {segment.modality for segment in found} == {"text", "image", "audio"}
    assert {segment.member for segment in found} == {None, "deep/a.pdf", "wall.png", "mail.eml"}
    return found


def of_document(document: Document) -> Segment:
    return segment_from_record(document.page_content, document.metadata)


def of_node(node: Node) -> Segment:
    segment = segment_from_record(node.get_content(), node.metadata)
    # LlamaIndex drops nodes without text, so the file name becomes their title.
    return replace(segment, title="") if segment.title == segment.name else segment


@pytest.mark.workers
def test_langchain(folder: Path, options: LoadOptions, segments: list[Segment]) -> None:
    loader = MultimodalLoader(folder, options=options)
    assert [of_document(document) for document in loader.lazy_load()] == segments
    assert [document.id for document in loader.load()] == [segment.id for segment in segments]


@pytest.mark.workers
async def test_langchain_without_waiting(
    folder: Path, options: LoadOptions, segments: list[Segment]
) -> None:
    loader = MultimodalLoader(folder, options=options)
    assert [of_document(document) async for document in loader.alazy_load()] == segments


@pytest.mark.workers
def test_llama_index(folder: Path, options: LoadOptions, segments: list[Segment]) -> None:
    nodes = list(MultimodalReader(options).lazy_load_data(folder))
    assert [of_node(node) for node in nodes] == segments
    assert [node.node_id for node in nodes] == [segment.id for segment in segments]


@pytest.mark.parametrize("written", ["{}/a.pdf", "{}/*.*f", "{}"])
def test_all_take_the_same_sources(folder: Path, options: LoadOptions, written: str) -> None:
    source = written.format(folder)
    ids = [segment.id for segment in load(source, options)]
    assert [d.id for d in MultimodalLoader(source, options=options).load()] == ids
    assert [n.node_id for n in MultimodalReader(options).load_data(source)] == ids
