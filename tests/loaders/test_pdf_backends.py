"""PyMuPDF and pypdfium2 give the same pages."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pymupdf
import pytest
from PIL import Image, ImageDraw, ImageFont

from mm_rag.boxes import WordBox
from mm_rag.errors import MissingExtra, PasswordNeeded, UnreadableMedia
from mm_rag_loaders import AssetStore, LoadOptions, PDFLoader, Source, SourceFile
from mm_rag_loaders.load_options import PDFBackend
from mm_rag_loaders.pdf.page import PageContent, PDFDocument, iso_date
from mm_rag_loaders.pdf.pdf_loader import open_pdf
from tests.loaders.pdfs import saved

BACKENDS: tuple[PDFBackend, ...] = get_args(PDFBackend)
AES_256: int = vars(pymupdf)["PDF_ENCRYPT_AES_256"]
WIDGET_TEXT: int = vars(pymupdf)["PDF_WIDGET_TYPE_TEXT"]
LINK_URI: int = vars(pymupdf)["LINK_URI"]
PIXELS = 1280 * 32 * 32
PROSE = (
    "Ships that lie in the harbour over night pay the fee of the day before, unless the master "
    "has asked the office for leave, which is given in writing and kept with the papers."
)

Make = Callable[[], pymupdf.Document]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> PDFBackend:
    found: PDFBackend = request.param
    return found


def page(path: Path, backend: PDFBackend, number: int = 1) -> PageContent:
    with open_pdf(path, None, backend) as document:
        return document.read_page(number, PIXELS)


def text_of(content: PageContent) -> list[str]:
    return [block.text for block in content.blocks]


def picture_of_words(text: str) -> bytes:
    picture = Image.new("RGB", (800, 600), "white")
    ImageDraw.Draw(picture).text((60, 80), text, "black", ImageFont.load_default(36))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def plain() -> pymupdf.Document:
    document = pymupdf.open()
    sheet = document.new_page()
    sheet.insert_text((72, 80), "Rules of the harbour", fontsize=20, fontname="hebo")
    sheet.insert_textbox((72, 110, 500, 300), PROSE * 2, fontsize=11)
    sheet.insert_textbox((72, 320, 500, 400), "Second paragraph, shorter.", fontsize=11)
    return document


def two_columns() -> pymupdf.Document:
    document = pymupdf.open()
    sheet = document.new_page()
    for row in range(12):  # drawn across, as some programs do
        for side, x in (("left", 50), ("right", 310)):
            sheet.insert_text((x, 100 + 14 * row), f"{side} {row} some words of prose stand here")
    return document


def table() -> pymupdf.Document:
    document = pymupdf.open()
    sheet = document.new_page(width=400, height=300)
    for row, cells in enumerate([("Port", "Fee"), ("Bergen", "12.50"), ("Oslo", "14.75")]):
        for column, cell in enumerate(cells):
            box = pymupdf.Rect(50 + 120 * column, 60 + 24 * row, 170 + 120 * column, 84 + 24 * row)
            sheet.draw_rect(box)
            sheet.insert_text((box.x0 + 6, box.y1 - 8), cell)
    return document


def table_of_one_path() -> pymupdf.Document:
    document = pymupdf.open()
    sheet = document.new_page(width=400, height=300)
    lines = sheet.new_shape()
    for at in range(9):
        lines.draw_line((40, 40 + 20 * at), (360, 40 + 20 * at))
    for at, row in product(range(5), range(8)):
        x, y = 40 + 80 * at, 40 + 20 * row
        lines.draw_line((x, y), (x, y + 20))
        if at < 4:
            sheet.insert_text((x + 10, y + 14), f"{row}{at}", fontsize=10)
    lines.finish()
    lines.commit()
    return document


def rotated() -> pymupdf.Document:
    document = plain()
    document[0].set_rotation(90)
    return document


def upside_down_and_cropped() -> pymupdf.Document:
    document = plain()
    document[0].set_rotation(180)
    document[0].set_cropbox(pymupdf.Rect(60, 50, 520, 300))
    return document


def running_up() -> pymupdf.Document:
    document = pymupdf.open()
    sheet = document.new_page(width=300, height=400)
    for number, text in enumerate(["First line of the table", "Second line of the table"]):
        sheet.insert_text((50 + 20 * number, 350), text, rotate=90)
    return document


def scaled_by_matrices() -> pymupdf.Document:
    """A heading whose font has a size of 1, made larger by the matrices around it."""
    document = plain()
    [xref] = document[0].get_contents()[:1]
    stream = b"q 2 0 0 2 0 0 cm BT /hebo 1 Tf 12 0 0 12 36 250 Tm (Made larger) Tj ET Q\n"
    document.update_stream(xref, stream + (document.xref_stream(xref) or b""))
    return document


def broken_word() -> pymupdf.Document:
    document = pymupdf.open()
    sheet = document.new_page(width=400, height=300)
    sheet.insert_text((50, 60), "The fees of the har-\nbour are due each month.")
    return document


def form() -> pymupdf.Document:
    document = pymupdf.open()
    sheet = document.new_page(width=400, height=300)
    sheet.insert_text((50, 64), "Surname")
    field: Any = pymupdf.Widget()
    field.field_name, field.field_value = "surname", "Lovelace"
    field.field_type, field.rect = WIDGET_TEXT, pymupdf.Rect(120, 50, 300, 70)
    sheet.add_widget(field)
    return document


def right_to_left() -> pymupdf.Document:
    document = pymupdf.open()
    sheet = document.new_page(width=400, height=300)
    text = (
        "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd \u05d1\u05e9\u05e0\u05ea 1948 "
        "\u05d5\u05e2\u05d5\u05d3"
    )
    sheet.insert_htmlbox((20, 20, 380, 200), f'<p dir="rtl">{text}</p>')
    return document


def both_ways() -> pymupdf.Document:
    """A name in Latin letters and a number inside a line of Hebrew."""
    document = pymupdf.open()
    sheet = document.new_page(width=400, height=300)
    text = (
        "\u05d4\u05d7\u05d1\u05e8\u05d4 Microsoft Office 365 \u05e0\u05d5\u05e1\u05d3\u05d4 "
        "\u05d1\u05e9\u05e0\u05ea 1975"
    )
    sheet.insert_htmlbox((20, 20, 380, 200), f'<p dir="rtl">{text}</p>')
    return document


def inside_another() -> pymupdf.Document:
    """A page that is drawn on another, smaller and turned: its parts are objects in an object."""
    document = pymupdf.open()
    sheet = document.new_page(width=700, height=600)
    sheet.show_pdf_page(pymupdf.Rect(20, 20, 380, 290), table(), 0)
    sheet.show_pdf_page(pymupdf.Rect(20, 300, 330, 580), running_up(), 0, rotate=270)
    return document


def narrow() -> pymupdf.Document:
    """Numbers that stand close together, and a footnote's number close to its word."""
    document = pymupdf.open()
    sheet = document.new_page(width=400, height=300)
    for row, x in product(range(6), range(8)):
        sheet.insert_text((50 + 10 * x, 60 + 14 * row), str((row + x) % 10), fontsize=10)
    sheet.insert_text((50, 200), "practices", fontname="tiit", fontsize=12)
    width = pymupdf.get_text_length("practices", fontname="tiit", fontsize=12)
    sheet.insert_text((50 + width, 196), "2", fontname="tiit", fontsize=7)
    sheet.insert_text((50 + width + 4, 200), ", of The fine art of figures", fontname="tiit")
    return document


SAME: tuple[Make, ...] = (
    plain,
    two_columns,
    table,
    table_of_one_path,
    rotated,
    upside_down_and_cropped,
    running_up,
    scaled_by_matrices,
    broken_word,
    form,
    right_to_left,
    both_ways,
    inside_another,
    narrow,
)


@pytest.mark.parametrize("make", SAME, ids=lambda make: make.__name__)
def test_both_give_the_same_page(tmp_path: Path, make: Make) -> None:
    path = saved(make(), tmp_path)
    a, b = (page(path, backend) for backend in BACKENDS)
    assert text_of(a) == text_of(b)
    assert text_of(a)
    assert [(block.kind, block.level) for block in a.blocks] == [
        (block.kind, block.level) for block in b.blocks
    ]
    assert [word.text for word in a.words] == [word.text for word in b.words]
    assert farthest(a.words, b.words) < 0.01
    assert (a.is_blank, a.is_reduced, len(a.scans)) == (b.is_blank, b.is_reduced, len(b.scans))
    assert difference(a.picture, b.picture) < 6


def farthest(a: tuple[WordBox, ...], b: tuple[WordBox, ...]) -> float:
    """How far apart the same edge of a word is at most, as a share of the page."""
    edges = [np.abs(np.subtract(x.box, y.box)).max() for x, y in zip(a, b, strict=True)]
    return float(max(edges))


def difference(a: Image.Image, b: Image.Image) -> float:
    """Mean difference of the grey levels, from 0 to 255."""
    assert max(abs(a.width - b.width), abs(a.height - b.height)) <= 1
    small = [
        np.asarray(picture.convert("L").resize((200, 200), Image.Resampling.BOX), np.float32)
        for picture in (a, b)
    ]
    return float(np.abs(small[0] - small[1]).mean())


@pytest.mark.parametrize("make", [plain, rotated, upside_down_and_cropped, running_up, form])
def test_words_are_where_the_picture_shows_them(
    tmp_path: Path, make: Make, backend: PDFBackend
) -> None:
    content = page(saved(make(), tmp_path), backend)
    grey = np.asarray(content.picture.convert("L"))
    height, width = grey.shape
    ink = np.zeros(grey.shape, bool)
    for word in content.words:
        x0, y0, x1, y1 = (round(e * side) for e, side in zip(word.box, (width, height) * 2))  # noqa: B905
        assert grey[y0:y1, x0:x1].min() < 100, word
        ink[max(0, y0 - 2) : y1 + 2, max(0, x0 - 2) : x1 + 2] = True
    if make is not form:  # whose field has a frame
        assert grey[~ink].min() > 200


def test_labels_links_and_metadata(tmp_path: Path, backend: PDFBackend) -> None:
    document = plain()
    document.new_page().insert_text((72, 72), "Second")
    document.set_page_labels([{"startpage": 0, "prefix": "", "style": "r", "firstpagenum": 4}])
    address = "https://example.org/fees?year=1912"
    for top in (10, 40):
        box = pymupdf.Rect(10, top, 100, top + 20)
        document[0].insert_link({"kind": LINK_URI, "from": box, "uri": address})
    inside = {"kind": vars(pymupdf)["LINK_GOTO"], "from": pymupdf.Rect(0, 0, 9, 9), "page": 1}
    document[0].insert_link(inside)
    about = {"title": "Harbour  rules \u00e6", "author": "A. Writer", "keywords": "fees; ships"}
    dates = {"creationDate": "D:20240131120000+01'00'", "modDate": "D:20240201"}
    document.set_metadata(about | dates)
    path = saved(document, tmp_path)
    with open_pdf(path, None, backend) as opened:
        assert opened.page_count == 2
        assert not opened.is_repaired
        assert opened.metadata == {
            "title": "Harbour rules \u00e6",
            "author": "A. Writer",
            "keywords": "fees; ships",
            "created": "2024-01-31T12:00:00+01:00",
            "modified": "2024-02-01",
        }
        first, second = (opened.read_page(number, PIXELS) for number in (1, 2))
    assert (first.label, second.label) == ("iv", "v")
    assert first.links == (address,)
    assert second.links == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("D:20240131120000+01'00'", "2024-01-31T12:00:00+01:00"),
        ("D:20240131120000Z", "2024-01-31T12:00:00+00:00"),
        ("D:202401311200", "2024-01-31T12:00:00"),
        ("D:2024", "2024-01-01"),
        ("20240131", "2024-01-31"),
        ("yesterday", ""),
        ("D:20249931", ""),
        ("D:20240131996060", ""),
        ("", ""),
    ],
)
def test_dates_are_made_iso(text: str, expected: str) -> None:
    assert iso_date(text) == expected


def test_headings_and_bold_are_seen(tmp_path: Path, backend: PDFBackend) -> None:
    content = page(saved(plain(), tmp_path), backend)
    first = content.blocks[0]
    assert (first.kind, first.text) == ("heading", "Rules of the harbour")
    larger = page(saved(scaled_by_matrices(), tmp_path, "larger.pdf"), backend)
    assert ("heading", "Made larger") in [(b.kind, b.text) for b in larger.blocks]


def test_fields_without_a_picture_of_their_own_are_read(
    tmp_path: Path, backend: PDFBackend
) -> None:
    document = form()
    for xref in range(1, document.xref_length()):
        if document.xref_get_key(xref, "Subtype")[1] == "/Widget":
            document.xref_set_key(xref, "AP", "null")
    content = page(saved(document, tmp_path), backend)
    assert "Lovelace" in " ".join(text_of(content))


def test_numbers_that_stand_close_together_stay_apart(tmp_path: Path, backend: PDFBackend) -> None:
    words = [word.text for word in page(saved(narrow(), tmp_path), backend).words]
    assert words[:8] == list("01234567")
    assert words[-7:] == ["practices2,", "of", "The", "fine", "art", "of", "figures"]


def test_a_scan_inside_another_page_is_found(tmp_path: Path, backend: PDFBackend) -> None:
    scan = pymupdf.open()
    picture = picture_of_words("Chart of the fees")
    scan.new_page(width=400, height=300).insert_image((100, 75, 300, 225), stream=picture)
    document = plain()
    document[0].show_pdf_page(pymupdf.Rect(50, 400, 530, 760), scan, 0)
    [found] = page(saved(document, tmp_path), backend).scans
    assert found.box == pytest.approx((170 / 595, 490 / 842, 410 / 595, 670 / 842), abs=0.01)


def test_a_page_reads_the_same_twice(tmp_path: Path, backend: PDFBackend) -> None:
    with open_pdf(saved(form(), tmp_path), None, backend) as document:
        first, second = (document.read_page(1, PIXELS) for _ in range(2))
    assert text_of(first) == text_of(second)
    assert first.picture.tobytes() == second.picture.tobytes()


def test_a_scan_is_to_be_read_by_ocr(tmp_path: Path, backend: PDFBackend) -> None:
    document = pymupdf.open()
    document.new_page(width=400, height=300).insert_image(
        (0, 0, 400, 300), stream=picture_of_words("Harbour regulations 1912")
    )
    content = page(saved(document, tmp_path), backend)
    assert not content.blocks
    [scan] = content.scans
    assert scan.box == (0, 0, 1, 1)
    assert scan.picture.width == pytest.approx(400 * 150 / 72, abs=2)
    assert np.asarray(scan.picture.convert("L")).min() < 100


def test_a_large_picture_beside_text_is_to_be_read_by_ocr(
    tmp_path: Path, backend: PDFBackend
) -> None:
    document = plain()
    document[0].insert_image((100, 450, 400, 675), stream=picture_of_words("Chart of the fees"))
    content = page(saved(document, tmp_path), backend)
    [scan] = content.scans
    expected = (100 / 595, 450 / 842, 400 / 595, 675 / 842)
    assert scan.box == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("size", [(14_400, 14_400), (200_000, 200_000), (14_400, 3), (5, 5)])
def test_pages_of_any_size_stay_within_the_bound(
    tmp_path: Path, backend: PDFBackend, size: tuple[int, int]
) -> None:
    document = pymupdf.open()
    sheet = document.new_page(width=size[0], height=size[1])
    sheet.draw_rect((0, 0, size[0] / 2, size[1]), fill=(1, 0, 0))
    content = page(saved(document, tmp_path), backend)
    assert content.picture.width * content.picture.height <= 1.01 * PIXELS
    assert max(content.picture.size) <= 8192
    assert content.is_reduced == (size[0] == size[1] > 14_000)


def test_a_blank_page_is_blank(tmp_path: Path, backend: PDFBackend) -> None:
    document = plain()
    document.new_page()
    content = page(saved(document, tmp_path), backend, number=2)
    assert content.is_blank
    assert (content.blocks, content.words, content.scans) == ((), (), ())


def test_a_locked_document_says_what_it_wants(tmp_path: Path, backend: PDFBackend) -> None:
    path = tmp_path / "locked.pdf"
    plain().save(path, encryption=AES_256, user_pw="sesame", owner_pw="owner")
    with pytest.raises(PasswordNeeded, match=r"locked\.pdf .*--password.*LoadOptions\(password"):
        open_pdf(path, None, backend)
    with pytest.raises(PasswordNeeded, match="does not open it"):
        open_pdf(path, "guess", backend)
    with open_pdf(path, "sesame", backend) as document:
        assert "harbour" in document.read_page(1, PIXELS).blocks[0].text


def test_a_password_that_is_not_needed_is_no_error(tmp_path: Path, backend: PDFBackend) -> None:
    with open_pdf(saved(plain(), tmp_path), "sesame", backend) as document:
        assert document.page_count == 1


def test_a_document_without_its_table_is_repaired(tmp_path: Path, backend: PDFBackend) -> None:
    path = saved(plain(), tmp_path)
    path.write_bytes(path.read_bytes().replace(b"startxref", b"startxxxx"))
    with open_pdf(path, None, backend) as document:
        assert document.is_repaired
        assert "Rules of the harbour" in text_of(document.read_page(1, PIXELS))


@pytest.mark.parametrize(
    "content", [b"", b"%PDF-1.7\n", b"%PDF-1.7\n" + bytes(range(256)) * 8, b"Dear reader\n" * 99]
)
def test_what_is_no_pdf_is_unreadable(
    tmp_path: Path, backend: PDFBackend, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "half.pdf"
    path.write_bytes(content)
    with pytest.raises(UnreadableMedia, match=r"half\.pdf"):
        loaded(path, tmp_path, backend)
    assert capfd.readouterr() == ("", "")


def test_a_page_that_cannot_be_loaded_leaves_the_others(
    tmp_path: Path, backend: PDFBackend
) -> None:
    document = plain()
    document.new_page().insert_text((72, 72), "Second page, which is fine")
    kids = document.xref_get_key(document[0].xref, "Parent")[1].split()[0]
    lost = document.xref_get_key(int(kids), "Kids")[1].replace(f"{document[0].xref} 0 R", "999 0 R")
    document.xref_set_key(int(kids), "Kids", lost)
    path = tmp_path / "lost.pdf"
    path.write_bytes(document.tobytes())
    assert "Second page, which is fine" in loaded(path, tmp_path, backend)


def test_a_file_that_is_not_there_is_unreadable(tmp_path: Path, backend: PDFBackend) -> None:
    with pytest.raises(UnreadableMedia, match=r"none\.pdf"):
        open_pdf(tmp_path / "none.pdf", None, backend)


def test_closing_twice_is_no_error(tmp_path: Path, backend: PDFBackend) -> None:
    document = open_pdf(saved(plain(), tmp_path), None, backend)
    document.close()
    document.close()


def test_four_threads_get_the_right_text(tmp_path: Path, backend: PDFBackend) -> None:
    def many(n: int) -> Path:
        document = pymupdf.open()
        for number in range(12):
            document.new_page().insert_text((72, 72), f"document {n} page {number} " * 4)
        return saved(document, tmp_path, f"{n}.pdf")

    paths = [many(n) for n in range(4)]
    found: dict[int, list[str]] = {}

    def read(n: int) -> None:
        with open_pdf(paths[n], None, backend) as document:
            found[n] = [
                " ".join(word.text for word in document.read_page(number, 100_000).words)
                for number in range(1, 13)
            ]

    threads = [threading.Thread(target=read, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n, number in product(range(4), range(12)):
        assert found[n][number] == " ".join([f"document {n} page {number}"] * 4)


def test_one_document_serves_several_threads(tmp_path: Path, backend: PDFBackend) -> None:
    document = pymupdf.open()
    for number in range(8):
        document.new_page().insert_text((72, 72), f"page {number}")
    found: dict[int, list[str]] = {}

    def read(opened: PDFDocument, number: int) -> None:
        found[number] = text_of(opened.read_page(number + 1, 100_000))

    with open_pdf(saved(document, tmp_path), None, backend) as opened:
        threads = [threading.Thread(target=read, args=(opened, n)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {n: [f"page {n}"] for n in range(8)}


def loaded(path: Path, folder: Path, backend: PDFBackend | None) -> list[str]:
    options = LoadOptions(assets=AssetStore(folder / "assets"), pdf_backend=backend)
    file = SourceFile.of(Source(path), options)
    return [segment.text for segment in PDFLoader(options).segments(file)]


def test_the_loader_takes_the_one_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(plain(), tmp_path)
    expected = loaded(path, tmp_path, "pymupdf")
    assert "Rules of the harbour" in expected[0]
    with monkeypatch.context() as missing:
        missing.setitem(sys.modules, "pymupdf", None)
        assert loaded(path, tmp_path, "pdfium") == expected
        assert loaded(path, tmp_path, None) == expected
        with pytest.raises(MissingExtra, match=r"pip install .*\[pdf\]'"):
            loaded(path, tmp_path, "pymupdf")
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    assert loaded(path, tmp_path, None) == expected
    with pytest.raises(MissingExtra, match=r"pip install .*\[pdfium\]'"):
        loaded(path, tmp_path, "pdfium")
    monkeypatch.setitem(sys.modules, "pymupdf", None)
    message = r"pip install .*\[pdf\]' or .*pip install .*\[pdfium\]'"
    with pytest.raises(MissingExtra, match=message):
        loaded(path, tmp_path, None)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_break_spaces_of_a_font_separate_words(tmp_path: Path, backend: PDFBackend) -> None:
    document = pymupdf.open()
    page = document.new_page()
    # Its text layer has a no-break space for every space.
    font = pymupdf.Font("tibo")
    page.insert_font(fontname="own", fontbuffer=font.buffer)
    page.insert_text((50, 100), "three\u00a0words apart", fontname="own")
    options = LoadOptions(assets=AssetStore(tmp_path / "assets"), pdf_backend=backend)
    shot = next(PDFLoader(options).load(saved(document, tmp_path)))
    assert shot.text == "three words apart"
