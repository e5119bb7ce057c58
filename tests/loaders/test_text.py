from __future__ import annotations

from pathlib import Path

import pytest

from mm_rag.errors import UnreadableMedia
from mm_rag_loaders import LoadOptions, Source, SourceFile, TextLoader
from mm_rag_loaders.outcome import Note


def test_a_text_is_its_passages(tmp_path: Path, options: LoadOptions) -> None:
    path = tmp_path / "field_notes.txt"
    path.write_text("One sentence of seven words in all. " * 100)
    segments = list(TextLoader(options).load(path))
    assert [s.part for s in segments] == list(range(len(segments)))
    assert len(segments) >= 4
    assert {(s.modality, s.media, s.page, s.title) for s in segments} == {
        ("text", None, None, "field notes")
    }


def test_the_heading_of_a_markdown_file_is_its_title(tmp_path: Path, options: LoadOptions) -> None:
    path = tmp_path / "a.md"
    path.write_text("# Care of roses\n\nWater them.")
    (segment,) = TextLoader(options).load(path)
    assert segment.title == "Care of roses"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_umlauts_survive(tmp_path: Path, options: LoadOptions, encoding: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("Ein schöner Tag für einen Käse.".encode(encoding))
    file = SourceFile.of(Source(path), options)
    (segment,) = TextLoader(options).segments(file)
    assert segment.text == "Ein schöner Tag für einen Käse."
    notes = [Note("encoding", "not UTF-8: read as Windows-1252")]
    assert file.notes == (notes if encoding == "cp1252" else [])


@pytest.mark.parametrize(("data", "why"), [(b"\0\1\2", "not plain text"), (b" \n", "no words")])
def test_what_is_no_text_is_unreadable(
    tmp_path: Path, options: LoadOptions, data: bytes, why: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    with pytest.raises(UnreadableMedia, match=rf"a\.txt .*{why}"):
        list(TextLoader(options).load(path))


def test_the_last_letter_of_an_old_encoding_is_kept(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_bytes("un café".encode("latin-1"))
    [only] = TextLoader().load(tmp_path / "old.txt")
    assert only.text == "un café"
