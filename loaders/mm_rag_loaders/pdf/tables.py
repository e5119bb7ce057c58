"""Tables: where drawn lines make one likely, its cells as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from mm_rag.boxes import Box
from mm_rag_loaders.pdf.grid import Grid, find_grids
from mm_rag_loaders.pdf.raw import Line, RawPage, Word, area

_MOST_MEDIAN_LETTERS = 60
_MOST_LETTERS = 600
# Columns that only gaps tell apart may be columns of prose.
_MOST_UNRULED_LETTERS = 30
_LEAST_FILLED = 0.5
_FEWEST_ROWS = 2
_FEWEST_COLUMNS = 2
_MARKER = re.compile(r"[^\w\s$%]|[(\[]?\w{1,2}[.)\]]|o")


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        cells: Row by row, all of the same length; empty where there is nothing.
        words: All words in it, row by row.
        box: Where it is, in points.
    """

    cells: tuple[tuple[str, ...], ...]
    words: tuple[Word, ...]
    box: Box

    @property
    def text(self) -> str:
        """As Markdown, with its first row as header."""
        head, *body = ("| " + " | ".join(row) + " |" for row in self.cells)
        return "\n".join([head, "|" + "---|" * len(self.cells[0]), *body])


def split_tables(page: RawPage) -> tuple[list[Table], RawPage]:
    """The tables of an upright page, and the page without the lines in them.

    What does not look like a table inside of its lines stays text.
    """
    tables: list[Table] = []
    taken: set[Word] = set()
    # The smallest first: the frame of a page is around everything.
    for grid in sorted(find_grids(page.lines, page.rules), key=lambda grid: area(grid.box)):
        table = _table(grid)
        if table is not None and taken.isdisjoint(table.words):
            tables.append(table)
            taken.update(table.words)
    if not taken:
        return [], page
    rest = filter(None, (_without(line, taken) for line in page.lines))
    return tables, replace(page, lines=tuple(rest))


def _table(grid: Grid) -> Table | None:
    cells = [[_cell_text(words) for words in row] for row in grid.cells]
    kept = [at for at in range(len(cells[0])) if any(row[at] for row in cells)]
    filled_rows = [tuple(row[at] for at in kept) for row in cells if any(row)]
    if grid.is_crowded or not _is_table(filled_rows, grid.is_ruled):
        return None
    words = tuple(word for row in grid.cells for cell in row for word in cell)
    return Table(tuple(filled_rows), words, grid.box)


def _is_table(rows: Sequence[Sequence[str]], is_ruled: bool) -> bool:
    if len(rows) < _FEWEST_ROWS or len(rows[0]) < _FEWEST_COLUMNS:
        return False
    if not is_ruled and len(rows[0]) == _FEWEST_COLUMNS and _is_list(rows):
        return False
    # The title of a slide and the number below it, in a frame, have a column each.
    if median(sum(map(bool, row)) for row in rows) < _FEWEST_COLUMNS:
        return False
    filled = [len(cell) for row in rows for cell in row if cell]
    if len(filled) < _LEAST_FILLED * len(rows) * len(rows[0]):
        return False
    most = _MOST_MEDIAN_LETTERS if is_ruled else _MOST_UNRULED_LETTERS
    return median(filled) <= most and max(filled) <= _MOST_LETTERS


def _is_list(rows: Sequence[Sequence[str]]) -> bool:
    """Whether what stands first in most rows is a bullet or a number."""
    marked = sum(_MARKER.fullmatch(row[0]) is not None for row in rows)
    return marked > 0.5 * len(rows)


def _cell_text(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words).replace("|", "\\|")


def _without(line: Line, taken: set[Word]) -> Line | None:
    words = tuple(word for word in line.words if word not in taken)
    if len(words) == len(line.words):
        return line
    return replace(line, words=words) if words else None
