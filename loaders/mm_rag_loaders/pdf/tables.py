"""Tables: found by their drawn lines or their columns, and written as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

from mm_rag.boxes import Box
from mm_rag_loaders.pdf.aligned import aligned_grids
from mm_rag_loaders.pdf.grids import Grid, Words
from mm_rag_loaders.pdf.page import Line, PDFWord, RawPage
from mm_rag_loaders.pdf.ruled import ruled_grid, ruled_groups

_MOST_MEDIAN_LETTERS = 60
_MOST_LETTERS = 600
# Columns separated only by gaps may be columns of prose.
_MOST_UNRULED_LETTERS = 30
_LEAST_FILLED = 0.5
_FEWEST_ROWS = 2
_FEWEST_COLUMNS = 2
_BULLET = re.compile(r"[^\w\s$%](?: [^\w\s$%])*|o")
_MARKER = re.compile(rf"{_BULLET.pattern}|[(\[]?\w{{1,2}}[.)\]]")


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        cells: Texts of the cells by row and column; empty for an empty cell.
        words: All words in it, row by row.
        box: Its box, in points.
        has_head: Whether its first row names the columns.
    """

    cells: tuple[tuple[str, ...], ...]
    words: tuple[PDFWord, ...]
    box: Box
    has_head: bool = True

    @property
    def text(self) -> str:
        """The table as Markdown, with its first row as header, or with an empty header."""
        rows = self.cells if self.has_head else ((" ",) * len(self.cells[0]), *self.cells)
        head, *body = ("| " + " | ".join(row) + " |" for row in rows)
        return "\n".join([head, "|" + "---|" * len(self.cells[0]), *body])


def split_tables(page: RawPage) -> tuple[list[Table], RawPage]:
    """The tables of an upright page, and the page without their lines.

    Ruled areas that do not look like tables stay text.
    """
    tables: list[Table] = []
    taken: set[PDFWord] = set()
    for table in _ruled_tables(page):
        tables.append(table)
        taken.update(table.words)
    lines = [line for line in (_without(line, taken) for line in page.lines) if line]
    for grid in aligned_grids(lines):
        table = _table(grid)
        if table is not None:
            tables.append(table)
            taken.update(table.words)
    if not taken:
        return [], page
    rest = filter(None, (_without(line, taken) for line in page.lines))
    return tables, replace(page, lines=tuple(rest))


def _ruled_tables(page: RawPage) -> Iterator[Table]:
    """Tables with drawn lines; one inside a cell of another is a table of its own."""
    if not page.rules:
        return
    upright = (line for line in page.lines if line.direction == (1, 0))
    words = Words(word for line in upright for word in line.words)
    taken: set[PDFWord] = set()
    for group in ruled_groups(page.rules, words):
        inside = words.inside(group.reach)
        left = [word for word in inside if word not in taken]
        if not left or (len(left) < len(inside) and not group.down):
            continue
        grid = ruled_grid(group, left)
        if not grid.is_ruled and (len(left) < len(inside) or not group.across):
            continue
        table = _table(grid)
        if table is not None:
            yield table
            taken.update(table.words)


def _table(grid: Grid) -> Table | None:
    cells = [[_cell_text(words) for words in row] for row in grid.cells]
    kept = [at for at in range(len(cells[0])) if any(row[at] for row in cells)]
    filled_rows = [tuple(row[at] for at in kept) for row in cells if any(row)]
    if grid.is_crowded or not _is_table(filled_rows, grid.is_ruled):
        return None
    words = tuple(word for row in grid.cells for cell in row for word in cell)
    return Table(tuple(filled_rows), words, grid.box, grid.has_head)


def _is_table(rows: Sequence[Sequence[str]], is_ruled: bool) -> bool:
    if len(rows) < _FEWEST_ROWS or len(rows[0]) < _FEWEST_COLUMNS:
        return False
    if len(rows[0]) == _FEWEST_COLUMNS and _is_list(rows, _BULLET if is_ruled else _MARKER):
        return False
    # A framed slide with a title and a number would be a table with one filled cell a row.
    if median(sum(map(bool, row)) for row in rows) < _FEWEST_COLUMNS:
        return False
    filled = [len(cell) for row in rows for cell in row if cell]
    if len(filled) < _LEAST_FILLED * len(rows) * len(rows[0]):
        return False
    most = _MOST_MEDIAN_LETTERS if is_ruled else _MOST_UNRULED_LETTERS
    return median(filled) <= most and max(filled) <= _MOST_LETTERS


def _is_list(rows: Sequence[Sequence[str]], marker: re.Pattern[str]) -> bool:
    """Whether most rows begin with a bullet or a number."""
    first = [row[0] for row in rows if row[0]]
    return sum(marker.fullmatch(cell) is not None for cell in first) > 0.5 * len(first)


def _cell_text(words: Sequence[PDFWord]) -> str:
    return " ".join(word.text for word in words).replace("|", "\\|")


def _without(line: Line, taken: set[PDFWord]) -> Line | None:
    words = tuple(word for word in line.words if word not in taken)
    if len(words) == len(line.words):
        return line
    return replace(line, words=words) if words else None
