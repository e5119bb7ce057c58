"""EPUB books: chapters, titles, pictures, locks and damage."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from mm_rag_loaders import LoadedFile, LoadOptions, load_file

needs_pandoc = pytest.mark.skipif(shutil.which("pandoc") is None, reason="needs pandoc")

CONTAINER = """<?xml version="1.0"?>
<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="OEBPS/content.opf"/></rootfiles></container>"""
PACKAGE = """<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="2.0">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>The Sea</dc:title>
<dc:creator>Ada Whitcombe</dc:creator><dc:language>en</dc:language></metadata>
<manifest><item id="a" href="a.xhtml" media-type="application/xhtml+xml"/>
<item id="b" href="text/b%20c.xhtml" media-type="application/xhtml+xml"/>
<item id="p" href="p.png" media-type="image/png" properties="cover-image"/>
<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/></manifest>
<spine toc="ncx"><itemref idref="b"/><itemref idref="a"/></spine></package>"""
TOC = """<?xml version="1.0"?><ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap>
<navPoint><navLabel><text>The Boat</text></navLabel><content src="a.xhtml#x"/></navPoint>
</navMap></ncx>"""
FIRST = """<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body>
<h1>The Pier</h1><p>It is long.</p><img src="../p.png" alt="A map"/></body></html>"""
SECOND = "<html xmlns='http://www.w3.org/1999/xhtml'><body><p>It leaks.</p></body></html>"


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(buffer, "PNG")
    return buffer.getvalue()


def book(path: Path, files: Mapping[str, str | bytes] | None = None) -> Path:
    contents: dict[str, str | bytes] = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OEBPS/content.opf": PACKAGE,
        "OEBPS/toc.ncx": TOC,
        "OEBPS/a.xhtml": SECOND,
        "OEBPS/text/b c.xhtml": FIRST,
        "OEBPS/p.png": picture(),
        **(files or {}),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def loaded(path: Path, options: LoadOptions) -> LoadedFile:
    return load_file(path, replace(options, workers=0))


@pytest.mark.slow
def test_chapters_are_read_in_the_order_of_the_book(tmp_path: Path, options: LoadOptions) -> None:
    file = loaded(book(tmp_path / "a.epub"), options)
    texts = [s for s in file.segments if s.modality == "text"]
    assert [(s.page, s.where, s.text) for s in texts] == [
        (1, "chapter 1: The Pier", "The Pier\n\nIt is long.\n\nA map"),
        (2, "chapter 2: The Boat", "It leaks."),
    ]
    assert [s.metadata["heading"] for s in texts] == ["The Pier", "The Boat"]
    assert {s.title for s in texts} == {"The Sea"}
    assert (texts[0].metadata["author"], texts[0].metadata["language"]) == ("Ada Whitcombe", "en")
    [image] = [s for s in file.segments if s.modality == "image"]
    assert (image.member, image.text, image.metadata["heading"]) == (
        "OEBPS/p.png",
        "A map",
        "The Pier",
    )
    assert file.notes == ()


@needs_pandoc
@pytest.mark.slow
def test_a_book_made_by_pandoc(tmp_path: Path, options: LoadOptions) -> None:
    (tmp_path / "p.png").write_bytes(picture())
    source = (
        "---\ntitle: Two Harbours\nauthor: Ines Vidal\nlang: en\n---\n\n# North\n\nCold.\n\n"
        "## Costs\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n# South\n\nWarm.[^1]\n\n![Chart](p.png)\n\n"
        "[^1]: In May.\n"
    )
    subprocess.run(
        ["pandoc", "-f", "markdown", "-o", "a.epub"],
        input=source.encode(),
        cwd=tmp_path,
        check=True,
    )
    file = loaded(tmp_path / "a.epub", options)
    places = {s.where: s for s in file.segments}
    north = next(s for s in file.segments if "Cold." in s.text)
    south = next(s for s in file.segments if "Warm." in s.text)
    assert "North" in north.where
    assert "South" in south.where
    assert north.title == "Two Harbours"
    assert "| a | b |\n|---|---|\n| 1 | 2 |" in north.text
    assert "In May." in south.text
    assert any(s.modality == "image" and "Chart" in s.text for s in file.segments)
    assert len(places) > 2


def encryption(algorithm: str, *names: str) -> str:
    data = "".join(
        f'<EncryptedData><EncryptionMethod Algorithm="{algorithm}"/><CipherData>'
        f'<CipherReference URI="{name}"/></CipherData></EncryptedData>'
        for name in names
    )
    return (
        f'<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container">{data}</encryption>'
    )


@pytest.mark.slow
def test_a_locked_book_is_reported(tmp_path: Path, options: LoadOptions) -> None:
    aes = "http://www.w3.org/2001/04/xmlenc#aes128-cbc"
    both = {"META-INF/encryption.xml": encryption(aes, "OEBPS/a.xhtml", "OEBPS/text/b%20c.xhtml")}
    file = loaded(book(tmp_path / "a.epub", both), options)
    assert (file.state, file.reason) == ("unreadable", "a.epub is locked by its seller (DRM).")
    one = {"META-INF/encryption.xml": encryption(aes, "OEBPS/a.xhtml")}
    file = loaded(book(tmp_path / "b.epub", one), options)
    assert [n.text for n in file.notes] == ["chapter 2 is locked by its seller (DRM)"]
    fonts = {
        "META-INF/encryption.xml": encryption("http://www.idpf.org/2008/embedding", "OEBPS/f.otf")
    }
    assert loaded(book(tmp_path / "c.epub", fonts), options).notes == ()


@pytest.mark.slow
def test_a_damaged_chapter_is_noted_and_the_others_read(
    tmp_path: Path, options: LoadOptions
) -> None:
    path = book(tmp_path / "a.epub")
    with zipfile.ZipFile(path) as archive:
        at = archive.getinfo("OEBPS/a.xhtml").header_offset + 50
    data = bytearray(path.read_bytes())
    data[at : at + 20] = b"\xff" * 20
    path.write_bytes(data)
    file = loaded(path, options)
    assert [s.text for s in file.segments if s.modality == "text"] == [
        "The Pier\n\nIt is long.\n\nA map"
    ]
    [note] = file.notes
    assert note.kind == "damaged"
    assert note.text.startswith("chapter 2 was not read: ")


@pytest.mark.parametrize(
    "files",
    [
        {"OEBPS/content.opf": "<package"},
        {
            "OEBPS/content.opf": '<!DOCTYPE a [<!ENTITY a "a"><!ENTITY b "&a;&a;">]>'
            "<package>&b;</package>"
        },
        {
            "OEBPS/content.opf": '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
            "<package>&a;</package>"
        },
    ],
)
def test_a_damaged_or_hostile_index_is_reported(
    tmp_path: Path, options: LoadOptions, files: Mapping[str, str]
) -> None:
    file = loaded(book(tmp_path / "a.epub", files), options)
    assert file.state == "unreadable"
    assert file.reason.startswith("a.epub is damaged: ")


@pytest.mark.slow
def test_a_book_opens_nothing_outside_of_it(tmp_path: Path, options: LoadOptions) -> None:
    (tmp_path / "secret.png").write_bytes(picture())
    page = (
        f"<p>Page</p><img src='../../secret.png'><img src='file://{tmp_path}/secret.png'>"
        "<img src='https://example.org/x.png'>"
    )
    package = PACKAGE.replace(' properties="cover-image"', "")
    files = {"OEBPS/a.xhtml": page, "OEBPS/content.opf": package}
    file = loaded(book(tmp_path / "a.epub", files), options)
    assert [s.member for s in file.segments if s.modality == "image"] == ["OEBPS/p.png"]
    assert sorted(n.kind for n in file.notes) == ["damaged", "limit"]


@pytest.mark.slow
def test_a_chapter_that_unpacks_to_a_bomb_is_left_out(tmp_path: Path, options: LoadOptions) -> None:
    file = loaded(book(tmp_path / "a.epub", {"OEBPS/a.xhtml": b" " * (33 * 1024**2)}), options)
    [note] = file.notes
    assert note.text == "chapter 2 was not read: OEBPS/a.xhtml has over 33,554,432 bytes"
