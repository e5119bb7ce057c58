"""Attachments, bookmarks, layers and XFA forms of a PDF, the same with both libraries."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pikepdf
import pymupdf
import pytest

from mm_rag.media.policy import MediaPolicy
from mm_rag_loaders import AssetStore, LoadOptions, load_file
from mm_rag_loaders.load_options import PDFBackend
from tests.loaders.pdfs import BACKENDS, PROSE, read, saved


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> PDFBackend:
    found: PDFBackend = request.param
    return found


def report(pages: int = 1) -> pymupdf.Document:
    document = pymupdf.open()
    for number in range(1, pages + 1):
        page: Any = document.new_page(width=500, height=400)
        page.insert_text((50, 60), f"This is sheet {number} of the yearly report.")
    return document


def loaded(path: Path, backend: PDFBackend, **more: Any) -> Any:
    folder = path.parent / "assets"
    return load_file(path, LoadOptions(assets=AssetStore(folder), pdf_backend=backend, **more))


def members(found: Any) -> dict[str, str]:
    """Text of the files in a file, by their names."""
    return {each.member: each.text for each in found.segments if each.member}


def test_attachments_are_read_as_files_of_their_own(tmp_path: Path, backend: PDFBackend) -> None:
    document = report()
    document.embfile_add(
        "minutes", b"The harbour wall is to be raised.", "minutes.txt", desc="Of May"
    )
    document.embfile_add("evil", b"Nothing outside is touched.", "../../etc/evil.txt")
    document.embfile_add("again", b"Another text with this name.", "minutes.txt")
    page: Any = document[0]
    page.add_file_annot((300, 90), b"Ask Miriam about the tug.", "tug.txt", desc="See the file")
    found = loaded(saved(document, tmp_path), backend)
    texts = members(found)
    assert set(texts) == {"minutes.txt", "minutes (2).txt", "etc/evil.txt", "tug.txt"}
    both = f"{texts['minutes.txt']} {texts['minutes (2).txt']}"
    assert "The harbour wall is to be raised." in both
    assert "Another text with this name." in both
    assert "Ask Miriam about the tug." in texts["tug.txt"]
    assert not (tmp_path / "etc").exists()


def test_a_file_that_two_places_name_is_read_once(tmp_path: Path, backend: PDFBackend) -> None:
    document = report()
    document.embfile_add("a", b"The harbour wall is to be raised.", "a.txt")
    names = document.xref_get_key(document.pdf_catalog(), "Names/EmbeddedFiles/Names")[1]
    file = names.split(")")[-1].strip(" ]") if ")" in names else names.split(">")[-1].strip(" ]")
    document.xref_set_key(document.pdf_catalog(), "AF", f"[{file}]")
    assert list(members(loaded(saved(document, tmp_path), backend))) == ["a.txt"]


def test_a_pdf_in_a_pdf_is_read(tmp_path: Path, backend: PDFBackend) -> None:
    document = report()
    document.embfile_add("old", report(2).tobytes(), "old report.pdf")
    found = loaded(saved(document, tmp_path), backend)
    inner = [each for each in found.segments if each.member == "old report.pdf"]
    assert {each.page for each in inner} == {1, 2}


def test_a_bomb_stops_at_the_limit(tmp_path: Path, backend: PDFBackend) -> None:
    document = report()
    document.embfile_add("bomb", bytes(40_000_000), "bomb.txt")
    path = saved(document, tmp_path)
    assert path.stat().st_size < 1_000_000
    found = loaded(path, backend, policy=MediaPolicy(max_bytes=2_000_000))
    assert members(found) == {}
    assert any(
        "bomb.txt was not read: it has more than 2,000,000 bytes" in str(n) for n in found.notes
    )


def test_a_damaged_attachment_leaves_the_others(tmp_path: Path, backend: PDFBackend) -> None:
    document = report()
    document.embfile_add("bad", b"Lost." * 200, "bad.txt")
    document.embfile_add("good", b"The harbour wall is to be raised.", "good.txt")
    with pikepdf.open(io.BytesIO(document.tobytes())) as pdf:
        for name, file in pdf.attachments.items():
            if name == "bad":
                stream = file.obj.EF.F
                stream.write(b"no deflated data", filter=pikepdf.Name.FlateDecode)
        pdf.save(tmp_path / "a.pdf")
    found = loaded(tmp_path / "a.pdf", backend)
    assert "The harbour wall is to be raised." in members(found)["good.txt"]
    assert "This is sheet 1" in found.segments[0].text
    assert any("bad.txt could not be read" in str(note) for note in found.notes)


def test_a_portfolio_says_that_its_page_is_a_cover(tmp_path: Path, backend: PDFBackend) -> None:
    document = report()
    document.embfile_add("a", b"The harbour wall is to be raised.", "<3>a.txt")
    document.xref_set_key(document.pdf_catalog(), "Collection", "<</View/D>>")
    found = loaded(saved(document, tmp_path), backend)
    assert list(members(found)) == ["a.txt"]
    assert any("it is a portfolio" in str(note) for note in found.notes)


def test_a_portfolio_with_a_blank_cover_is_read(tmp_path: Path, backend: PDFBackend) -> None:
    document = pymupdf.open()
    document.new_page()
    document.embfile_add("a", b"The harbour wall is to be raised.", "a.txt")
    document.xref_set_key(document.pdf_catalog(), "Collection", "<</View/D>>")
    assert list(members(loaded(saved(document, tmp_path), backend))) == ["a.txt"]


def test_a_file_outside_of_the_document_is_not_opened(tmp_path: Path, backend: PDFBackend) -> None:
    (tmp_path / "secret.txt").write_text("The key lies under the mat.")
    document = report()
    place = tmp_path / "secret.txt"
    names = f"<</EmbeddedFiles<</Names[(a)<</Type/Filespec/F({place})/UF({place})>>]>>>>"
    document.xref_set_key(document.pdf_catalog(), "Names", names)
    found = loaded(saved(document, tmp_path), backend)
    assert "mat" not in " ".join(each.text for each in found.segments)


def test_bookmarks_are_headings_of_pages_without_any(tmp_path: Path, backend: PDFBackend) -> None:
    document = report(5)
    document.set_toc([[1, "Rules", 2], [2, "Fees", 2], [2, "Fines", 4], [1, "Annex", 5]])
    found = read(document, tmp_path, backend)
    headings = [each.metadata.get("heading") for each in found.passages]
    assert headings == [None, "Rules", "Rules", "Rules > Fines", "Annex"]


def test_a_printed_heading_is_better_than_a_bookmark(tmp_path: Path, backend: PDFBackend) -> None:
    document = pymupdf.open()
    for _ in range(2):
        page: Any = document.new_page()
        page.insert_text((50, 60), "Fees of the harbour", fontsize=20, fontname="hebo")
        page.insert_textbox((50, 100, 500, 700), f"{PROSE} " * 6)
    document.set_toc([[1, "chapter_1_final.docx", 1]])
    found = read(document, tmp_path, backend)
    assert [each.metadata["heading"] for each in found.passages] == ["Fees of the harbour"] * 2


def test_bookmarks_in_a_circle_end(tmp_path: Path, backend: PDFBackend) -> None:
    document = report(2)
    document.set_toc([[1, "Rules", 1], [1, "Fees", 2]])
    first = 0
    for xref in range(1, document.xref_length()):
        if document.xref_get_key(xref, "Title")[0] == "string":
            first = first or xref
            document.xref_set_key(xref, "Next", f"{first} 0 R")
    assert "sheet 1" in read(document, tmp_path, backend).page.text


def test_a_hidden_layer_is_left_out_with_a_note(tmp_path: Path, backend: PDFBackend) -> None:
    document = report()
    page: Any = document[0]
    shown = document.add_ocg("English", on=True)
    hidden = document.add_ocg("Deutsch", on=False)
    page.insert_text((50, 100), "The fee is due in May.", oc=shown)
    page.insert_text((50, 102), "Die Abgabe ist im Mai zu zahlen.", oc=hidden)
    found = read(document, tmp_path, backend)
    assert "The fee is due in May." in found.page.text
    assert "Abgabe" not in found.page.text
    assert found.notes == ["layers that viewers do not show were left out: 'Deutsch'"]


TEMPLATE = """<template xmlns="http://www.xfa.org/schema/xfa-template/3.3/">
<subform name="form1"><draw><value><text>Application for a mooring permit</text></value></draw>
<subform name="person">
<field name="name"><caption><value><text>Applicant:</text></value></caption></field>
<field name="dateOfBirth"><ui/></field>
<field name="insured"><ui><checkButton/></ui><caption><value><text>Insured</text></value></caption>
</field>
<field name="port"><caption><value><text>Port</text></value></caption>
<items><text>Bergen</text><text>Oslo</text></items>
<items save="1"><text>b</text><text>o</text></items></field>
<field name="empty"><caption><value><text>Remarks</text></value></caption></field>
</subform></subform></template>"""
DATA = """<xfa:datasets xmlns:xfa="http://www.xfa.org/schema/xfa-data/1.0/"><xfa:data><form1><person>
<name>Ines Vidal</name><dateOfBirth>1972-03-04</dateOfBirth><insured>1</insured><port>o</port>
<boat>Kingfisher</boat><boat>Heron</boat></person></form1></xfa:data></xfa:datasets>"""


def xfa_form(folder: Path, template: str, data: str, *, as_one: bool = False) -> Path:
    document = pymupdf.open()
    page: Any = document.new_page()
    page.insert_text(
        (50, 60), "Please wait... If this message is not replaced, get another viewer."
    )
    with pikepdf.open(io.BytesIO(document.tobytes())) as pdf:
        parts: Any
        if as_one:
            whole = f'<xdp:xdp xmlns:xdp="http://ns.adobe.com/xdp/">{template}{data}</xdp:xdp>'
            parts = pdf.make_stream(whole.encode())
        else:
            streams = [("template", template), ("datasets", data)]
            parts = pikepdf.Array(
                each
                for name, text in streams
                for each in (pikepdf.String(name), pdf.make_stream(text.encode()))
            )
        pdf.Root.AcroForm = pikepdf.Dictionary(Fields=pikepdf.Array(), XFA=parts)
        pdf.Root.NeedsRendering = True
        pdf.save(folder / "form.pdf")
    return folder / "form.pdf"


@pytest.mark.parametrize("as_one", [False, True])
def test_an_xfa_form_is_read_from_its_data(
    tmp_path: Path, backend: PDFBackend, as_one: bool
) -> None:
    found = read(xfa_form(tmp_path, TEMPLATE, DATA, as_one=as_one), tmp_path, backend)
    assert [each.text.splitlines() for each in found.segments] == [
        [
            "Application for a mooring permit",
            "Applicant: Ines Vidal",
            "Date Of Birth: 1972-03-04",
            "Insured: yes",
            "Port: Oslo",
            "Boat: Kingfisher",
            "Boat: Heron",
        ]
    ]
    assert found.segments[0].page == 1
    [note] = found.notes
    assert note.startswith("it is an XFA form: its words and fields were read")


@pytest.mark.parametrize(
    "data",
    [
        "<never",
        '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><template>&b;</template>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><template>&x;</template>',
        "<a>" * 5000 + "</a>" * 5000,
    ],
)
def test_a_hostile_xfa_form_says_what_it_is(tmp_path: Path, backend: PDFBackend, data: str) -> None:
    found = read(xfa_form(tmp_path, data, data), tmp_path, backend)
    assert "Please wait" in found.page.text
    [note] = found.notes
    assert note.startswith("it is an XFA form; no words were found")


def test_without_pikepdf_the_printed_words_are_read(
    tmp_path: Path, backend: PDFBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pikepdf", None)
    found = read(report(), tmp_path, backend)
    assert "This is sheet 1" in found.page.text
    [note] = found.notes
    assert note.startswith("what is not printed (comments, form fields, attachments) was not read")
