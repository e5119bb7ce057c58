"""A workbook as its readers give it: sheets, and their rows one by one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

from mm_rag_loaders.outcome import NoteKind

MOST_CELLS = 20_000_000
"""Cells of a workbook that are read; the rest is left out and noted."""


@dataclass(slots=True)
class SheetRow:
    """A row with something in it.

    Attributes:
        number: From 1.
        cells: The texts of its cells from column A to the last one that has any.
        hidden: Whether the row is hidden.
        links: Addresses to which its cells lead.
        uncalculated: Columns, from 1, of formulas without a result, whose text stands in `cells`.
    """

    number: int
    cells: list[str]
    hidden: bool = False
    links: list[str] = field(default_factory=list[str])
    uncalculated: list[int] = field(default_factory=list[int])


@dataclass(frozen=True)
class Comment:
    """A comment on a cell.

    Attributes:
        row: Row of the cell, from 1.
        column: Column of the cell, from 1.
        text: Its text.
        author: Name of its author; empty if the file does not tell.
    """

    row: int
    column: int
    text: str
    author: str = ""

    @property
    def line(self) -> str:
        """The comment in words: "Comment on B4 by Ada: Ask Miriam"."""
        by = f" by {self.author}" if self.author else ""
        return f"Comment on {column_name(self.column)}{self.row}{by}: {self.text}"


@dataclass(frozen=True)
class Merged:
    """A range of merged cells: first and last row and column, from 1."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass
class Sheet:
    """A sheet. What is known only after its rows were read is empty before.

    Attributes:
        name: Its name.
        hidden: Whether it is hidden.
        comments: The comments on its cells, also on empty ones.
        merged: Its merged cells.
        texts: Texts that float above its cells: text boxes, titles of charts.
        hidden_columns: Numbers of hidden columns, from 1.
        notes: Kinds and texts of notes about parts that were left out.
    """

    name: str
    hidden: bool = False
    comments: list[Comment] = field(default_factory=list[Comment])
    merged: list[Merged] = field(default_factory=list[Merged])
    texts: list[str] = field(default_factory=list[str])
    hidden_columns: list[int] = field(default_factory=list[int])
    notes: list[tuple[NoteKind, str]] = field(default_factory=list[tuple[NoteKind, str]])


class Workbook(ABC):
    """A workbook that is open for reading."""

    @abstractmethod
    def each(self) -> Iterator[Sheet]:
        """Yield its sheets in order. The rows of one are read before the next."""

    @abstractmethod
    def rows(self, sheet: Sheet) -> Iterator[SheetRow]:
        """Yield the rows, with something in them, of the sheet that `each` yielded last, in order.

        What belongs to a row, such as its comments, is known when it is yielded.

        Raises:
            UnreadableMedia: The file is damaged.
        """


class MergedCells:
    """The merged cells of a sheet by their rows.

    Args:
        known: To which more may be added while the sheet is read.
    """

    def __init__(self, known: Sequence[Merged]) -> None:
        self._known = known
        self._seen = 0
        self._by_top: dict[int, list[Merged]] = {}

    def at(self, row: int) -> Sequence[Merged]:
        """Those whose first row is this one."""
        while self._seen < len(self._known):
            one = self._known[self._seen]
            self._by_top.setdefault(one.top, []).append(one)
            self._seen += 1
        return self._by_top.get(row, ())


class CellLimit:
    """Counts the cells that are read, up to the most."""

    def __init__(self, most: int = MOST_CELLS) -> None:
        self.left = most

    def take(self, cells: int) -> bool:
        """Whether so many more cells may be read."""
        self.left -= cells
        return self.left >= 0


@cache
def column_name(number: int) -> str:
    """`1` as `"A"`, `27` as `"AA"`."""
    name = ""
    while number:
        number, letter = divmod(number - 1, 26)
        name = chr(65 + letter) + name
    return name


@cache
def column_number(name: str) -> int:
    """`"A"` as `1`, `"AA"` as `27`."""
    number = 0
    for letter in name:
        number = 26 * number + ord(letter) - 64
    return number


def cell_place(reference: str) -> tuple[int, int] | None:
    """`"$B$4"` as row 4 and column 2; None for anything but a cell."""
    letters = reference.replace("$", "").upper()
    name = letters.rstrip("0123456789")
    digits = letters[len(name) :]
    if not 0 < len(name) <= 3 or not name.isalpha() or not name.isascii() or not digits:
        return None
    return (int(digits), column_number(name)) if len(digits) <= 7 else None
