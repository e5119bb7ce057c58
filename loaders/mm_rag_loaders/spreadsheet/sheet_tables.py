"""Find the tables of a sheet and divide them into passages.

Empty rows end a table, and so do empty columns if what follows them has a header and names of rows
of its own. Rows above a header are its title.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TypeAlias

from mm_rag_loaders.passages import passages
from mm_rag_loaders.row_passages import (
    Record,
    Row,
    RowPassage,
    record_passages,
    table_passages,
    weight,
)
from mm_rag_loaders.spreadsheet.sheet import Merged, MergedCells, SheetRow
from mm_rag_loaders.table_shape import is_header, is_value, table_shape

_SAMPLE_ROWS = 200
_TITLE_WORDS = 15  # of a title that stands above each passage of its table


@dataclass(frozen=True)
class SheetPassage:
    """A passage of a sheet.

    Attributes:
        text: Its text.
        first: The first row.
        last: The last row.
        heading: Title of the table.
        since: The first row of its title and header, if they stand directly above; else `first`.
    """

    text: str
    first: int
    last: int
    heading: str = ""
    since: int = 0

    @property
    def rows(self) -> str:
        """`"row 7"` or `"rows 2-15"`."""
        return RowPassage("", str(self.first), str(self.last)).rows


Remarks: TypeAlias = dict[int, list[tuple[int, str]]]
"""Lines that belong to a row, such as comments on its cells, each with the column of its cell."""


@dataclass(frozen=True)
class _Top:
    """The first rows of a table.

    Attributes:
        rows: Number of rows above the first row of data.
        title: The lines above the header.
        names: Names of the columns; empty if there is no header.
        left: Number of columns before the table.
    """

    rows: int = 0
    title: str = ""
    names: Sequence[str] = ()
    left: int = 0


def sheet_passages(
    rows: Iterable[SheetRow],
    merged: MergedCells,
    remarks: Remarks,
    *,
    max_words: int,
) -> Iterator[SheetPassage]:
    """Yield the passages of a sheet.

    Args:
        rows: Rows with something in them, in order.
        merged: Merged cells. The text of cells that are merged downwards stands in each row.
        remarks: Lines by their row; the remaining ones, as on empty cells, stay in it.
        max_words: Longest passage.
    """
    stream = _Stream(_with_merged(rows, merged))
    before: list[_Top] = []
    title: tuple[SheetRow, ...] = ()
    while (group := stream.group()) is not None:
        first = list(islice(group, _SAMPLE_ROWS))
        # If not all of its rows are known, no column is taken for empty.
        is_long = stream.goes_on
        if not title and not is_long and _is_title(first, stream, remarks):
            title = tuple(first)
            continue
        first, title = [*title, *first], ()
        columns = [slice(0, None)] if is_long else [slice(*band) for band in _bands(first)]
        tables = [_Table(first, band, before, merged, remarks) for band in columns]
        for table in tables:
            yield from table.passages(chain(first, group) if is_long else first, max_words)
        before = [table.top for table in tables]


def _is_title(rows: Sequence[SheetRow], stream: _Stream, remarks: Remarks) -> bool:
    """Whether lines stand above a table, with an empty row between."""
    texts = [text for row in rows for text in row.cells if text]
    is_short = len(texts) == len(rows) <= 3 and weight(" ".join(texts)) <= _TITLE_WORDS
    if not is_short or any(map(is_value, texts)) or any(row.number in remarks for row in rows):
        return False
    following = stream.following
    return following is not None and sum(map(bool, following.cells)) > 1


class _Stream:
    """Divides rows into groups without an empty row between them."""

    def __init__(self, rows: Iterator[SheetRow]) -> None:
        self._rows = rows
        self._next = next(rows, None)
        self._last = 0

    @property
    def following(self) -> SheetRow | None:
        """The next row; None after the last."""
        return self._next

    @property
    def goes_on(self) -> bool:
        """Whether the group has more rows than were taken of it."""
        return self._next is not None and self._next.number == self._last + 1

    def group(self) -> Iterator[SheetRow] | None:
        """The rows of the next group; None after the last."""
        if self._next is None:
            return None
        self._last = self._next.number - 1
        return self._group()

    def _group(self) -> Iterator[SheetRow]:
        while self._next is not None and self._next.number <= self._last + 1:
            row = self._next
            self._last = max(self._last, row.number)
            self._next = next(self._rows, None)
            yield row


def _with_merged(rows: Iterable[SheetRow], merged: MergedCells) -> Iterator[SheetRow]:
    """Rows in which the text of cells of one column that are merged downwards is repeated."""
    tall: list[tuple[Merged, str]] = []
    for row in rows:
        tall = [one for one in tall if one[0].bottom >= row.number]
        cells = row.cells
        for one, text in tall:
            cells = [*cells, *[""] * (one.left - len(cells))]
            cells[one.left - 1] = cells[one.left - 1] or text
        for one in merged.at(row.number):
            at = one.left - 1
            is_tall = one.bottom > one.top and one.left == one.right
            if is_tall and at < len(cells) and cells[at]:
                tall.append((one, cells[at]))
        yield replace(row, cells=cells) if cells is not row.cells else row


def _width(rows: Sequence[SheetRow]) -> int:
    return max((len(row.cells) for row in rows), default=0)


def _bands(rows: Sequence[SheetRow]) -> list[tuple[int, int]]:
    """The tables that stand side by side, as their first columns and the ones behind their last."""
    width = _width(rows)
    used = [any(at < len(row.cells) and row.cells[at] for row in rows) for at in range(width)]
    bands: list[tuple[int, int]] = []
    at = 0
    while at < width:
        if not used[at]:
            at += 1
            continue
        end = at
        while end < width and used[end]:
            end += 1
        if bands and not _stands_alone(rows, bands[-1], (at, end)):
            bands[-1] = (bands[-1][0], end)
        else:
            bands.append((at, end))
        at = end
    return bands


def _stands_alone(rows: Sequence[SheetRow], before: tuple[int, int], band: tuple[int, int]) -> bool:
    """Whether columns behind empty ones are a table of their own, with names of its rows."""
    if band[1] - band[0] < 2 or before[1] - before[0] < 2:
        return False
    inside = [row.cells[slice(*band)] for row in rows]
    inside = [cells for cells in inside if any(cells)]
    shape = table_shape(inside)
    body = inside[shape.above + shape.header :]
    names = [cells[0] for cells in body if cells[0]]
    words = [name for name in names if not is_value(name)]
    return bool(shape.header) and len(body) > 0 and len(words) >= 0.8 * max(1, len(body))


class _Table:
    """A table in some columns of a group of rows.

    Attributes:
        top: Its first rows, or those of the table before it, which it continues.
    """

    def __init__(
        self,
        first: Sequence[SheetRow],
        band: slice,
        before: Sequence[_Top],
        merged: MergedCells,
        remarks: Remarks,
    ) -> None:
        self._band = band
        self._remarks = remarks
        self._sample = [row for row in first if any(row.cells[band])]
        self._cells = [row.cells[band] for row in self._sample]
        self._width = max(map(len, self._cells), default=0)
        above = next((top for top in before if top.left == band.start), _Top())
        self.top = self._continued(above) or self._found(merged)

    def passages(self, rows: Iterable[SheetRow], max_words: int) -> Iterator[SheetPassage]:
        """Yield its passages, of all its rows."""
        top, start = self.top, self._sample[0].number
        data = self._sample[top.rows].number if top.rows < len(self._sample) else None
        is_short = weight(top.title) <= _TITLE_WORDS
        title = top.title if is_short else ""
        apart = [] if is_short else [top.title]
        for row in self._sample[: top.rows]:
            apart += self._taken(row.number)
        for text in passages("\n\n".join(filter(None, apart)), max_words=max_words):
            yield SheetPassage(_titled(title, text), start, start + top.rows - 1, title)
        if data is None:
            return
        room = max_words - weight(title)
        for passage in self._divided(rows, data, room):
            first = int(passage.first)
            since = start if first == data else first
            text = _titled(title, passage.text)
            yield SheetPassage(text, first, int(passage.last), title, since)

    def _divided(self, rows: Iterable[SheetRow], data: int, room: int) -> Iterator[RowPassage]:
        body = (
            Row(row.number, row.cells[self._band], self._taken(row.number))
            for row in rows
            if row.number >= data
        )
        if self._width > 1:
            return table_passages(self.top.names, body, max_words=room)
        lines = (
            Record(str(row.number), [("", text) for text in (*row.cells, *row.remarks)])
            for row in body
        )
        return record_passages(lines, max_words=room)

    def _taken(self, row: int) -> tuple[str, ...]:
        """Remove and return the remarks on a row of the table."""
        if row not in self._remarks:
            return ()
        start, stop = self._band.start, self._band.stop
        here = [
            one for one in self._remarks[row] if one[0] > start and (not stop or one[0] <= stop)
        ]
        self._remarks[row] = [one for one in self._remarks[row] if one not in here]
        return tuple(line for _, line in here)

    def _continued(self, before: _Top) -> _Top | None:
        """The first rows of the table before, if this one goes on after an empty row."""
        is_like = 1 < self._width <= len(before.names)
        values = sum(is_value(cell) for cell in self._cells[0] if cell)
        if is_like and values and not is_header(self._cells[0], self._cells[1:]):
            return replace(before, rows=0)
        return None

    def _found(self, merged: MergedCells) -> _Top:
        cells, left = self._cells, self._band.start
        if self._width == 1:
            return self._of_list()
        shape = table_shape(cells)
        above, names, used = shape.above, list[str](), shape.above
        if shape.header:
            names, used = list(cells[above]), above + 1
            is_wide = above > 0 and _spans(cells[above - 1], self._sample[above - 1], merged, left)
            if is_wide:
                above -= 1
                names = _joined(cells[above], names, self._sample[above].number, merged, left)
            elif _is_upper(names, cells[used:]):
                number = self._sample[above].number
                names = _joined(names, cells[used], number, merged, left)
                used += 1
        title = "\n".join(" ".join(filter(None, row)) for row in cells[:above])
        return _Top(used, " ".join(title.split(" ")), names, left)

    def _of_list(self) -> _Top:
        """The name above a column of numbers or codes."""
        texts = [cells[0] for cells in self._cells]
        values = sum(map(is_value, texts[1:]))
        has_name = len(texts) > 2 and not is_value(texts[0]) and values > len(texts[1:]) / 2
        return _Top(1, texts[0], (), self._band.start) if has_name else _Top(left=self._band.start)


def _spans(cells: Sequence[str], row: SheetRow, merged: MergedCells, left: int) -> bool:
    """Whether a row above a header names groups of its columns instead of the table."""
    filled = [at for at, cell in enumerate(cells) if cell]
    wide = [one for one in merged.at(row.number) if one.right > one.left]
    return len(filled) > 1 or any(one.left - 1 > left for one in wide if filled)


def _is_upper(names: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether a header has gaps that the next row fills with names."""
    if len(below) < 2 or not is_header(below[0], below[1:]):
        return False
    gaps = [at for at, name in enumerate(names) if not name]
    filled = [at for at in gaps if at < len(below[0]) and below[0][at]]
    values = any(is_value(cell) for row in below[1:] for cell in row if cell)
    return bool(filled) and values


def _joined(
    upper: Sequence[str], lower: Sequence[str], row: int, merged: MergedCells, left: int
) -> list[str]:
    """The names of two rows of a header: "2024" above "Q1" and "Q2" is "2024 Q1", "2024 Q2"."""
    ends = {one.left - 1 - left: one.right - left for one in merged.at(row)}
    names: list[str] = []
    group, end = "", 0
    for at in range(max(len(upper), len(lower))):
        above = upper[at] if at < len(upper) else ""
        below = lower[at] if at < len(lower) else ""
        if above:
            group, end = above, ends.get(at, len(lower) if not ends else at + 1)
        elif at >= end:
            group = ""
        names.append(" ".join(dict.fromkeys(filter(None, [group, below]))))
    return names


def _titled(title: str, text: str) -> str:
    return f"{title}\n\n{text}" if title else text
