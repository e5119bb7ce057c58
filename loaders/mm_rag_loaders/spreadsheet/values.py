"""Read the values of old Excel workbooks (XLS, XLSB) without LibreOffice, through calamine.

It does not tell number formats, comments and hidden rows: numbers are shown with all their digits,
and dates as 2024-03-17.
"""

from __future__ import annotations

import datetime
import io
from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any, BinaryIO

from mm_rag._optional import require
from mm_rag.errors import UnreadableMedia
from mm_rag_loaders.spreadsheet.number_format import general
from mm_rag_loaders.spreadsheet.sheet import CellLimit, Merged, Sheet, SheetRow, Workbook

_BOOLEANS = {"TRUE": "1", "FALSE": "0"}


class ValuesWorkbook(Workbook):
    """A workbook of which only the values of cells are read.

    Args:
        file: The file.
        name: Its name for messages.

    Raises:
        MissingExtra: python-calamine is not installed.
        UnreadableMedia: It is damaged.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        calamine: Any = require(
            "python_calamine", extra="documents", feature="Reading old Excel files"
        )
        self._name = name
        self._limit = CellLimit()
        self._errors = (calamine.CalamineError, OSError, ValueError)
        try:
            self._workbook = calamine.CalamineWorkbook.from_filelike(io.BytesIO(file.read()))
            visible = calamine.SheetVisibleEnum.Visible
            known = self._workbook.sheets_metadata
        except self._errors as error:
            raise self._damaged(error) from error
        self._sheets = [Sheet(each.name, each.visible != visible) for each in known]

    def each(self) -> Iterator[Sheet]:
        """Yield the sheets in order."""
        yield from self._sheets

    def rows(self, sheet: Sheet) -> Iterator[SheetRow]:
        """Yield the rows of a sheet."""
        try:
            inside = self._workbook.get_sheet_by_index(self._sheets.index(sheet))
            for one, other in inside.merged_cell_ranges or ():
                sheet.merged.append(Merged(one[0] + 1, one[1] + 1, other[0] + 1, other[1] + 1))
            # Rows are given from the first one on, but columns from the first filled one.
            left = inside.start[1] if inside.start else 0
            top = inside.start[0] if inside.start else 0
            for number, values in enumerate(inside.to_python(skip_empty_area=True), top + 1):
                cells = [""] * left + [_text(value) for value in values]
                if not self._limit.take(len(cells)):
                    sheet.notes.append(("limit", f"only read until row {number}: too many cells"))
                    return
                if any(cells):
                    yield SheetRow(number, cells)
        except self._errors as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> UnreadableMedia:
        reason = " ".join(str(error).split()) or type(error).__name__
        return UnreadableMedia(f"{self._name} is damaged: {reason:.200}.")


class WithBooleans(Workbook):
    """A workbook with the booleans of another reading of it.

    LibreOffice converts `TRUE` and `FALSE` of old Excel workbooks to 1 and 0.

    Args:
        shown: The workbook as LibreOffice shows it.
        values: Its values.
    """

    def __init__(self, shown: Workbook, values: ValuesWorkbook) -> None:
        self._shown = shown
        self._values = values
        self._of: dict[str, Sheet] = {}

    def each(self) -> Iterator[Sheet]:
        """Yield the sheets in order."""
        self._of = {sheet.name: sheet for sheet in self._values.each()}
        yield from self._shown.each()

    def rows(self, sheet: Sheet) -> Iterator[SheetRow]:
        """Yield the rows of a sheet."""
        same = self._of.get(sheet.name)
        values = self._values.rows(same) if same else iter(())
        known = next(values, None)
        for row in self._shown.rows(sheet):
            while known is not None and known.number < row.number:
                known = next(values, None)
            if known is not None and known.number == row.number:
                row.cells = list(map(_boolean, row.cells, chain(known.cells, repeat(""))))
            yield row


def _boolean(shown: str, value: str) -> str:
    return value if _BOOLEANS.get(value) == shown else shown


def _text(value: Any) -> str:
    """A value as text."""
    match value:
        case str():
            return value
        case bool():
            return "TRUE" if value else "FALSE"
        case int() | float():
            return general(value)
        case datetime.datetime():
            is_day = value.time() == datetime.time()
            return value.date().isoformat() if is_day else value.isoformat(" ", "seconds")
        case datetime.date() | datetime.time():
            return value.isoformat()
        case _:
            return "" if value is None else str(value)
