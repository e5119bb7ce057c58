"""MultimodalParser: blobs on disk and in memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.document_loaders import BaseLoader, BlobLoader
from langchain_core.document_loaders.blob_loaders import Blob
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, index
from langchain_core.vectorstores import InMemoryVectorStore
from PIL import Image as PILImage

from langchain_mm_rag import MultimodalEmbeddings, MultimodalParser
from langchain_mm_rag.documents import document_to_content
from mm_rag import Encoder, Image
from mm_rag.errors import InputError, MediaTooLarge, SourceForbidden, UnreadableMedia
from mm_rag.media import MediaPolicy
from mm_rag_loaders import AssetStore, LoadOptions, load


@pytest.fixture
def options(tmp_path: Path) -> LoadOptions:
    return LoadOptions(assets=AssetStore(tmp_path / "assets"), workers=0)


@pytest.fixture
def parser(options: LoadOptions) -> MultimodalParser:
    return MultimodalParser(options=options)


def picture(colour: str) -> bytes:
    data = io.BytesIO()
    PILImage.new("RGB", (64, 64), colour).save(data, "PNG")
    return data.getvalue()


def test_blob_on_disk_gives_what_the_loader_gives(
    parser: MultimodalParser, folder: Path, options: LoadOptions
) -> None:
    documents = parser.parse(Blob.from_path(folder / "deck.pdf", metadata={"project": {"id": 7}}))
    segments = list(load(folder / "deck.pdf", options))
    assert [document.id for document in documents] == [segment.id for segment in segments]
    assert documents[0].metadata["source"] == str(folder / "deck.pdf")
    assert documents[0].metadata["page"] == 1
    assert documents[0].metadata["project"] == {"id": 7}


def test_it_is_lazy(parser: MultimodalParser, folder: Path, options: LoadOptions) -> None:
    documents = parser.lazy_parse(Blob.from_path(folder / "deck.pdf"))
    assert next(documents).metadata["page"] == 1
    pictures = len(list(options.assets.written()))
    list(documents)
    assert len(list(options.assets.written())) > pictures


def test_bytes_say_what_they_are_and_stay_seen(
    parser: MultimodalParser, folder: Path, encoder: Encoder, options: LoadOptions
) -> None:
    data = (folder / "sunset.png").read_bytes()
    [document] = parser.parse(Blob.from_data(data))
    kept = Path(document.metadata["media"])
    assert kept.is_relative_to(options.assets.root)
    assert kept.read_bytes() == data
    assert document.metadata["source"] == str(kept)
    assert document.metadata["mime_type"] == "image/png"
    content = document_to_content(document, encoder)
    assert isinstance(content, Image)
    assert content.source == kept


def test_source_of_bytes_is_told_and_not_opened(parser: MultimodalParser, folder: Path) -> None:
    blob = Blob.from_data(
        (folder / "deck.pdf").read_bytes(),
        mime_type="application/pdf",
        metadata={"source": "https://example.org/talks/annual_report.pdf", "tenant": "a"},
    )
    documents = parser.parse(blob)
    assert {document.metadata["source"] for document in documents} == {blob.source}
    assert {document.metadata["tenant"] for document in documents} == {"a"}
    assert documents[0].metadata["title"] == "annual report"
    from_disk = parser.parse(Blob.from_path(folder / "deck.pdf"))
    assert [document.id for document in documents] == [document.id for document in from_disk]


@pytest.mark.parametrize(
    "blob",
    [
        Blob.from_data("The ferry leaves at nine."),
        Blob.from_data(b"The ferry leaves at nine."),
        Blob.from_data(b"The ferry leaves at nine.", mime_type="text/markdown"),
        Blob.from_data(b"The ferry leaves at nine.", mime_type="application/octet-stream"),
        Blob.from_data("The ferry leaves at nine.", path="notes/ferry.md"),
    ],
)
def test_words_in_memory(parser: MultimodalParser, blob: Blob) -> None:
    [document] = parser.parse(blob)
    assert document.page_content == "The ferry leaves at nine."
    assert document.metadata["modality"] == "text"


def test_metadata_of_a_blob_cannot_point_elsewhere(parser: MultimodalParser) -> None:
    [document] = parser.parse(
        Blob.from_data("Words.", metadata={"media": "/etc/hostname", "modality": "image"})
    )
    assert document.metadata["modality"] == "text"
    assert "media" not in document.metadata


@pytest.mark.parametrize(
    ("blob", "reason"),
    [
        (Blob.from_data(b"%PDF-1.7 and no more", metadata={"source": "a/cut.pdf"}), r"cut\.pdf"),
        (Blob.from_data(b""), "in memory cannot be read: it is empty"),
        (Blob.from_data(b"\0\1\2\3" * 9, path="upload.bin"), r"upload\.bin cannot be read"),
    ],
)
def test_unreadable_bytes_are_an_error(parser: MultimodalParser, blob: Blob, reason: str) -> None:
    with pytest.raises(UnreadableMedia, match=reason):
        parser.parse(blob)


def test_missing_file_is_named(parser: MultimodalParser, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.png"):
        parser.parse(Blob.from_path(tmp_path / "gone.png"))


def test_the_policy_holds(folder: Path, tmp_path: Path) -> None:
    assets = AssetStore(tmp_path / "assets")
    policy = MediaPolicy(roots=(tmp_path / "allowed",), max_bytes=10_000)
    parser = MultimodalParser(options=LoadOptions(assets=assets, policy=policy, workers=0))
    assert parser.parse(Blob.from_data(picture("red")))
    with pytest.raises(SourceForbidden, match=r"sunset\.png"):
        parser.parse(Blob.from_path(folder / "sunset.png"))
    with pytest.raises(MediaTooLarge, match="in memory has 20,000 bytes"):
        parser.parse(Blob.from_data(b"a" * 20_000))
    assert len(list(assets.written())) < 4


class _Blobs(BlobLoader):
    def __init__(self, blobs: list[Blob]) -> None:
        self.blobs = blobs

    def yield_blobs(self) -> Iterator[Blob]:
        yield from self.blobs


class _Composed(BaseLoader):
    """As LangChain's `GenericLoader` does."""

    def __init__(self, blobs: BlobLoader, parser: MultimodalParser) -> None:
        self.blobs, self.parser = blobs, parser

    def lazy_load(self) -> Iterator[Document]:
        for blob in self.blobs.yield_blobs():
            yield from self.parser.lazy_parse(blob)


def test_indexing_api_sees_other_bytes_from_the_same_source(
    parser: MultimodalParser, encoder: Encoder
) -> None:
    store = InMemoryVectorStore(MultimodalEmbeddings(encoder=encoder))
    records = InMemoryRecordManager("test")
    records.create_schema()
    outcomes: list[tuple[int, int, int]] = []
    for colour in ("red", "red", "blue"):
        blob = Blob.from_data(picture(colour), metadata={"source": "upload/photo.png"})
        outcome = index(
            _Composed(_Blobs([blob]), parser),
            records,
            store,
            cleanup="incremental",
            source_id_key="source",
            key_encoder="sha256",
        )
        outcomes.append((outcome["num_added"], outcome["num_skipped"], outcome["num_deleted"]))
    assert outcomes == [(1, 0, 0), (0, 1, 0), (1, 0, 1)]


@pytest.mark.workers
def test_a_process_of_its_own_reads_it(folder: Path, tmp_path: Path) -> None:
    parser = MultimodalParser(options=LoadOptions(assets=AssetStore(tmp_path / "assets")))
    [document] = parser.parse(Blob.from_data((folder / "sunset.png").read_bytes()))
    assert Path(document.metadata["media"]).is_file()
