from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import pymupdf
import pytest
from PIL import Image, ImageDraw, ImageFont

from mm_rag.errors import MediaTooLarge, PasswordNeeded, UnreadableMedia
from mm_rag.media import MediaPolicy
from mm_rag.segment import Segment
from mm_rag_loaders import AssetStore, LoadOptions, PDFLoader, Source, SourceFile
from tests.loaders.pdfs import PROSE, saved

AES_256: int = vars(pymupdf)["PDF_ENCRYPT_AES_256"]
WIDGET_TEXT: int = vars(pymupdf)["PDF_WIDGET_TYPE_TEXT"]


def written(*pages: str) -> pymupdf.Document:
    document = pymupdf.open()
    for text in pages:
        page = document.new_page(width=400, height=300)
        page.insert_textbox((40, 40, 360, 260), text, fontsize=12)
    return document


def scanned(text: str) -> bytes:
    picture = Image.new("RGB", (800, 600), "white")
    ImageDraw.Draw(picture).text((60, 80), text, "black", ImageFont.load_default(36))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def read(path: Path, options: LoadOptions) -> tuple[list[Segment], list[str]]:
    file = SourceFile.of(Source(path), options)
    return list(PDFLoader(options).segments(file)), [note.text for note in file.notes]


def test_a_page_is_a_screenshot_and_its_passages(tmp_path: Path, options: LoadOptions) -> None:
    path = saved(written("Alpha on one.", f"{PROSE} " * 6), tmp_path)
    segments, notes = read(path, options)
    assert [(s.modality, s.page, s.part) for s in segments] == [
        ("image", 1, 0),
        ("text", 1, 0),
        ("image", 2, 0),
        ("text", 2, 0),
    ]
    assert segments[0].text == segments[1].text == "Alpha on one."
    assert segments[0].title == "a deck"
    assert segments[0].media == segments[0].preview == segments[1].media
    assert segments[0].mime_type == "image/jpeg"
    assert segments[0].metadata == {"pages": 2}
    assert len({s.id for s in segments}) == 4
    assert notes == []


def test_a_long_page_has_several_passages(tmp_path: Path) -> None:
    options = LoadOptions(assets=AssetStore(tmp_path), passage_words=40)
    segments, _ = read(saved(written(f"{PROSE} " * 8), tmp_path), options)
    parts = [s.part for s in segments if s.modality == "text"]
    assert parts == list(range(len(parts)))
    assert len(parts) >= 2


def test_the_screenshot_shows_the_page_within_the_bound(
    tmp_path: Path, options: LoadOptions
) -> None:
    segments, _ = read(saved(written("Alpha on one."), tmp_path), options)
    with Image.open(segments[0].media or "") as shot:
        assert shot.width / shot.height == pytest.approx(4 / 3, abs=0.01)
        assert 0.7 * options.page_pixels < shot.width * shot.height <= 1.01 * options.page_pixels


@pytest.mark.parametrize("size", [(200_000, 200_000), (14_400, 3), (5, 5)])
def test_pages_of_any_size_are_rendered_within_the_bound(
    tmp_path: Path, options: LoadOptions, size: tuple[int, int]
) -> None:
    document = pymupdf.open()
    page = document.new_page(width=size[0], height=size[1])
    page.draw_rect((0, 0, size[0] / 2, size[1]), fill=(1, 0, 0))
    page.insert_text((1, 3), "Map")  # a text layer, however short: nothing to read by OCR
    segments, _ = read(saved(document, tmp_path), options)
    with Image.open(segments[0].media or "") as shot:
        assert shot.width * shot.height <= 1.01 * options.page_pixels
        assert max(shot.size) <= 8192


@pytest.mark.slow
def test_a_scan_is_read(tmp_path: Path, options: LoadOptions) -> None:
    document = pymupdf.open()
    document.new_page(width=400, height=300).insert_image(
        (0, 0, 400, 300), stream=scanned("Harbour regulations 1912")
    )
    segments, _ = read(saved(document, tmp_path), options)
    assert segments[0].text == "Harbour regulations 1912"
    assert segments[0].metadata["ocr"] is True


@pytest.mark.slow
def test_a_scan_with_a_stamp_as_text_is_read(tmp_path: Path, options: LoadOptions) -> None:
    document = pymupdf.open()
    page = document.new_page(width=400, height=300)
    page.insert_image((0, 0, 400, 300), stream=scanned("Harbour regulations of 1912, Bergen"))
    page.insert_text((30, 280), "Digitized by the library", fontsize=6)
    segments, _ = read(saved(document, tmp_path), options)
    assert "Harbour regulations" in segments[0].text


def test_two_columns_are_not_interleaved(tmp_path: Path, options: LoadOptions) -> None:
    document = pymupdf.open()
    page = document.new_page()
    for number in range(10):
        for side, x in (("left", 50), ("right", 320)):
            text = f"{side}{number} some words of ordinary prose here"
            page.insert_text((x, 100 + 14 * number), text, fontsize=10)
    segments, _ = read(saved(document, tmp_path), options)
    starts = [row.split()[0] for row in segments[0].text.splitlines()]
    assert starts == [f"{side}{i}" for side in ("left", "right") for i in range(10)]


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_rotated_page_is_turned_upright(
    tmp_path: Path, options: LoadOptions, rotation: int
) -> None:
    text = "First line of the table\nSecond line of the table"
    document = written(text)
    document[0].set_rotation(rotation)
    segments, _ = read(saved(document, tmp_path), options)
    assert segments[0].text == text
    with Image.open(segments[0].media or "") as shot:
        assert shot.width > shot.height


def test_text_that_runs_up_the_page_is_turned_upright(tmp_path: Path, options: LoadOptions) -> None:
    document = pymupdf.open()
    page = document.new_page(width=300, height=400)
    for number, text in enumerate(["First line of the table", "Second line of the table"]):
        page.insert_text((50 + 20 * number, 350), text, rotate=90)
    segments, _ = read(saved(document, tmp_path), options)
    assert segments[0].text == "First line of the table\nSecond line of the table"
    with Image.open(segments[0].media or "") as shot:
        assert shot.width > shot.height


def test_form_fields_and_leaders_are_read(tmp_path: Path, options: LoadOptions) -> None:
    document = written("Wages, salaries, tips . . . . . . . . . . . 7")
    field: Any = pymupdf.Widget()
    field.field_name, field.field_value = "surname", "Lovelace"
    field.field_type = WIDGET_TEXT
    field.rect = pymupdf.Rect(40, 200, 300, 220)
    document[0].add_widget(field)
    segments, _ = read(saved(document, tmp_path), options)
    assert segments[0].text.split("\n")[0] == "Wages, salaries, tips 7"
    assert "Lovelace" in segments[0].text


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Annual Report 2024", "Annual Report 2024"),
        ("report_v3.docx", "a deck"),
        ("Microsoft Word - report", "a deck"),
        ("untitled", "a deck"),
        ("1", "a deck"),
    ],
)
def test_the_title_is_the_documents_own_where_it_means_something(
    tmp_path: Path, options: LoadOptions, title: str, expected: str
) -> None:
    document = written("Alpha")
    document.set_metadata({"title": title, "author": "A. Writer"})
    segments, _ = read(saved(document, tmp_path), options)
    assert segments[0].title == expected
    assert segments[0].metadata["author"] == "A. Writer"


def test_page_labels_are_kept(tmp_path: Path, options: LoadOptions) -> None:
    document = written("Preface", "Body")
    document.set_page_labels([{"startpage": 0, "prefix": "", "style": "r", "firstpagenum": 4}])
    segments, _ = read(saved(document, tmp_path), options)
    assert (segments[0].page, segments[0].metadata["page_label"]) == (1, "iv")


def test_blank_pages_make_no_segments(tmp_path: Path, options: LoadOptions) -> None:
    path = saved(written("Alpha", "", "Beta", "", ""), tmp_path)
    segments, notes = read(path, options)
    assert [s.page for s in segments if s.modality == "image"] == [1, 3]
    assert notes == ["blank: pages 2, 4-5"]


def test_a_document_without_anything_on_it_is_unreadable(
    tmp_path: Path, options: LoadOptions
) -> None:
    with pytest.raises(UnreadableMedia, match=r"a_deck\.pdf has no page with anything on it"):
        read(saved(written("", ""), tmp_path), options)


def test_a_locked_document_says_what_it_wants(tmp_path: Path, options: LoadOptions) -> None:
    path = tmp_path / "locked.pdf"
    document = written("Secret")
    document.save(path, encryption=AES_256, user_pw="sesame")
    with pytest.raises(PasswordNeeded, match=r"locked\.pdf .*--password.*LoadOptions\(password"):
        read(path, options)
    wrong = LoadOptions(assets=options.assets, password="guess")
    with pytest.raises(PasswordNeeded, match="does not open it"):
        read(path, wrong)
    right = LoadOptions(assets=options.assets, password="sesame")
    assert read(path, right)[0][0].text == "Secret"


def test_a_damaged_document_is_repaired_and_noted(tmp_path: Path, options: LoadOptions) -> None:
    path = saved(written("Alpha"), tmp_path)
    path.write_bytes(path.read_bytes().replace(b"startxref", b"startxxxx"))
    segments, notes = read(path, options)
    assert segments[0].text == "Alpha"
    assert notes == ["damaged; repaired while opening"]


def test_what_cannot_be_repaired_is_unreadable(
    tmp_path: Path, options: LoadOptions, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "half.pdf"
    path.write_bytes(b"%PDF-1.7\n" + bytes(range(256)) * 8)
    with pytest.raises(UnreadableMedia, match=r"half\.pdf"):
        read(path, options)
    assert capfd.readouterr() == ("", "")


def test_pages_over_the_limit_are_left_out_and_noted(tmp_path: Path, options: LoadOptions) -> None:
    few = LoadOptions(assets=options.assets, policy=MediaPolicy(max_pages=2))
    segments, notes = read(saved(written("A", "B", "C"), tmp_path), few)
    assert segments[-1].page == 2
    assert notes == ["only the first 2 of 3 pages were read (MediaPolicy.max_pages)"]


def test_too_many_bytes_are_refused(tmp_path: Path, options: LoadOptions) -> None:
    small = LoadOptions(assets=options.assets, policy=MediaPolicy(max_bytes=100))
    with pytest.raises(MediaTooLarge, match=r"MediaPolicy\.max_bytes"):
        read(saved(written("A"), tmp_path), small)


def test_several_threads_may_read_at_once(tmp_path: Path, options: LoadOptions) -> None:
    paths = [
        saved(written(*[f"Document {n}, page {p}" for p in range(5)]), tmp_path, f"{n}.pdf")
        for n in range(4)
    ]
    found: dict[Path, list[str]] = {}

    def run(path: Path) -> None:
        found[path] = [s.text for s in read(path, options)[0] if s.modality == "image"]

    threads = [threading.Thread(target=run, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n, path in enumerate(paths):
        assert found[path] == [f"Document {n}, page {p}" for p in range(5)]


def test_links_are_metadata(tmp_path: Path, options: LoadOptions) -> None:
    document = written("See the manual.", "Nothing to see.")
    places = ["https://example.org/a", "https://example.org/b", "https://example.org/a"]
    for at, uri in enumerate([*places, "javascript:alert(1)"]):
        area = pymupdf.Rect(40, 40 + 10 * at, 90, 48 + 10 * at)
        document[0].insert_link({"kind": vars(pymupdf)["LINK_URI"], "from": area, "uri": uri})
    segments, _ = read(saved(document, tmp_path), options)
    assert segments[0].metadata["links"] == "https://example.org/a\nhttps://example.org/b"
    assert "links" not in segments[-1].metadata


def test_what_the_document_says_about_itself_is_metadata(
    tmp_path: Path, options: LoadOptions
) -> None:
    document = written("Alpha")
    document.set_metadata(
        {
            "author": "(anonymous)",
            "subject": "Foxes",
            "keywords": "fox, dog",
            "creationDate": "D:20240131120000+01'00'",
            "modDate": "nonsense",
        }
    )
    segments, _ = read(saved(document, tmp_path), options)
    assert segments[0].metadata == {
        "pages": 1,
        "subject": "Foxes",
        "keywords": "fox, dog",
        "created": "2024-01-31T12:00:00+01:00",
    }
