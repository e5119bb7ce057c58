from __future__ import annotations

from pathlib import Path

import pymupdf
import pytest

from tests.loaders.pdfs import PROSE, segments_of

ROWS = [
    ["Product", "Price", "Stock"],
    ["Red chair", "49.50", "12"],
    ["Blue table", "120.00", "3"],
    ["Green lamp", "19.90", "48"],
]
MARKDOWN = (
    "| Product | Price | Stock |\n|---|---|---|\n| Red chair | 49.50 | 12 |\n"
    "| Blue table | 120.00 | 3 |\n| Green lamp | 19.90 | 48 |"
)


def write(page: pymupdf.Page, rows: list[list[str]], top: float) -> None:
    for at, row in enumerate(rows):
        for column, cell in enumerate(row):
            page.insert_text((60 + 150 * column, top + 15 + 20 * at), cell, fontsize=10)


def ruled(page: pymupdf.Page, rows: list[list[str]], top: float = 100) -> None:
    """A table with a line around each cell."""
    write(page, rows, top)
    for at in range(len(rows) + 1):
        page.draw_line((50, top + 20 * at), (500, top + 20 * at))
    for x in (50, 200, 350, 500):
        page.draw_line((x, top), (x, top + 20 * len(rows)))


def test_a_table_becomes_markdown_at_its_place(tmp_path: Path) -> None:
    document = pymupdf.open()
    page = document.new_page()
    page.insert_text((50, 60), "Before the table.")
    ruled(page, ROWS)
    page.insert_text((50, 260), "After the table.")
    shot, passage = segments_of(document, tmp_path)
    assert shot.text == f"Before the table.\n\n{MARKDOWN}\n\nAfter the table."
    assert passage.text == shot.text


def test_a_table_with_lines_above_and_below_only_becomes_markdown(tmp_path: Path) -> None:
    document = pymupdf.open()
    page = document.new_page()
    write(page, ROWS, 100)
    for y in (100, 120, 180):
        page.draw_line((50, y), (450, y))
    shot = segments_of(document, tmp_path)[0]
    assert shot.text == MARKDOWN


def test_cells_drawn_as_rectangles_are_a_table_on_a_rotated_page(tmp_path: Path) -> None:
    document = pymupdf.open()
    page = document.new_page(width=600, height=400)
    write(page, ROWS, 100)
    for at in range(len(ROWS)):
        for x in (50, 200, 350):
            page.draw_rect((x, 100 + 20 * at, x + 150, 120 + 20 * at))
    page.set_rotation(90)
    shot = segments_of(document, tmp_path)[0]
    assert shot.text == MARKDOWN


def test_a_cell_over_two_rows_stands_in_the_first(tmp_path: Path) -> None:
    document = pymupdf.open()
    page = document.new_page()
    write(
        page, [["Goal", "Type", "Value"], ["Reduce", "Target", "5"], ["fatalities", "", "7"]], 100
    )
    for y in (100, 120, 160):
        page.draw_line((50, y), (500, y))
    page.draw_line((200, 140), (500, 140))
    for x in (50, 200, 350, 500):
        page.draw_line((x, 100), (x, 160))
    shot = segments_of(document, tmp_path)[0]
    assert "| Reduce fatalities | Target | 5 |\n|  |  | 7 |" in shot.text


def test_a_long_table_is_cut_between_rows_and_its_head_repeated(tmp_path: Path) -> None:
    rows = [["Product", "Price", "Stock"], *([f"Item{n}", f"{n}.50", f"{n}"] for n in range(30))]
    document = pymupdf.open()
    page = document.new_page()
    ruled(page, rows)
    _, *found = segments_of(document, tmp_path, words=60)
    assert len(found) > 3
    head = "| Product | Price | Stock |\n|---|---|---|\n"
    assert all(passage.text.startswith(head) for passage in found)
    body = [row for passage in found for row in passage.text.splitlines()[2:]]
    assert body == [f"| Item{n} | {n}.50 | {n} |" for n in range(30)]


def test_a_frame_around_prose_is_no_table(tmp_path: Path) -> None:
    document = pymupdf.open()
    page = document.new_page()
    page.draw_rect((40, 40, 560, 400))
    for at in range(12):
        page.insert_text((50, 60 + 14 * at), f"{PROSE} {at}.", fontsize=10)
    shot = segments_of(document, tmp_path)[0]
    assert "|" not in shot.text
    assert shot.text.startswith(f"{PROSE} 0.\n{PROSE} 1.")


def test_two_columns_of_prose_between_lines_are_no_table(tmp_path: Path) -> None:
    document = pymupdf.open()
    page = document.new_page()
    for y in (80, 260):
        page.draw_line((40, y), (560, y))
    page.draw_line((300, 80), (300, 260))
    for at in range(10):
        page.insert_text((45, 100 + 14 * at), f"left{at} {PROSE[:40]}", fontsize=9)
        page.insert_text((310, 100 + 14 * at), f"right{at} {PROSE[:40]}", fontsize=9)
    shot = segments_of(document, tmp_path)[0]
    starts = [row.split()[0] for row in shot.text.splitlines() if row]
    assert starts == [f"{side}{n}" for side in ("left", "right") for n in range(10)]


def test_the_grid_of_a_chart_is_no_table(tmp_path: Path) -> None:
    document = pymupdf.open()
    page = document.new_page()
    for at in range(6):
        page.draw_line((100, 100 + 40 * at), (400, 100 + 40 * at))
        page.draw_line((100 + 60 * at, 100), (100 + 60 * at, 300))
        page.insert_text((85, 104 + 40 * at), f"{at}", fontsize=8)
    page.insert_text((210, 150), "Sales in Norway", fontsize=8)
    shot = segments_of(document, tmp_path)[0]
    assert "|" not in shot.text
    assert "Sales in Norway" in shot.text


@pytest.mark.slow
def test_a_map_of_many_lines_takes_no_time(tmp_path: Path) -> None:
    document = pymupdf.open()
    page = document.new_page()
    shape = page.new_shape()
    for at in range(6000):
        x, y = 50 + at % 97 * 5, 50 + at // 97 * 10
        shape.draw_line((x, y), (x + 4.5, y))
    shape.finish()
    shape.commit()
    page.insert_text((50, 30), "Map of the harbour and its surroundings", fontsize=10)
    shot = segments_of(document, tmp_path)[0]
    assert shot.text == "Map of the harbour and its surroundings"


def test_a_list_in_frames_is_a_list_and_no_word_is_said_twice(tmp_path: Path) -> None:
    document = pymupdf.open()
    page = document.new_page(width=720, height=405)
    page.insert_text((60, 60), "Where are we now?", fontsize=28)
    items = ["Able to replace the old server", "Easy to enable at build time", "Can do more"]
    for at, item in enumerate(items):
        page.insert_text((70, 120 + 40 * at), "-", fontsize=18)
        page.insert_text((100, 120 + 40 * at), item, fontsize=18)
    page.draw_rect((20, 20, 700, 390))
    page.draw_rect((50, 90, 600, 260))
    shot = segments_of(document, tmp_path)[0]
    assert shot.text == "Where are we now?\n\n" + "\n\n".join(f"- {item}" for item in items)


def test_a_title_and_a_number_in_a_frame_are_no_table(tmp_path: Path) -> None:
    document = pymupdf.open()
    page = document.new_page(width=720, height=405)
    page.insert_text((60, 100), "Software is eating the world", fontsize=28)
    page.insert_text((660, 380), "3", fontsize=12)
    page.draw_rect((20, 20, 700, 390))
    shot = segments_of(document, tmp_path)[0]
    assert shot.text == "Software is eating the world\n\n3"


def test_a_table_in_the_frame_of_a_page_is_one(tmp_path: Path) -> None:
    document = pymupdf.open()
    page = document.new_page()
    page.insert_text((50, 60), "Before the table.")
    ruled(page, ROWS)
    page.draw_rect((20, 20, 570, 800))
    shot = segments_of(document, tmp_path)[0]
    assert shot.text == f"Before the table.\n\n{MARKDOWN}"


LEDGER = [
    ["Payee", "Office", "Amount"],
    ["Bainbridge, Jonathan", "District director", "37,499.96"],
    ["Smithers, Alvaro", "Correspondent", "21,000.00"],
    ["Armitage, Derek", "Staff assistant of the night", "446.87"],
    ["Velez, Alexander", "Intern from May", "26,874.99"],
]
LEDGER_MARKDOWN = "\n".join(
    ["| Payee | Office | Amount |", "|---|---|---|", *(f"| {' | '.join(r)} |" for r in LEDGER[1:])]
)


def test_rows_between_vertical_lines_only_are_rows(tmp_path: Path) -> None:
    document = pymupdf.open()
    for is_framed in (True, False):
        page = document.new_page()
        write(page, LEDGER, 100)
        for x in (50, 200, 350, 500) if is_framed else (200, 350):
            page.draw_line((x, 100), (x, 205))
        if is_framed:
            page.draw_line((50, 100), (500, 100))
            page.draw_line((50, 205), (500, 205))
    found = [s.text for s in segments_of(document, tmp_path) if s.modality == "image"]
    assert found == [LEDGER_MARKDOWN, LEDGER_MARKDOWN]


def test_a_table_without_lines_becomes_markdown(tmp_path: Path) -> None:
    document = pymupdf.open()
    page = document.new_page()
    page.insert_text((50, 60), "Before the table stands a sentence of its own.", fontsize=10)
    write(page, LEDGER, 100)
    page.insert_text((50, 260), "After the table stands another sentence.", fontsize=10)
    shot = segments_of(document, tmp_path)[0]
    assert shot.text == (
        "Before the table stands a sentence of its own.\n\n"
        f"{LEDGER_MARKDOWN}\n\nAfter the table stands another sentence."
    )


def test_a_table_whose_first_row_is_no_header_has_an_empty_one(tmp_path: Path) -> None:
    document = pymupdf.open()
    write(document.new_page(), LEDGER[1:], 100)
    shot = segments_of(document, tmp_path)[0]
    assert shot.text.splitlines()[:3] == [
        "|   |   |   |",
        "|---|---|---|",
        "| Bainbridge, Jonathan | District director | 37,499.96 |",
    ]


def test_a_cell_of_several_lines_is_one_cell(tmp_path: Path) -> None:
    document = pymupdf.open()
    page = document.new_page()
    y = 100
    for number, lines in enumerate(
        (["Item of steel"], ["Item of brass that", "goes on below"]) * 3
    ):
        page.insert_text((60, y), f"AB-{number}00{number}", fontsize=10)
        page.insert_text((400, y), f"{number}4.50", fontsize=10)
        for line in lines:
            page.insert_text((200, y), line, fontsize=10)
            y += 14
    shot = segments_of(document, tmp_path)[0]
    assert shot.text.count("\n") == 7
    assert "| AB-1001 | Item of brass that goes on below | 14.50 |" in shot.text


def test_a_table_in_a_cell_is_a_table_beside_the_other(tmp_path: Path) -> None:
    document = pymupdf.open()
    page = document.new_page()
    ruled(page, ROWS)
    for x in (50, 200, 500):
        page.draw_line((x, 180), (x, 260))
    page.draw_line((50, 260), (500, 260))
    page.insert_text((60, 200), "Colours", fontsize=10)
    inner = [["red", "12"], ["blue", "7"], ["green", "9"]]
    for at, row in enumerate(inner):
        for x, cell in zip((220, 320), row, strict=True):
            page.insert_text((x, 202 + 16 * at), cell, fontsize=9)
    for at in range(4):
        page.draw_line((210, 190 + 16 * at), (400, 190 + 16 * at))
    for x in (210, 310, 400):
        page.draw_line((x, 190), (x, 238))
    shot = segments_of(document, tmp_path)[0]
    assert "| red | 12 |\n|---|---|\n| blue | 7 |\n| green | 9 |" in shot.text
    assert "| Red chair | 49.50 | 12 |" in shot.text
    assert "Colours" in shot.text


def test_names_and_addresses_side_by_side_are_read_row_by_row(tmp_path: Path) -> None:
    entries = [
        ("Ada Whitcombe, pilot", "14 Lighthouse Quay, Stornoway"),
        ("Ben Okafor, tug master", "9 Saltmarsh Lane, Padstow"),
        ("Cleo Marchetti, chandler", "3 Ropewalk, Whitby"),
        ("Dov Lind, sailmaker", "77 Tar Barrel Alley, Hull"),
        ("Edda Brandt, net mender", "5 Herring Steps, Wick"),
        ("Hal Tremayne, diver", "2 Wreckers Court, Bude"),
    ]
    document = pymupdf.open()
    page = document.new_page()
    for at, (name, address) in enumerate(entries):
        page.insert_text((60, 100 + 16 * at), name)
        page.insert_text((320, 100 + 16 * at), address)
    shot = segments_of(document, tmp_path)[0]
    assert shot.text.splitlines() == [f"{name} {address}" for name, address in entries]
