"""Workbooks by their cells, written by openpyxl, XlsxWriter and LibreOffice."""

from __future__ import annotations

import datetime
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter
from openpyxl.comments import Comment
from PIL import Image

from mm_rag.media import MediaPolicy
from mm_rag_loaders import LoadedFile, LoadOptions, load_file
from mm_rag_loaders.office import libreoffice
from mm_rag_loaders.spreadsheet.number_format import shown_by
from tests.loaders.test_office import needs_office
from tests.office_made import compound, opendocument, xlsx

Sheets = dict[str, list[list[Any]]]


@pytest.fixture
def quick(options: LoadOptions, monkeypatch: pytest.MonkeyPatch) -> LoadOptions:
    """Options for reading in this process, without LibreOffice."""
    monkeypatch.setattr(libreoffice, "_PROGRAMS", ())
    return replace(options, workers=0)


def saved(path: Path, sheets: Sheets, change: Callable[[Any], object] | None = None) -> Path:
    """A workbook by openpyxl, which writes no results of formulas."""
    book: Any = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    if change:
        change(book)
    book.save(path)
    return path


def converted(path: Path, suffix: str) -> Path:
    """The same by LibreOffice."""
    folder = path.parent / "converted"
    profile = (path.parent / "profile").as_uri()
    command = ["soffice", f"-env:UserInstallation={profile}", "--headless", "--convert-to", suffix]
    subprocess.run([*command, "--outdir", str(folder), str(path)], check=True, capture_output=True)
    return folder / f"{path.stem}.{suffix}"


def lines(loaded: LoadedFile) -> list[str]:
    """The lines of all passages, without the rules below headers."""
    texts = [segment.text for segment in loaded.segments if segment.modality == "text"]
    return [
        line for text in texts for line in text.splitlines() if not re.fullmatch(r"\|[-|]+", line)
    ]


def notes(loaded: LoadedFile) -> list[tuple[str, str]]:
    return [(note.kind, note.text) for note in loaded.notes]


INVOICES: list[list[Any]] = [
    ["invoice_number", "customer_name", "delivery_address", "due_date", "amount"],
    [
        *("INV-2024-000731", "Northwind Traders Limited", "14 Lighthouse Quay, Stornoway"),
        *(datetime.date(2024, 3, 17), 1234567.5),
    ],
    [
        *("INV-2024-000732", "Brightwater Boatyard", "Unit 9, Saltmarsh Lane, Padstow"),
        *(datetime.date(2024, 4, 2), 88123.25),
    ],
]
INVOICE_LINES = [
    "| invoice_number | customer_name | delivery_address | due_date | amount |",
    "| INV-2024-000731 | Northwind Traders Limited | 14 Lighthouse Quay, Stornoway "
    "| 2024-03-17 | 1234567.5 |",
    "| INV-2024-000732 | Brightwater Boatyard | Unit 9, Saltmarsh Lane, Padstow "
    "| 2024-04-02 | 88123.25 |",
]


def test_cells_are_whole_however_narrow_their_columns_are(
    tmp_path: Path, quick: LoadOptions
) -> None:
    loaded = load_file(saved(tmp_path / "unpaid_bills.xlsx", {"Open": INVOICES}), quick)
    assert (loaded.state, loaded.kind) == ("loaded", "spreadsheet")
    assert lines(loaded) == INVOICE_LINES
    [passage] = loaded.segments
    assert (passage.page, passage.where, passage.title) == (
        *(1, "sheet Open, rows 2-3"),
        "unpaid bills: Open",
    )
    assert passage.metadata["sheet"] == "Open"


def test_five_thousand_rows_are_found_each_whole(tmp_path: Path, quick: LoadOptions) -> None:
    rows = [[f"part-{n:05d}", n * 3, f"shelf {n % 40}"] for n in range(5000)]
    path = saved(tmp_path / "stock.xlsx", {"Stock": [["part", "pieces", "place"], *rows]})
    loaded = load_file(path, quick)
    found = [line for line in lines(loaded) if line != "| part | pieces | place |"]
    assert found == [f"| {name} | {pieces} | {place} |" for name, pieces, place in rows]
    for segment in loaded.segments:
        assert segment.text.startswith("| part | pieces | place |\n|---|---|---|\n")
    ends = [segment.metadata["rows"] for segment in loaded.segments]
    assert str(ends[0]).startswith("2-")
    assert str(ends[-1]).endswith("-5001")


def test_a_wide_row_stays_together_with_its_name(tmp_path: Path, quick: LoadOptions) -> None:
    names = ["pump", *(f"measure {n}" for n in range(60))]
    rows = [[f"pump {row}", *(f"R{row}M{n}" for n in range(60))] for row in range(3)]
    loaded = load_file(saved(tmp_path / "wide.xlsx", {"Wide": [names, *rows]}), quick)
    for row in range(3):
        for n in range(60):
            [text] = [s.text for s in loaded.segments if f"R{row}M{n}" in s.text.split()]
            assert f"measure {n}: R{row}M{n}" in text.splitlines()
            assert text.startswith(f"pump: pump {row}\n")


def test_a_long_text_in_a_cell_is_cut_like_a_text(tmp_path: Path, quick: LoadOptions) -> None:
    text = " ".join(f"Sentence {n} tells of the harbour wall." for n in range(100))
    path = saved(
        tmp_path / "notes.xlsx", {"N": [["topic", "notes", "year"], ["walls", text, 2024]]}
    )
    loaded = load_file(path, quick)
    whole = " ".join(segment.text for segment in loaded.segments)
    for n in range(100):
        assert f"Sentence {n} tells of the harbour wall." in whole
    assert "year: 2024" in loaded.segments[-1].text
    for segment in loaded.segments:
        assert "topic: walls\n" in segment.text
    assert len(loaded.segments) > 3


FORMATS = [
    (0.125, "0.0%", "12.5%"),
    (731, "000000", "000731"),
    (1234.5, '#,##0.00 "€"', "1,234.50 €"),
    (-1234.5, "#,##0.00;[Red](#,##0.00)", "(1,234.50)"),
    (1234.5, "[$£-809]#,##0.00", "£1,234.50"),
    (45368, "d. mmmm yyyy", "17. March 2024"),
    (45368, "dddd", "Sunday"),
    (45368.75, "dd/mm/yyyy hh:mm", "17/03/2024 18:00"),
    (45368, "yyyy-mm-dd h:mm:ss", "2024-03-17"),
    (45368.75, "yyyy-mm-dd h:mm:ss", "2024-03-17 18:00:00"),
    (0.52, "h:mm AM/PM", "12:28 PM"),
    (1.5, "[h]:mm:ss", "36:00:00"),
    (61 / 86400, "mm:ss.0", "01:01.0"),
    (123456789, "000-00-0000", "123-45-6789"),
    (0.5, "# ?/?", "1/2"),
    (123.456, "0.00E+00", "1.23E+02"),
    (1234567, '0.0,,"M"', "1.2M"),
    (1.005, "0.00", "1.01"),
    (0, '"yes";"yes";"no"', "no"),
    (5551234567, "[<=9999999]###-####;(###) ###-####", "(555) 123-4567"),
    # What would hide a value or a part of a code is not followed.
    (12345678901234, "General", "12345678901234"),
    (4711, ";;;", "4711"),
    (-5, "yyyy-mm-dd", "-5"),
]


@pytest.mark.parametrize(("value", "code", "shown"), FORMATS)
def test_numbers_are_shown_in_their_format(value: float, code: str, shown: str) -> None:
    assert shown_by(code)(value) == shown


def test_values_of_every_kind(tmp_path: Path, quick: LoadOptions) -> None:
    """XlsxWriter writes results beside formulas."""
    path = tmp_path / "kinds.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet("Kinds")
        percent, stamp = (book.add_format({"num_format": f}) for f in ("0.0%", "yyyy-mm-dd hh:mm"))
        sheet.write_row(0, 0, ["share", "when", "sum", "failed", "done", "words"])
        sheet.write_number(1, 0, 0.071, percent)
        sheet.write_datetime(1, 1, datetime.datetime(2024, 3, 17, 18, 5), stamp)
        sheet.write_formula(1, 2, "=40+2", None, 42)
        sheet.write_formula(1, 3, "=1/0", None, "#DIV/0!")  # pyright: ignore
        sheet.write_boolean(1, 4, True)
        sheet.write_rich_string(1, 5, "two ", book.add_format({"bold": True}), "pieces")
        sheet.write_url(2, 5, "https://example.org/wall", string="the wall")
        link = '=HYPERLINK("https://example.org/quay","quay")'
        sheet.write_formula(3, 5, link, None, "quay")  # pyright: ignore
    loaded = load_file(path, quick)
    assert lines(loaded)[1:] == [
        "| 7.1% | 2024-03-17 18:05 | 42 | #DIV/0! | TRUE | two pieces |",
        "|  |  |  |  |  | the wall |",
        "|  |  |  |  |  | quay |",
    ]
    links = loaded.segments[0].metadata["links"]
    assert links == "https://example.org/wall\nhttps://example.org/quay"


def test_what_is_hidden_is_read_and_marked(tmp_path: Path, quick: LoadOptions) -> None:
    def hide(book: Any) -> None:
        book["Costs"].row_dimensions[3].hidden = True
        book["Costs"].column_dimensions["B"].hidden = True
        book["Salaries"].sheet_state = "veryHidden"

    sheets: Sheets = {
        "Costs": [["item", "price"], ["paint", 12], ["rope", 7]],
        "Salaries": [["name", "pay"], ["Okafor", 4100]],
    }
    loaded = load_file(saved(tmp_path / "a.xlsx", sheets, hide), quick)
    costs, salaries = loaded.segments
    assert "| rope | 7 |" in costs.text
    assert costs.metadata["hidden"] == "row 3; column B"
    assert "| Okafor | 4100 |" in salaries.text
    assert (salaries.page, salaries.metadata["hidden"]) == (2, "sheet")
    assert [text for kind, text in notes(loaded) if kind == "hidden"] == [
        "sheet 'Costs' has 1 hidden row and 1 hidden column; they were read",
        "sheet 'Salaries' is hidden; it was read",
    ]


def test_comments_stand_with_their_row_and_author(tmp_path: Path, quick: LoadOptions) -> None:
    def comment(book: Any) -> None:
        book["A"]["B2"].comment = Comment("Okafor:\nAsk Miriam whether this is net.", "Okafor")
        book["A"]["D9"].comment = Comment("On an empty cell.", "")

    loaded = load_file(saved(tmp_path / "a.xlsx", {"A": [["x", "y"], ["p", 3]]}, comment), quick)
    table, rest = loaded.segments
    assert table.text.endswith(
        "| p | 3 |\n\nComment on B2 by Okafor: Ask Miriam whether this is net."
    )
    assert rest.text == "Comment on D9: On an empty cell."


def test_threaded_comments_have_their_authors(tmp_path: Path, quick: LoadOptions) -> None:
    """As Excel writes them, with a text for older programs that is not shown."""

    def comment(book: Any) -> None:
        old = (
            "[Threaded comment]\n\nYour version of Excel does not show it.\n\nComment:\n Too dear."
        )
        book["A"]["A2"].comment = Comment(old, "tc={1}")

    path = saved(tmp_path / "a.xlsx", {"A": [["x", "y"], ["p", 3]]}, comment)
    thread = (
        '<ThreadedComments xmlns="http://schemas.microsoft.com/office/spreadsheetml/2018/'
        'threadedcomments"><threadedComment ref="A2" personId="{7}" id="{1}"><text>Too dear.</text>'
        '</threadedComment><threadedComment ref="A2" personId="{8}" id="{2}" parentId="{1}">'
        "<text>I agree.</text></threadedComment></ThreadedComments>"
    )
    people = (
        '<personList xmlns="http://schemas.microsoft.com/office/spreadsheetml/2018/'
        'threadedcomments"><person displayName="Ada" id="{7}"/><person displayName="Ben" id="{8}"/>'
        "</personList>"
    )
    kind = "http://schemas.microsoft.com/office/2017/10/relationships"
    with zipfile.ZipFile(path) as archive:
        members = {
            name: archive.read(name).decode("utf-8", "replace") for name in archive.namelist()
        }
    members["xl/threadedComments/t1.xml"] = thread
    members["xl/persons/person.xml"] = people
    for part, kind_of, target in (
        ("xl/worksheets/_rels/sheet1.xml.rels", "threadedComment", "../threadedComments/t1.xml"),
        ("xl/_rels/workbook.xml.rels", "person", "persons/person.xml"),
    ):
        link = f'<Relationship Id="t9" Type="{kind}/{kind_of}" Target="{target}"/></Relationships>'
        members[part] = members[part].replace("</Relationships>", link)
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    assert lines(load_file(path, quick))[-4:] == [
        "",
        "Comment on A2 by Ada: Too dear.",
        "",
        "Comment on A2 by Ben: I agree.",
    ]


def test_several_tables_on_a_sheet_keep_their_titles_and_headers(
    tmp_path: Path, quick: LoadOptions
) -> None:
    rows: list[list[Any]] = [
        ["Big cities", None, None, "Small cities", None],
        ["City", "People", None, "City", "People"],
        ["Shanghai", 24256800, None, "Seattle", 609000],
        ["Karachi", 23500000, None, "Havana", 2106000],
        [],
        ["Total", 47756800],
        [],
        ["Country", "Capital"],
        ["Norway", "Oslo"],
        ["Ireland", "Dublin"],
    ]
    loaded = load_file(saved(tmp_path / "a.xlsx", {"Cities": rows}), quick)
    assert [segment.text for segment in loaded.segments] == [
        "Big cities\n\n| City | People |\n|---|---|\n"
        "| Shanghai | 24256800 |\n| Karachi | 23500000 |",
        "Small cities\n\n| City | People |\n|---|---|\n| Seattle | 609000 |\n| Havana | 2106000 |",
        "Big cities\n\n| City | People |\n|---|---|\n| Total | 47756800 |",
        "| Country | Capital |\n|---|---|\n| Norway | Oslo |\n| Ireland | Dublin |",
    ]
    assert [segment.where for segment in loaded.segments] == [
        *("sheet Cities, rows 3-4", "sheet Cities, rows 3-4"),
        *("sheet Cities, row 6", "sheet Cities, rows 9-10"),
    ]
    assert loaded.segments[0].metadata["heading"] == "Big cities"


def test_lines_above_a_table_are_its_title_across_an_empty_row(
    tmp_path: Path, quick: LoadOptions
) -> None:
    rows: list[list[Any]] = [
        *(["Report of 2024"], ["in thousands"], [], ["Region", "Sum"], ["North", 1], ["South", 2]),
        *([], ["Figures are preliminary."]),
    ]
    loaded = load_file(saved(tmp_path / "a.xlsx", {"A": rows}), quick)
    assert [segment.text for segment in loaded.segments] == [
        "Report of 2024\nin thousands\n\n| Region | Sum |\n|---|---|\n| North | 1 |\n| South | 2 |",
        "Figures are preliminary.",
    ]
    assert loaded.segments[0].metadata["heading"] == "Report of 2024 in thousands"


@pytest.mark.slow
def test_pictures_on_sheets_and_embedded_files_are_files_of_their_own(
    tmp_path: Path, quick: LoadOptions
) -> None:
    picture = tmp_path / "crane.png"
    Image.new("RGB", (300, 200), "teal").save(picture)
    path = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet("A")
        sheet.write(0, 0, "The crane")
        sheet.insert_image(2, 2, str(picture), {"description": "A teal crane"})
        book.set_properties({"author": "Okafor"})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/embeddings/terms.txt", "Notice is six weeks.")
    loaded = load_file(path, quick)
    found = [(s.member, s.modality, s.text) for s in loaded.segments]
    assert found[0] == (None, "text", "The crane")
    assert found[1] == (None, "text", "A teal crane")
    assert ("terms.txt", "text", "Notice is six weeks.") in found
    assert [(member, modality) for member, modality, _ in found if modality == "image"] == [
        ("image1.png", "image")
    ]
    assert loaded.segments[0].metadata["author"] == "Okafor"


def test_merged_cells_name_the_rows_and_columns_that_they_span(
    tmp_path: Path, quick: LoadOptions
) -> None:
    def merge(book: Any) -> None:
        for cells in ("B1:C1", "D1:E1", "A3:A4"):
            book["A"].merge_cells(cells)

    rows: list[list[Any]] = [
        [None, "2023", None, "2024", None],
        ["Region", "Q1", "Q2", "Q1", "Q2"],
        ["North", 1, 2, 3, 4],
        [None, 5, 6, 7, 8],
    ]
    loaded = load_file(saved(tmp_path / "a.xlsx", {"A": rows}, merge), quick)
    assert lines(loaded) == [
        "| Region | 2023 Q1 | 2023 Q2 | 2024 Q1 | 2024 Q2 |",
        "| North | 1 | 2 | 3 | 4 |",
        "| North | 5 | 6 | 7 | 8 |",
    ]


def test_an_empty_column_does_not_tear_rows(tmp_path: Path, quick: LoadOptions) -> None:
    rows = [["Item", None, "Price"], ["Paint", None, 12], ["Rope", None, 7]]
    loaded = load_file(saved(tmp_path / "a.xlsx", {"A": rows}), quick)
    assert "| Paint |  | 12 |" in lines(loaded)


def test_text_boxes_and_titles_of_charts_are_read(tmp_path: Path, quick: LoadOptions) -> None:
    path = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet("A")
        sheet.write_column(0, 0, ["year", 2023, 2024])
        sheet.insert_textbox(5, 5, "The pumps were replaced in May.")
        chart: Any = book.add_chart({"type": "line"})
        chart.add_series({"values": "=A!$A$2:$A$3", "name": "Depth at the quay"})
        chart.set_title({"name": "Water levels"})
        sheet.insert_chart(9, 5, chart)
    assert lines(load_file(path, quick))[-3:] == [
        *("The pumps were replaced in May.", "", "Chart: Water levels; Depth at the quay")
    ]


def test_formulas_without_results_are_shown_as_written_without_libreoffice(
    tmp_path: Path, quick: LoadOptions
) -> None:
    rows = [["item", "price"], ["paint", 12], ["total", "=SUM(B2:B2)"]]
    loaded = load_file(saved(tmp_path / "a.xlsx", {"A": rows}), quick)
    assert "| total | =SUM(B2:B2) |" in lines(loaded)
    [text] = [text for kind, text in notes(loaded) if kind == "unsupported"]
    assert text.startswith("sheet 'A' has 1 formula without a result, shown as written (Office")
    assert "missing reader" in [kind for kind, _ in notes(loaded)]


@pytest.mark.slow
@needs_office
def test_libreoffice_calculates_formulas_and_draws_sheets(
    tmp_path: Path, options: LoadOptions
) -> None:
    def hide(book: Any) -> None:
        book["Hidden"].sheet_state = "hidden"

    sheets: Sheets = {
        "Costs": [["item", "price"], ["paint", 12], ["rope", 7], ["total", "=SUM(B2:B3)"]],
        "Empty": [],
        "Hidden": [["a", "b"], ["c", "=1+2"]],
    }
    loaded = load_file(saved(tmp_path / "a.xlsx", sheets, hide), options)
    assert lines(loaded) == [
        *("| item | price |", "| paint | 12 |", "| rope | 7 |", "| total | 19 |"),
        *("| a | b |", "| c | 3 |"),
    ]
    assert [(s.modality, s.page, s.where) for s in loaded.segments] == [
        ("image", 1, "sheet Costs"),
        ("text", 1, "sheet Costs, rows 2-4"),
        ("image", 3, "sheet Hidden"),
        ("text", 3, "sheet Hidden, row 2"),
    ]
    picture, passage = loaded.segments[:2]
    assert picture.text == passage.text
    assert picture.media == passage.media
    assert picture.media != loaded.segments[2].media
    assert [kind for kind, _ in notes(loaded)] == ["hidden"]


@pytest.mark.slow
@needs_office
def test_a_sheet_whose_columns_cut_cells_off_has_no_picture(
    tmp_path: Path, options: LoadOptions
) -> None:
    def widen(book: Any) -> None:
        for letter in "ABCDE":
            book["Wide"].column_dimensions[letter].width = 40

    sheets: Sheets = {"Narrow": INVOICES, "Wide": INVOICES}
    loaded = load_file(saved(tmp_path / "a.xlsx", sheets, widen), options)
    assert lines(loaded) == 2 * INVOICE_LINES
    assert [s.where for s in loaded.segments if s.modality == "image"] == ["sheet Wide"]
    assert notes(loaded) == [("limit", "sheet 'Narrow' has no picture: its columns cut cells off")]


@pytest.mark.slow
@needs_office
@pytest.mark.parametrize("suffix", ["ods", "fods", "xls", "xlsx"])
def test_what_libreoffice_writes_is_read_with_everything(
    tmp_path: Path, options: LoadOptions, suffix: str
) -> None:
    def change(book: Any) -> None:
        book["Bills"]["A2"].comment = Comment("Paid in cash.", "Okafor")
        book["Bills"].row_dimensions[3].hidden = True
        for letter in "ABCDE":
            book["Bills"].column_dimensions[letter].width = 40
        for row in (2, 3):
            book["Bills"].cell(row, 5).number_format = "#,##0.00"
        book["Second"].sheet_state = "hidden"

    sheets: Sheets = {
        "Bills": [INVOICES[0], *([*row[:3], row[3], row[4]] for row in INVOICES[1:])],
        "Second": [["paid", "sum"], [True, "=6*7"]],
    }
    made = converted(saved(tmp_path / "a.xlsx", sheets, change), suffix)
    path = shutil.move(made, tmp_path / f"bills.{suffix}")
    loaded = load_file(path, options)
    assert (loaded.state, loaded.kind) == ("loaded", "spreadsheet"), loaded.reason
    found = lines(loaded)
    assert found[1] == INVOICE_LINES[1].replace("1234567.5", "1,234,567.50")
    assert found[2] == INVOICE_LINES[2].replace("88123.25", "88,123.25")
    assert re.fullmatch(r"Comment on A2( by \w+)?: Paid in cash\.", found[4])
    assert found[-1] == "| TRUE | 42 |"
    assert loaded.segments[0].metadata["hidden"] == "row 3"
    assert [text for kind, text in notes(loaded) if kind == "hidden"] == [
        "sheet 'Bills' has 1 hidden row; they were read",
        "sheet 'Second' is hidden; it was read",
    ]
    assert {s.page for s in loaded.segments if s.modality == "image"} == {1, 2}


@pytest.mark.slow
@needs_office
@pytest.mark.parametrize("suffix", ["ods", "xls", "xlsx"])
def test_without_libreoffice_all_cells_are_there(
    tmp_path: Path, quick: LoadOptions, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = converted(saved(tmp_path / "a.xlsx", {"Bills": INVOICES}), suffix)
    loaded = load_file(path, quick)
    assert lines(loaded) == INVOICE_LINES
    assert "missing reader" in [kind for kind, _ in notes(loaded)]
    assert loaded.incomplete == (suffix == "xls")


def test_a_locked_workbook_is_said_to_be_locked(tmp_path: Path, quick: LoadOptions) -> None:
    path = compound(tmp_path / "a.xlsx", "EncryptedPackage")
    loaded = load_file(path, quick)
    assert loaded.state == "unreadable"
    assert "locked with a password" in loaded.reason


def test_a_cut_workbook_is_said_to_be_damaged(tmp_path: Path, quick: LoadOptions) -> None:
    path = saved(tmp_path / "a.xlsx", {"A": INVOICES})
    path.write_bytes(path.read_bytes()[:-2000])
    loaded = load_file(path, quick)
    assert loaded.state == "unreadable"
    assert "a.xlsx is damaged" in loaded.reason


def test_a_sheet_that_is_cut_gives_the_rows_before(tmp_path: Path, quick: LoadOptions) -> None:
    path = saved(tmp_path / "a.xlsx", {"A": [["x", "y"], *([f"row {n}", n] for n in range(50))]})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    sheet = members["xl/worksheets/sheet1.xml"]
    members["xl/worksheets/sheet1.xml"] = sheet[: len(sheet) * 2 // 3]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    loaded = load_file(path, quick)
    assert "| row 10 | 10 |" in lines(loaded)
    assert [kind for kind, _ in notes(loaded) if kind == "damaged"] == ["damaged"]


ENTITIES = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "x" * 100}">' for n in range(9))


def test_entities_and_outside_files_are_not_opened(tmp_path: Path, quick: LoadOptions) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("TOPSECRET")
    path = xlsx(tmp_path / "a.xlsx", "hello", "&e8;", "&file;")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name).decode() for name in archive.namelist()}
    kinds = f'<!DOCTYPE worksheet [{ENTITIES}<!ENTITY file SYSTEM "{secret.as_uri()}">]>'
    members["xl/sheet1.xml"] = kinds + members["xl/sheet1.xml"]
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    assert lines(load_file(path, quick))[0] == "hello"
    assert "TOPSECRET" not in "".join(lines(load_file(path, quick)))


def test_a_million_empty_rows_and_columns_cost_nothing(tmp_path: Path, quick: LoadOptions) -> None:
    cell = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
    empty = '<table:table-cell table:number-columns-repeated="16384"/>'
    body = (
        '<table:table table:name="A"><table:table-row>'
        + cell.format("first")
        + empty
        + f'</table:table-row><table:table-row table:number-rows-repeated="1048000">{empty}'
        f"</table:table-row><table:table-row>{cell.format('last')}</table:table-row></table:table>"
    )
    loaded = load_file(opendocument(tmp_path / "a.ods", "spreadsheet", body), quick)
    assert lines(loaded) == ["first", "last"]
    assert loaded.segments[-1].where == "sheet A, row 1048002"


def test_a_cell_that_is_repeated_without_end_is_bounded(
    tmp_path: Path, quick: LoadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mm_rag_loaders.spreadsheet import sheet

    monkeypatch.setattr(sheet.CellLimit.__init__, "__defaults__", (100_000,))
    cell = (
        '<table:table-cell office:value-type="string" table:number-columns-repeated="16000">'
        "<text:p>x</text:p></table:table-cell>"
    )
    row = f'<table:table-row table:number-rows-repeated="1000000">{cell}</table:table-row>'
    body = f'<table:table table:name="A">{row}</table:table>'
    loaded = load_file(opendocument(tmp_path / "a.ods", "spreadsheet", body), quick)
    assert ("limit", "sheet 'A': only read until row 7: too many cells") in notes(loaded)


def test_a_workbook_that_unpacks_to_too_much_is_refused(tmp_path: Path, quick: LoadOptions) -> None:
    path = xlsx(tmp_path / "a.xlsx", "x" * 1_000_000)
    small = replace(quick, policy=MediaPolicy(max_bytes=500_000))
    loaded = load_file(path, small)
    assert loaded.state == "unreadable"
    assert "MediaPolicy.max_bytes" in loaded.reason


def test_the_limit_of_pages_counts_sheets(tmp_path: Path, quick: LoadOptions) -> None:
    sheets: Sheets = {name: [[name, name]] for name in ("one", "two", "three")}
    few = replace(quick, policy=MediaPolicy(max_pages=2))
    loaded = load_file(saved(tmp_path / "a.xlsx", sheets), few)
    assert [segment.page for segment in loaded.segments] == [1, 2]
    assert ("limit", "only the first 2 sheets were read (MediaPolicy.max_pages)") in notes(loaded)
