"""Damaged and hostile office files: what can be read is read, and the rest is noted."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mm_rag.media import MediaPolicy
from mm_rag_loaders import LoadedFile, LoadOptions, load_file
from mm_rag_loaders.office import libreoffice
from tests.office_made import docx, opendocument, pptx

_BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c SYSTEM "file:///etc/passwd">]>'
)


@pytest.fixture
def read(options: LoadOptions, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], LoadedFile]:
    """Loads a file without LibreOffice."""
    monkeypatch.setattr(libreoffice, "_PROGRAMS", ("no-such-program",))
    return lambda path: load_file(path, options)


def kinds(loaded: LoadedFile) -> list[str]:
    return [note.kind for note in loaded.notes if note.kind != "missing reader"]


def changed(path: Path, part: str, change: Callable[[bytes], bytes]) -> Path:
    """A file with one of its parts changed; a new part begins empty."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members[part] = change(members.get(part, b""))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("name", ["a.docx", "a.odt", "a.pptx"])
def test_entities_are_not_read(
    tmp_path: Path, read: Callable[[Path], LoadedFile], name: str
) -> None:
    path = tmp_path / name
    if name == "a.docx":
        part = "word/document.xml"
        docx(path, "MARK")
    elif name == "a.odt":
        part = "content.xml"
        opendocument(path, "text", "<text:p>MARK</text:p>")
    else:
        part = "ppt/slides/slide0.xml"
        pptx(path, "MARK", "second")
    changed(path, part, lambda xml: _BOMB.encode() + xml.replace(b"MARK", b"&b;&c;"))
    loaded = read(path)
    words = " ".join(segment.text for segment in loaded.segments)
    assert "aaa" not in words
    assert "root:" not in words
    if name == "a.pptx":
        assert words == "second"
        assert kinds(loaded) == ["damaged"]
    else:
        assert loaded.state == "unreadable"


def test_a_cut_document_keeps_its_beginning(
    tmp_path: Path, read: Callable[[Path], LoadedFile]
) -> None:
    path = docx(tmp_path / "a.docx", "first", "second", "third")
    changed(path, "word/document.xml", lambda xml: xml[: xml.index(b"third")])
    loaded = read(path)
    assert [segment.text for segment in loaded.segments] == ["first\n\nsecond"]
    assert kinds(loaded) == ["damaged"]
    (note,) = (note for note in loaded.notes if note.kind == "damaged")
    assert note.text.startswith("only a part of its structure was read: a.docx is damaged")


def test_damaged_comments_do_not_cost_the_text(
    tmp_path: Path, read: Callable[[Path], LoadedFile]
) -> None:
    path = docx(tmp_path / "a.docx", "text", images={"r1": "http://example.org/a.png"})
    rels = "word/_rels/document.xml.rels"
    relation = b'<Relationship Id="c" Type="http://x/comments" Target="comments.xml"/>'
    changed(path, rels, lambda xml: xml.replace(b"</Rel", relation + b"</Rel"))
    changed(path, "word/comments.xml", lambda _: b"<w:comments><w:comm")
    loaded = read(path)
    assert [segment.text for segment in loaded.segments] == ["text"]
    assert sorted(kinds(loaded)) == ["damaged", "unsupported"]


def test_macros_and_what_lies_outside_are_noted(
    tmp_path: Path, read: Callable[[Path], LoadedFile]
) -> None:
    path = docx(tmp_path / "a.docx", "text", images={"r1": "http://example.org/a.png"})
    changed(path, "word/vbaProject.bin", lambda _: b"Attribute VB_Name")
    loaded = read(path)
    assert [note.text for note in loaded.notes if note.kind == "unsupported"] == [
        "its macros were neither read nor run",
        "it refers to 1 picture, template or other file outside of it, which was not opened",
    ]


@pytest.mark.parametrize("depth", [30, 2000])
def test_tables_in_tables(tmp_path: Path, read: Callable[[Path], LoadedFile], depth: int) -> None:
    begin = b"<w:tbl><w:tr><w:tc>" * depth
    end = b"<w:p/></w:tc></w:tr></w:tbl>" * depth
    path = docx(tmp_path / "a.docx", "before", "MARK")
    paragraph = b"<w:p><w:r><w:t>MARK</w:t></w:r></w:p>"
    changed(
        path,
        "word/document.xml",
        lambda xml: xml.replace(paragraph, begin + paragraph.replace(b"MARK", b"deep") + end),
    )
    loaded = read(path)
    words = " ".join(segment.text for segment in loaded.segments)
    assert "before" in words
    assert ("deep" in words) == (depth == 30)
    assert kinds(loaded) == ([] if depth == 30 else ["damaged"])


@pytest.mark.parametrize("depth", [30, 200, 2000])
def test_groups_in_groups(tmp_path: Path, read: Callable[[Path], LoadedFile], depth: int) -> None:
    path = pptx(tmp_path / "a.pptx", "MARK", "second")

    def nested(xml: bytes) -> bytes:
        at, to = xml.index(b"<p:sp>"), xml.index(b"</p:sp>") + len(b"</p:sp>")
        inside = b"<p:grpSp>" * depth + xml[at:to] + b"</p:grpSp>" * depth
        return xml[:at] + inside + xml[to:]

    loaded = read(changed(path, "ppt/slides/slide0.xml", nested))
    assert loaded.segments[-1].text == "second"
    assert (len(loaded.segments) == 2) == (kinds(loaded) == [])
    if depth == 30:
        assert loaded.segments[0].text == "MARK"


def test_many_comments_take_linear_time(tmp_path: Path, read: Callable[[Path], LoadedFile]) -> None:
    def seconds(count: int) -> float:
        path = docx(tmp_path / f"{count}.docx", "MARK")
        comment = (
            b'<w:comment w:id="%d" w:author="A"><w:p><w:r><w:t>c%d</w:t></w:r></w:p></w:comment>'
        )
        mark = b'<w:commentRangeStart w:id="%d"/><w:r><w:commentReference w:id="%d"/></w:r>'
        space = b'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
        comments = b"".join(comment % (at, at) for at in range(count))
        marks = b"".join(mark % (at, at) for at in range(count))
        rels = b'<Relationship Id="c" Type="http://x/comments" Target="comments.xml"/></Rel'
        changed(path, "word/_rels/document.xml.rels", lambda xml: xml.replace(b"</Rel", rels))
        changed(path, "word/comments.xml", lambda _: b"<w:c %s>%s</w:c>" % (space, comments))
        changed(path, "word/document.xml", lambda xml: xml.replace(b"<w:r>", marks + b"<w:r>", 1))
        begin = time.perf_counter()
        loaded = read(path)
        assert len(loaded.segments) == 1 + count
        return time.perf_counter() - begin

    few = max(seconds(500), 0.05)
    assert seconds(4000) < 8 * few * 4


def test_a_table_of_endless_columns_is_bounded(
    tmp_path: Path, read: Callable[[Path], LoadedFile]
) -> None:
    row = (
        '<table:table-row table:number-rows-repeated="1000000"><table:table-cell '
        'table:number-columns-repeated="1000000"><text:p>x</text:p></table:table-cell>'
        "</table:table-row>"
    )
    path = opendocument(tmp_path / "a.odt", "text", f"<table:table>{row}</table:table>")
    loaded = read(path)
    assert sum(len(segment.text) for segment in loaded.segments) < 2_000_000
    assert "limit" in kinds(loaded)


def test_slides_over_the_limit_are_left_out(
    tmp_path: Path, options: LoadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libreoffice, "_PROGRAMS", ("no-such-program",))
    path = pptx(tmp_path / "a.pptx", "one", "two", "three")
    loaded = load_file(path, replace(options, policy=MediaPolicy(max_pages=2)))
    assert [segment.text for segment in loaded.segments] == ["one", "two"]
    assert "only the first 2 of 3 slides were read (MediaPolicy.max_pages)" in [
        note.text for note in loaded.notes
    ]
