"""Loaders and readers with a cache folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from llama_index.readers.mm_rag import MultimodalReader

from langchain_mm_rag import MultimodalLoader
from mm_rag.errors import InputError
from mm_rag.media import MediaPolicy
from mm_rag_loaders import LoadedFile, LoadOptions, cached, load
from tests.media_made import make_pdf

OPTIONS = LoadOptions(workers=0)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A PDF of two pages and a note."""
    folder = tmp_path / "files"
    folder.mkdir()
    make_pdf(folder / "ferry.pdf", ["The ferry leaves at seven.", "Bicycles travel free."])
    (folder / "note.txt").write_text("Ring twice.")
    return folder


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are read."""
    names: list[str] = []
    load_files = cached.load_files

    def watched(sources: Any, options: LoadOptions) -> Iterator[LoadedFile]:
        names.extend(Path(str(source)).name for source in sources)
        return load_files(sources, options)

    monkeypatch.setattr(cached, "load_files", watched)
    return names


def loaded(files: Path, kept: Path, options: LoadOptions = OPTIONS) -> list[Any]:
    return MultimodalLoader(files, options=options, cache_folder=kept).load()


def test_unchanged_files_are_not_read_again(files: Path, kept: Path, reads: list[str]) -> None:
    first = loaded(files, kept)
    assert reads == ["ferry.pdf", "note.txt"]
    assert loaded(files, kept) == first
    assert reads == ["ferry.pdf", "note.txt"]
    (files / "note.txt").write_text("Ring three times.")
    changed = loaded(files, kept)
    assert reads == ["ferry.pdf", "note.txt", "note.txt"]
    assert changed[:-1] == first[:-1]
    assert changed[-1].page_content == "Ring three times."


def test_they_are_as_if_read_anew_and_their_pictures_lie_in_the_folder(
    files: Path, kept: Path
) -> None:
    for _ in range(2):
        documents = loaded(files, kept)
        assert [document.id for document in documents] == [s.id for s in load(files, OPTIONS)]
        pages = [document for document in documents if document.metadata["modality"] == "image"]
        for page in pages:
            assert Path(page.metadata["media"]).is_relative_to(kept)
            assert Path(page.metadata["media"]).is_file()


def test_a_reader_shares_the_folder_with_a_loader(
    files: Path, kept: Path, reads: list[str]
) -> None:
    loaded(files, kept)
    reads.clear()
    reader = MultimodalReader(OPTIONS, cache_folder=kept)
    documents = reader.load_data(files)
    assert [document.id_ for document in documents] == [d.id for d in loaded(files, kept)]
    assert reads == []
    again = MultimodalReader.from_dict(MultimodalReader(cache_folder=kept).to_dict())
    assert again.cache_folder == str(kept)


def test_other_options_read_anew(files: Path, kept: Path, reads: list[str]) -> None:
    loaded(files, kept)
    loaded(files, kept, LoadOptions(workers=0, page_pixels=100_000))
    assert reads == ["ferry.pdf", "note.txt"] * 2


@pytest.mark.parametrize("damage", ["{", "[]", '{"stamp": 1}', "\0"])
def test_a_damaged_entry_is_read_anew(
    files: Path, kept: Path, reads: list[str], damage: str
) -> None:
    first = loaded(files / "note.txt", kept)
    [entry] = (kept / "files").iterdir()
    json.loads(entry.read_text())
    entry.write_text(damage)
    assert loaded(files / "note.txt", kept) == first
    assert reads == ["note.txt"] * 2


def test_a_page_whose_picture_is_gone_is_read_anew(files: Path, kept: Path) -> None:
    [page, *_] = loaded(files, kept)
    picture = Path(page.metadata["preview"])
    picture.unlink()
    loaded(files, kept)
    assert picture.is_file()


def test_a_file_that_cannot_be_read_is_tried_again_and_logged(
    files: Path, kept: Path, reads: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    (files / "ferry.pdf").write_bytes(b"%PDF-1.7 damaged")
    for _ in range(2):
        loaded(files, kept)
    assert reads == ["ferry.pdf", "note.txt", "ferry.pdf"]
    assert caplog.text.count("ferry.pdf") >= 2


def test_what_may_not_be_opened_does_not_come_from_the_cache(files: Path, kept: Path) -> None:
    assert loaded(files, kept)
    elsewhere = LoadOptions(workers=0, policy=MediaPolicy(roots=(kept,)))
    assert loaded(files, kept, elsewhere) == []


def test_a_missing_file_is_named_at_once(kept: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.pdf"):
        MultimodalLoader("gone.pdf", cache_folder=kept).lazy_load()
