"""Read OpenDocument spreadsheets (ODS, FODS): the texts of cells are in the file as they are shown.

LibreOffice also writes them of formats that have no reader here, and of formulas without results.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import IO, Any, BinaryIO

from mm_rag._optional import require
from mm_rag.errors import UnreadableMedia
from mm_rag_loaders.spreadsheet.number_format import general
from mm_rag_loaders.spreadsheet.sheet import (
    CellLimit,
    Comment,
    Merged,
    Sheet,
    SheetRow,
    Workbook,
)

_OASIS = "urn:oasis:names:tc:opendocument:xmlns:"
_TABLE, _TEXT, _OFFICE, _STYLE, _DRAW, _SVG = (
    f"{{{_OASIS}{name}:1.0}}"
    for name in ("table", "text", "office", "style", "drawing", "svg-compatible")
)
_XLINK, _DC = "{http://www.w3.org/1999/xlink}", "{http://purl.org/dc/elements/1.1/}"
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError, KeyError, ValueError, RuntimeError),
    *(NotImplementedError, SyntaxError),  # lxml's errors are of the last kind
)
_HIDDEN = ("collapse", "filter")
_MOST_COLUMNS, _MOST_ROWS = 16_384, 1_048_576
_LINK_SCHEMES = ("http://", "https://", "mailto:", "ftp://")
_LINK_FORMULA = re.compile(r"HYPERLINK\(\s*\"([^\"]+)\"", re.IGNORECASE)
_POWER = re.compile(r"-?[\d.,]+E[+-]?\d+")


class OpenDocumentWorkbook(Workbook):
    """An ODS or FODS file.

    Args:
        file: The file, which stays open as long as the workbook is read.
        name: Its name for messages.

    Raises:
        MissingExtra: lxml is not installed.
        UnreadableMedia: It is damaged.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._name = name
        self._file = file
        self._etree: Any = require("lxml.etree", extra="documents", feature="Reading spreadsheets")
        self._limit = CellLimit()
        with self._damage():
            start = file.read(4)
            file.seek(0)
            self._zip = zipfile.ZipFile(file) if start == b"PK\x03\x04" else None
        self._rows = self._read()
        self._next: SheetRow | Sheet | None = next(self._rows, None)

    def each(self) -> Iterator[Sheet]:
        """Yield the sheets in order. The rows of one are read before the next sheet."""
        while self._next is not None:
            if isinstance(self._next, Sheet):
                sheet = self._next
                self._next = next(self._rows, None)
                yield sheet
            else:
                self._next = next(self._rows, None)

    def rows(self, sheet: Sheet) -> Iterator[SheetRow]:
        """Yield the rows of the sheet that `each` yielded last."""
        while isinstance(self._next, SheetRow):
            row = self._next
            yield row
            self._next = next(self._rows, None)

    @contextmanager
    def _damage(self) -> Generator[None]:
        try:
            yield
        except _DAMAGE as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UnreadableMedia(f"{self._name} is damaged: {reason:.200}.") from error

    def _opened(self) -> IO[bytes]:
        if self._zip is None:
            self._file.seek(0)
            return self._file
        return self._zip.open("content.xml")

    def _read(self) -> Iterator[SheetRow | Sheet]:
        """The sheets, each followed by its rows."""
        with self._damage():
            yield from self._elements()

    def _elements(self) -> Iterator[SheetRow | Sheet]:
        hidden_styles: set[str] = set()
        found = self._etree.iterparse(
            self._opened(),
            events=("start", "end"),
            tag=[
                *(f"{_STYLE}style", f"{_TABLE}table", f"{_TABLE}table-row"),
                *(f"{_TABLE}table-column", f"{_TABLE}shapes"),
            ],
            resolve_entities=False,
            no_network=True,
            huge_tree=False,
            recover=True,
        )
        sheet, reader, depth = Sheet(""), _Rows(Sheet(""), self._limit), 0
        for event, element in found:
            name = element.tag.rpartition("}")[2]
            if event == "start":
                depth += name == "table"
                if name == "table" and depth == 1:
                    style = element.get(f"{_TABLE}style-name", "")
                    sheet = Sheet(element.get(f"{_TABLE}name", ""), style in hidden_styles)
                    reader = _Rows(sheet, self._limit)
                    yield sheet
                continue
            depth -= name == "table"
            if name == "style":
                properties = element.find(f"{_STYLE}table-properties")
                if properties is not None and properties.get(f"{_TABLE}display") == "false":
                    hidden_styles.add(element.get(f"{_STYLE}name", ""))
            elif depth != 1:
                continue
            elif name == "table-column":
                reader.column(element)
            elif name == "shapes":
                sheet.texts += _floating(element)
            else:
                yield from reader.rows(element)
            element.clear(keep_tail=False)
            while element.getprevious() is not None:
                del element.getparent()[0]
        if found.error_log:
            sheet.notes.append(("damaged", f"damaged: {found.error_log[0].message:.100}"))


class _Rows:
    """Reads the rows of a sheet."""

    def __init__(self, sheet: Sheet, limit: CellLimit) -> None:
        self._sheet = sheet
        self._limit = limit
        self._number = 0
        self._columns = 0

    def column(self, element: Any) -> None:
        """Take note of hidden columns."""
        count = _count(element, "number-columns-repeated", _MOST_COLUMNS)
        if element.get(f"{_TABLE}visibility") in _HIDDEN and self._columns + count <= _MOST_COLUMNS:
            self._sheet.hidden_columns += range(self._columns + 1, self._columns + count + 1)
        self._columns += count

    def rows(self, element: Any) -> Iterator[SheetRow]:
        """Yield a row as often as it occurs, if there is something in it."""
        repeated = _count(element, "number-rows-repeated", _MOST_ROWS)
        hidden = element.get(f"{_TABLE}visibility") in _HIDDEN
        row = SheetRow(self._number + 1, [], hidden)
        self._fill(row, element)
        for _ in range(repeated if row.cells else 0):
            self._number += 1
            if not self._limit.take(len(row.cells)):
                self._sheet.notes = [
                    ("limit", f"only read until row {self._number}: too many cells")
                ]
                return
            yield SheetRow(self._number, row.cells, hidden, row.links)
        self._number += 0 if row.cells else repeated

    def _fill(self, row: SheetRow, element: Any) -> None:
        column = 0
        for cell in element:
            if not isinstance(cell.tag, str) or not cell.tag.endswith("table-cell"):
                continue
            repeated = _count(cell, "number-columns-repeated", _MOST_COLUMNS)
            if len(cell) and column < _MOST_COLUMNS:
                text = self._shown(row, cell, column + 1)
                if text:
                    most = min(column + repeated, _MOST_COLUMNS)
                    row.cells += [""] * (column - len(row.cells))
                    row.cells += [text] * (most - column)
                self._merge(row.number, column + 1, cell)
            column += repeated

    def _shown(self, row: SheetRow, cell: Any, column: int) -> str:
        paragraphs: list[str] = []
        for inside in cell:
            name = inside.tag if isinstance(inside.tag, str) else ""
            if name == f"{_TEXT}p":
                paragraphs.append(_paragraph(inside, row.links))
            elif name == f"{_OFFICE}annotation":
                self._comment(inside, row.number, column)
            elif name.startswith(_DRAW):
                self._sheet.texts += _floating_in(inside)
        text = "\n".join(paragraphs).strip()
        if link := _LINK_FORMULA.search(cell.get(f"{_TABLE}formula", "")):
            row.links.append(link[1])
        value = cell.get(f"{_OFFICE}value", "")
        if _POWER.fullmatch(text) and cell.get(f"{_OFFICE}value-type") == "float":
            return _exact(value, text)  # a long code may be shown as 1.23E+15
        return text or value or cell.get(f"{_OFFICE}string-value", "")

    def _comment(self, annotation: Any, row: int, column: int) -> None:
        author = annotation.findtext(f"{_DC}creator", "").strip()
        texts = [_paragraph(each, []) for each in annotation.iter(f"{_TEXT}p")]
        words = " ".join(" ".join(texts).split())
        if words:
            self._sheet.comments.append(Comment(row, column, words, author))

    def _merge(self, row: int, column: int, cell: Any) -> None:
        rows = _count(cell, "number-rows-spanned", _MOST_ROWS)
        columns = _count(cell, "number-columns-spanned", _MOST_COLUMNS)
        if rows > 1 or columns > 1:
            merged = Merged(row, column, row + rows - 1, column + columns - 1)
            self._sheet.merged.append(merged)


def _count(element: Any, name: str, most: int) -> int:
    written = element.get(f"{_TABLE}{name}", "1")
    return min(int(written), most) if written.isdecimal() and len(written) < 10 else 1


def _exact(value: str, text: str) -> str:
    try:
        return general(float(value))
    except ValueError:
        return text


def _paragraph(element: Any, links: list[str]) -> str:
    """The text of a paragraph, with its spaces, tabs and line breaks."""
    parts = [element.text or ""]
    for inside in element:
        name = inside.tag if isinstance(inside.tag, str) else ""
        if name == f"{_TEXT}s":
            parts.append(" " * min(_spaces(inside), 1000))
        elif name == f"{_TEXT}tab":
            parts.append("\t")
        elif name == f"{_TEXT}line-break":
            parts.append("\n")
        elif name and name != f"{_OFFICE}annotation" and not name.endswith("}ruby-text"):
            address = inside.get(f"{_XLINK}href", "")
            if name == f"{_TEXT}a" and address.startswith(_LINK_SCHEMES):
                links.append(address)
            parts.append(_paragraph(inside, links))
        parts.append(inside.tail or "")
    return "".join(parts)


def _spaces(element: Any) -> int:
    written = element.get(f"{_TEXT}c", "1")
    return int(written) if written.isdecimal() and len(written) < 6 else 1


def _floating(shapes: Any) -> list[str]:
    return [text for shape in shapes for text in _floating_in(shape)]


def _floating_in(shape: Any) -> list[str]:
    """The texts of a box that floats above the cells, and the description of a picture."""
    if not isinstance(shape.tag, str):
        return []
    texts = "\n".join(_paragraph(each, []) for each in shape.iter(f"{_TEXT}p"))
    described = [each.text or "" for each in shape.iter(f"{_SVG}title", f"{_SVG}desc")]
    return [text.strip() for text in dict.fromkeys([texts, *described]) if text.strip()]
