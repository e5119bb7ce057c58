"""Tables of a page as Markdown, with cells that span rows and columns resolved."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mm_rag_loaders.html.tree import Element

_MOST_SPAN = 100  # columns or rows; pages with more draw lines with them
_MOST_CELLS = 1_000_000  # spans of larger tables are not resolved
_MOST_COLUMNS = 1000
_MOST_HEADER_ROWS = 4
_MOST_CELL_LETTERS = 3000  # more is a column of a page
_BLOCKS = frozenset(["h1", "h2", "h3", "h4", "h5", "h6", "article", "section", "main"])


@dataclass(frozen=True)
class _Cell:
    text: str
    is_header: bool
    columns: int
    rows: int


def is_layout(table: Element) -> bool:
    """Whether a table only arranges parts of a page."""
    if table.get("role").lower() in ("presentation", "none"):
        return True
    rows = table_rows(table)
    if max((len(cells) for cells in rows), default=0) < 2:
        return True
    has_table = has_header = False
    for element in table.below():
        if element.tag in ("th", "caption", "thead"):
            has_header = True
        elif element.tag == "table":
            has_table = True
        elif element.tag in _BLOCKS:
            return True
    if has_header:
        return False
    return has_table or any(c.letters > _MOST_CELL_LETTERS for cells in rows for c in cells)


def table_rows(table: Element) -> list[list[Element]]:
    """The cells of a table by row, without those of tables in it."""
    rows: list[list[Element]] = []
    for group in _elements(table):
        if group.tag == "tr":
            rows.append(_cells(group))
        elif group.tag in ("thead", "tbody", "tfoot"):
            rows += [_cells(row) for row in _elements(group) if row.tag == "tr"]
    return rows


def _cells(row: Element) -> list[Element]:
    return [cell for cell in _elements(row) if cell.tag in ("td", "th")]


def _elements(element: Element) -> list[Element]:
    return [child for child in element.children if isinstance(child, Element)]


def caption_of(table: Element) -> Element | None:
    """The caption of a table."""
    return next((each for each in _elements(table) if each.tag == "caption"), None)


def table_text(table: Element, cell_text: Callable[[Element], str]) -> tuple[str, str]:
    """Title and Markdown of a table; empty if it has no words.

    Several header rows become one. A cell that spans rows is repeated in each of them. A single
    cell above the others is the title.

    Args:
        table: The table.
        cell_text: Gives the text of a cell, on one line.
    """
    heads = _head_rows(table)
    rows = [
        [
            _Cell(
                text=cell_text(cell),
                is_header=cell.tag == "th" or at < heads,
                columns=_span(cell.get("colspan")),
                rows=_span(cell.get("rowspan")),
            )
            for cell in cells
        ]
        for at, cells in enumerate(table_rows(table))
    ]
    title = ""
    if len(rows) > 2 and len(rows[0]) == 1 and rows[0][0].columns > 1:
        title, rows, heads = rows[0][0].text, rows[1:], max(0, heads - 1)
    is_head = [bool(cells) and all(cell.is_header for cell in cells) for cells in rows]
    count = heads or next((n for n, head in enumerate(is_head) if not head), len(rows))
    return title, markdown_table(_grid(rows, count), min(count, _MOST_HEADER_ROWS))


def _head_rows(table: Element) -> int:
    head = next((each for each in _elements(table) if each.tag == "thead"), None)
    return sum(row.tag == "tr" for row in _elements(head)) if head else 0


def _span(value: str) -> int:
    return min(max(int(value), 1), _MOST_SPAN) if re.fullmatch(r"\d{1,6}", value) else 1


def _grid(rows: Sequence[Sequence[_Cell]], heads: int) -> list[list[str]]:
    """Texts by row and column. A header is repeated in all columns that it spans."""
    grid: list[list[str]] = []
    hanging: dict[int, tuple[int, str]] = {}  # column to rows that are left, and the text
    is_wide = max((sum(cell.columns for cell in row) for row in rows), default=0) > _MOST_COLUMNS
    cells = 0
    for at, row in enumerate(rows):
        if is_wide or cells > _MOST_CELLS:
            grid.append([cell.text for cell in row])
            continue
        line, hanging = _line(row, hanging, is_head=at < heads)
        cells += len(line)
        grid.append(line)
    return grid


def _line(
    row: Sequence[_Cell], hanging: dict[int, tuple[int, str]], *, is_head: bool
) -> tuple[list[str], dict[int, tuple[int, str]]]:
    """The texts of a row, and what hangs into the next one."""
    line: list[str] = []
    waiting = list(row[::-1])
    following: dict[int, tuple[int, str]] = {}
    last = max(hanging, default=-1)
    while waiting or len(line) <= last:
        if len(line) in hanging:
            left, text = hanging[len(line)]
            if left > 1:
                following[len(line)] = (left - 1, text)
            line.append(text)
        elif waiting:
            cell = waiting.pop()
            for n in range(cell.columns):
                text = cell.text if n == 0 or is_head else ""
                if cell.rows > 1:
                    following[len(line)] = (cell.rows - 1, text)
                line.append(text)
        else:
            line.append("")
    return line, following


def markdown_table(rows: Sequence[Sequence[str]], heads: int = 1) -> str:
    """Rows as a Markdown table, without empty rows and columns; empty if there is nothing else.

    Args:
        rows: Texts of the cells.
        heads: Number of rows that are headers; they become one. With 0 the first row is it.
    """
    width = max(map(len, rows), default=0)
    is_sparse = len(rows) * width > 2 * _MOST_CELLS
    lines = [[_one_cell(text) for text in row] for row in rows]
    if not is_sparse:
        lines = [row + [""] * (width - len(row)) for row in lines]
        used = [n for n in range(width) if any(row[n] for row in lines)]
        lines = [[row[n] for n in used] for row in lines]
    if heads < 2 or is_sparse:
        heads, lines = 1, [row for row in lines if any(row)]
    top, body = lines[:heads], lines[heads:]
    head = [_joined(texts) for texts in zip(*top, strict=True)]
    body = [row for row in body if any(row)]
    if not any(head) and not body:
        return ""
    text = ["| " + " | ".join(row) + " |" for row in [head, *body]]
    return "\n".join([text[0], "|" + "---|" * len(head), *text[1:]])


def _one_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _joined(texts: Sequence[str]) -> str:
    """Headers above each other, each once: `2024`, `Q1` gives `2024 Q1`."""
    return " ".join(dict.fromkeys(text for text in texts if text))
