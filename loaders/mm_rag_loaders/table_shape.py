"""Find what the first rows of a table are: lines above it, its header, its first row of data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# A number, an amount with its currency, a percentage, a date or a time. A row of such values is
# data, not names of columns.
_VALUE = re.compile(
    r"[(+\-\u2212]?\s?(?:[A-Z]{3}\s?|[$\u20ac\u00a3\u00a5]\s?)?[+\-\u2212]?"
    r"[\d][\d.,:/'\u2019 \u00a0\u202f\-]*"
    r"(?:[eE][+\-]?\d+|T[\d:.]+Z?)?\s?(?:%|\u2030|[A-Z]{3}|[$\u20ac\u00a3\u00a5]|[AaPp]\.?[Mm]\.?)?\)?"
)
_YEAR = re.compile(r"(?:19|20)\d\d|[A-Z]{1,2}\d\s?(?:19|20)\d\d")
_OTHER_VALUE = re.compile(r"[^\s@]+@[^\s@]+\.\w+|https?://\S+|[0-9A-Fa-f-]{32,36}")
_WORDLESS = frozenset(
    ["", "-", "\u2013", "\u2014", "n/a", "na", "null", "none", "nan", "true", "false"]
)
_LONGEST_VALUE, _LONGEST_NAME = 40, 120  # letters
_NAMES_SHORTER_THAN = 60  # mean letters of the names of columns
_MOST_ABOVE = 20  # rows above a header
_REPEATED = 0.34  # share of a row's cells that occur again below it, from which it is data


@dataclass(frozen=True)
class TableShape:
    """The parts of the first rows of a table.

    Attributes:
        above: Number of rows above the table, such as its title.
        header: Number of rows of the header, 0 or 1.
        width: Number of columns.
    """

    above: int
    header: int
    width: int


def table_shape(rows: Sequence[Sequence[str]]) -> TableShape:
    """Find the shape of a table by its first rows."""
    filled = [_filled(row) for row in rows]
    width = max((_last(row) for row in rows), default=0)
    counts = sorted(count for count in filled if count)
    # Most rows of a table fill most of its columns. Titles and notes above it fill fewer.
    usual = counts[len(counts) // 2] if counts else 0
    reached = sorted(last for last in map(_last, rows) if last)
    end = reached[len(reached) // 2] if reached else 0
    # A header goes as far to the right as the rows below it, if there is such a one.
    for least in (end, 0):
        most = 0
        for at, row in enumerate(rows[:_MOST_ABOVE]):
            fits = filled[at] > most and filled[at] >= max(2, (usual + 1) // 2)
            if fits and _last(row) >= least and is_header(row, rows[at + 1 :]):
                return TableShape(at, 1, width)
            most = max(most, filled[at])
    return TableShape(_titles(filled, usual), 0, width)


def _titles(filled: Sequence[int], usual: int) -> int:
    """Number of first rows with so few cells that they belong to no table."""
    above = 0
    while above < len(filled) and usual > 1 and filled[above] < max(2, (usual + 1) // 2):
        above += 1
    return above if above < len(filled) else 0


def is_header(row: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether a row holds the names of the columns of the rows below it."""
    names = [cell.strip() for cell in row if cell.strip()]
    if not names or not any(_filled(other) for other in below):
        return False
    if sum(map(len, names)) > _NAMES_SHORTER_THAN * len(names):
        return False
    if any(len(name) > _LONGEST_NAME for name in names):
        return False
    if sum(_is_label(other) for other in (row, *below)) > len(below) / 2:
        return False  # pairs of a name and a value
    values = [name for name in names if is_value(name)]
    years = [name for name in values if _YEAR.fullmatch(name)]
    if len(values) > len(years) or (years and len(years) == len(names)):
        return False
    return _repeated(row, below) < _REPEATED


def is_value(text: str) -> bool:
    """Whether a cell holds a number, an amount, a date, a time, an address, or only a dash."""
    text = text.strip()
    if len(text) > _LONGEST_VALUE:
        return _OTHER_VALUE.fullmatch(text) is not None
    if text.lower() in _WORDLESS:
        return True
    return (_VALUE.fullmatch(text) or _OTHER_VALUE.fullmatch(text)) is not None


def _is_label(row: Sequence[str]) -> bool:
    return bool(row) and row[0].rstrip().endswith(":")


def _repeated(row: Sequence[str], below: Sequence[Sequence[str]]) -> float:
    """Share of the cells of a row that also stand below it, in the same column."""
    filled = [(at, cell) for at, cell in enumerate(row) if cell.strip()]
    again = sum(
        any(at < len(other) and other[at] == cell for other in below) for at, cell in filled
    )
    return again / len(filled)


def _filled(row: Sequence[str]) -> int:
    return sum(bool(cell.strip()) for cell in row)


def _last(row: Sequence[str]) -> int:
    """The number of the last cell with a text, from 1; 0 without such a cell."""
    return max((at for at, cell in enumerate(row, 1) if cell.strip()), default=0)
