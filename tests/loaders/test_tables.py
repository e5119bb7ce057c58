"""CSV and other delimited text: rows with their header."""

from __future__ import annotations

import csv
import itertools
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from mm_rag_loaders import LoadedFile, LoadOptions, load_file
from tests.loaders.test_office import needs_office
from tests.office_made import xlsx


@pytest.fixture
def here(options: LoadOptions) -> LoadOptions:
    return replace(options, workers=0)


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def texts(loaded: LoadedFile) -> list[str]:
    return [segment.text for segment in loaded.segments]


def notes(loaded: LoadedFile) -> list[tuple[str, str]]:
    return [(note.kind, note.text) for note in loaded.notes]


TABLE = "| Name | City | Sum |\n|---|---|---|\n| Ada | London | 12,50 |\n| Ben | Paris | 7,00 |"


@pytest.mark.parametrize("delimiter", [";", "\t", "|", "^", "\x1f"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_delimiter_is_found(
    tmp_path: Path, here: LoadOptions, delimiter: str, end: str
) -> None:
    rows = (("Name", "City", "Sum"), ("Ada", "London", "12,50"), ("Ben", "Paris", "7,00"))
    path = written(tmp_path / "who_paid.csv", "".join(delimiter.join(row) + end for row in rows))
    loaded = load_file(path, here)
    assert (loaded.state, loaded.kind, texts(loaded)) == ("loaded", "table", [TABLE])
    [passage] = loaded.segments
    assert (passage.where, passage.title, passage.page) == ("rows 2-3", "who paid", None)
    assert passage.metadata["rows"] == "2-3"
    assert notes(loaded) == []


def test_excel_tells_its_delimiter_in_the_first_line(tmp_path: Path, here: LoadOptions) -> None:
    path = written(tmp_path / "a.csv", "sep=;\r\nName;Sum\r\nAda;12,50\r\n")
    loaded = load_file(path, here)
    assert texts(loaded) == ["| Name | Sum |\n|---|---|\n| Ada | 12,50 |"]
    assert loaded.segments[0].where == "row 3"


QUOTED = [
    ["name", "note", "code"],
    ["O'Brien, Pat", 'she said "no"', "0012"],
    ["Müller; Söhne", "two\nlines, both here", "1,5"],
    ["a|b", '5" pipe', ""],
]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_quotes_and_line_ends_in_them(
    tmp_path: Path, here: LoadOptions, delimiter: str, quoting: int
) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter, quoting=quoting).writerows(QUOTED)  # pyright: ignore
    assert texts(load_file(path, here)) == [
        "| name | note | code |\n|---|---|---|\n"
        '| O\'Brien, Pat | she said "no" | 0012 |\n'
        "| Müller; Söhne | two lines, both here | 1,5 |\n"
        '| a\\|b | 5" pipe |  |'
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_encodings(tmp_path: Path, here: LoadOptions, encoding: str) -> None:
    text = "Straße;Größe in m²\nAm Fluß;12,5\nÜberweg;7\n" * 3
    loaded = load_file(written(tmp_path / "a.csv", text, encoding), here)
    assert "| Am Fluß | 12,5 |" in texts(loaded)[0]
    assert texts(loaded)[0].startswith("| Straße | Größe in m² |\n")


def test_rows_without_a_header(tmp_path: Path, here: LoadOptions) -> None:
    loaded = load_file(written(tmp_path / "a.csv", "Ada,36,1815-12-10\nBen,41,1791-12-26\n"), here)
    assert texts(loaded) == ["| Ada | 36 | 1815-12-10 |\n| Ben | 41 | 1791-12-26 |"]
    assert loaded.segments[0].where == "rows 1-2"


def test_lines_above_the_header(tmp_path: Path, here: LoadOptions) -> None:
    text = "Account;DE12 3456\nPeriod;2024\n\nDate;Payee;Amount\n01.02.2024;Rope & Co;-12,50\n"
    loaded = load_file(written(tmp_path / "a.csv", text), here)
    assert texts(loaded) == [
        "Account DE12 3456\nPeriod 2024",
        "| Date | Payee | Amount |\n|---|---|---|\n| 01.02.2024 | Rope & Co | -12,50 |",
    ]
    assert [segment.where for segment in loaded.segments] == ["rows 1-3", "row 5"]


def test_ragged_rows_are_read_and_noted(tmp_path: Path, here: LoadOptions) -> None:
    loaded = load_file(written(tmp_path / "a.csv", "a,b,c\n1,2,3\n4,5\n6,7,8,9\n"), here)
    assert texts(loaded)[0].splitlines()[2:] == [
        "| 1 | 2 | 3 |",
        "| 4 | 5 |  |",
        "| 6 | 7 | 8 | 9 |",
    ]
    assert notes(loaded) == [("damaged", "1 row longer than the header, the first is row 4")]


def test_a_quote_without_end_takes_in_one_line(tmp_path: Path, here: LoadOptions) -> None:
    rows = [f"part {n},{n},{n * 2}" for n in range(3000)]
    rows[10] = '"part 10,10,20'
    loaded = load_file(written(tmp_path / "a.csv", "\n".join(["name,x,y", *rows])), here)
    lines = "\n".join(texts(loaded)).splitlines()
    assert '| "part 10 | 10 | 20 |' in lines
    assert {f"| part {n} | {n} | {n * 2} |" for n in range(3000) if n != 10} <= set(lines)
    what = "1 row with a quote that does not end, read up to the line's end"
    assert notes(loaded) == [("damaged", what)]


def test_every_row_of_a_long_table_is_whole_and_has_the_header(
    tmp_path: Path, here: LoadOptions
) -> None:
    rows = [f"INV-2024-{n:06d},6ff4173b-42a5-4784-9b19-{n:012d},{n}.25" for n in range(5000)]
    path = written(tmp_path / "a.csv", "\n".join(["invoice,reference,amount", *rows]))
    found = texts(load_file(path, here))
    lines = [line for text in found for line in text.splitlines()[2:]]
    assert lines == [f"| {row.replace(',', ' | ')} |" for row in rows]
    assert {text.splitlines()[0] for text in found} == {"| invoice | reference | amount |"}
    assert max(len(text) for text in found) < 1200


def test_a_table_of_one_column_and_one_of_one_row(tmp_path: Path, here: LoadOptions) -> None:
    assert "ropes" in texts(load_file(written(tmp_path / "a.csv", "word\nropes\npaint\n"), here))[0]
    header = load_file(written(tmp_path / "b.csv", "only,a,header\n"), here)
    assert texts(header) == ["| only | a | header |"]


@pytest.mark.parametrize("content", [b"\n\n\n", b",,,\n,,,\n"])
def test_a_table_without_values(tmp_path: Path, here: LoadOptions, content: bytes) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    loaded = load_file(path, here)
    assert (loaded.state, loaded.reason) == ("unreadable", "a.csv has no values in it.")


@pytest.mark.slow
def test_hostile_quotes_take_linear_time(tmp_path: Path, here: LoadOptions) -> None:
    def size(rows: int) -> int:
        text = 'a,b\n"' + '""x,\n' * rows
        return len(load_file(written(tmp_path / f"{rows}.csv", text), here).segments)

    assert size(60_000) > size(6_000) > 0


@pytest.mark.slow
@needs_office
def test_what_libreoffice_writes(tmp_path: Path, here: LoadOptions) -> None:
    source = xlsx(tmp_path / "a.xlsx", "ropes, long", 'a "good" one', "0012")
    command = ["soffice", f"-env:UserInstallation={(tmp_path / 'p').as_uri()}", "--headless"]
    convert = ["--convert-to", "csv", "--outdir", str(tmp_path), str(source)]
    subprocess.run([*command, *convert], check=True, capture_output=True)
    text = "\n".join(texts(load_file(tmp_path / "a.csv", here)))
    assert [line for line in text.splitlines() if line] == ["ropes, long", 'a "good" one', "0012"]


def test_passages_of_a_long_table_are_yielded_while_it_is_read(
    tmp_path: Path, here: LoadOptions
) -> None:
    from mm_rag_loaders.table_loader import TableLoader

    rows = "".join(f"{n},part {n}\n" for n in range(200_000))
    path = written(tmp_path / "a.csv", f"number,name\n{rows}")
    segments = list(itertools.islice(TableLoader(here).load(path), 3))
    assert [segment.part for segment in segments] == [0, 1, 2]
