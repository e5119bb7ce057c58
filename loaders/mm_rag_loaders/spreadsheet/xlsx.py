"""Read Excel workbooks (XLSX, XLSM, XLTX): cells as they are shown, row by row.

openpyxl would read them too, but either keeps a whole workbook in memory or leaves out comments,
hidden rows and merged cells, and it refuses files with small faults.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from mm_rag._optional import require
from mm_rag.errors import UnreadableMedia
from mm_rag_loaders.spreadsheet.number_format import BUILT_IN, Show, shown_by
from mm_rag_loaders.spreadsheet.sheet import (
    CellLimit,
    Comment,
    Merged,
    Sheet,
    SheetRow,
    Workbook,
    cell_place,
)

_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError, KeyError, ValueError, RuntimeError),
    *(NotImplementedError, SyntaxError),  # lxml's errors are of the last kind
)
_MOST_COLUMNS = 16_384
_TAIL_BYTES = 64 * 1024**2  # of a sheet after its rows: merged cells, links
_BLOCK = 1024**2
_MERGED = re.compile(rb"<(?:\w+:)?mergeCell\s[^>]*?ref=[\"']([A-Z]+\d+):([A-Z]+\d+)[\"']")
_LINK = re.compile(rb"<(?:\w+:)?hyperlink\s([^>]*)>")
_ATTRIBUTE = re.compile(r"([\w:]+)=\"([^\"]*)\"")
_LINK_FORMULA = re.compile(r"HYPERLINK\(\s*\"([^\"]+)\"", re.IGNORECASE)
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_THREAD = "tc="  # begins the author of what older programs show instead of a threaded comment
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_STRICT_RELATION = "{http://purl.oclc.org/ooxml/officeDocument/relationships}id"


class ExcelWorkbook(Workbook):
    """An XLSX file.

    Args:
        file: The file, which stays open as long as the workbook is read.
        name: Its name for messages.

    Raises:
        MissingExtra: lxml is not installed.
        UnreadableMedia: It is damaged.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._name = name
        self._etree: Any = require("lxml.etree", extra="documents", feature="Reading spreadsheets")
        self._limit = CellLimit()
        self._fault = ""
        self._sheets: list[Sheet] = []
        self._parts: list[str] = []
        with self._damage():
            self._zip = zipfile.ZipFile(file)
            self._names = {member.lower(): member for member in self._zip.namelist()}
            main = self._related("", "officeDocument").get("", ["xl/workbook.xml"])[0]
            self._read_sheets(main)
            others = self._related(main)
            self._formats = self._read_formats(others)
            self._texts = list(self._read_texts(others))
            self._people = self._read_people(others)

    def each(self) -> Iterator[Sheet]:
        """Yield the sheets in order."""
        yield from self._sheets

    def rows(self, sheet: Sheet) -> Iterator[SheetRow]:
        """Yield the rows of a sheet."""
        part = self._parts[self._sheets.index(sheet)]
        with self._damage():
            links = self._read_around(sheet, part)
            yield from self._read_rows(sheet, part, links)

    @contextmanager
    def _damage(self) -> Generator[None]:
        try:
            yield
        except _DAMAGE as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UnreadableMedia(f"{self._name} is damaged: {reason:.200}.") from error

    def _part(self, name: str) -> str | None:
        """A part of the package by its name, in whatever case it is written."""
        return self._names.get(name.lstrip("/").lower())

    def _tree(self, name: str) -> Any:
        """A part of the package, parsed; None if it is missing or damaged."""
        part = self._part(name)
        if part is None:
            return None
        parser = self._etree.XMLParser(
            resolve_entities=False, no_network=True, huge_tree=False, recover=True
        )
        with self._zip.open(part) as opened:
            return self._etree.parse(opened, parser).getroot()

    def _parsed(self, name: str, *tags: str) -> Iterator[Any]:
        """The elements of a part with one of these names, one by one; each is dropped again."""
        part = self._part(name)
        if part is None:
            return
        with self._zip.open(part) as opened:
            found = self._etree.iterparse(
                opened,
                events=("end",),
                tag=[f"{{*}}{tag}" for tag in tags],
                resolve_entities=False,
                no_network=True,
                huge_tree=False,
                recover=True,
            )
            for _, element in found:
                yield element
                element.clear(keep_tail=False)
                while element.getprevious() is not None:
                    del element.getparent()[0]
            self._fault = found.error_log[0].message if found.error_log else ""

    def _related(self, part: str, kind: str = "") -> dict[str, list[str]]:
        """The parts to which a part refers: by their kind, or those of a kind under an empty key.

        Parts outside of the package are never followed.
        """
        folder, name = posixpath.split(part)
        root = self._tree(posixpath.join(folder, "_rels", f"{name}.rels"))
        found: dict[str, list[str]] = {}
        for each in [] if root is None else root:
            target = each.get("Target", "")
            if not isinstance(each.tag, str) or each.get("TargetMode") == "External":
                continue
            path = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
            its_kind = each.get("Type", "").rpartition("/")[2]
            if kind in ("", its_kind):
                found.setdefault("" if kind else its_kind, []).append(path)
            found.setdefault(f"#{each.get('Id', '')}", []).append(path)
        return found

    def _read_sheets(self, main: str) -> None:
        root = self._tree(main)
        if root is None:
            raise ValueError("it has no workbook in it")
        targets = self._related(main)
        settings = next(root.iter("{*}workbookPr"), None)
        flag = "" if settings is None else settings.get("date1904", "")
        self._is_1904 = flag.lower() in ("1", "true", "on")
        for each in root.iter("{*}sheet"):
            relation = each.get(_RELATION) or each.get(_STRICT_RELATION) or ""
            [part, *_] = targets.get(f"#{relation}", [""])
            hidden = each.get("state", "visible") != "visible"
            self._sheets.append(Sheet(each.get("name", ""), hidden))
            self._parts.append(part)

    def _read_formats(self, related: dict[str, list[str]]) -> list[Show]:
        """Functions that show the numbers of each cell style."""
        root = self._tree(related.get("styles", [""])[0])
        if root is None:
            return []
        codes = dict(BUILT_IN)
        for each in root.iter("{*}numFmt"):
            number = each.get("numFmtId", "")
            if number.isdecimal():
                codes[int(number)] = each.get("formatCode", "")
        styles = next(root.iter("{*}cellXfs"), ())
        ids = [style.get("numFmtId", "0") for style in styles if isinstance(style.tag, str)]
        return [
            shown_by(codes.get(int(each) if each.isdecimal() else 0, ""), self._is_1904)
            for each in ids
        ]

    def _read_texts(self, related: dict[str, list[str]]) -> Iterator[str]:
        for part in related.get("sharedStrings", [])[:1]:
            for item in self._parsed(part, "si"):
                yield _rich_text(item)

    def _read_people(self, related: dict[str, list[str]]) -> dict[str, str]:
        """The names of the authors of threaded comments, by their ids."""
        people: dict[str, str] = {}
        for part in related.get("person", []):
            for person in self._parsed(part, "person"):
                people[person.get("id", "")] = person.get("displayName", "")
        return people

    def _read_around(self, sheet: Sheet, part: str) -> dict[tuple[int, int], str]:
        """Read what stands beside the rows of a sheet; return its links by their cells."""
        targets = self._addresses(part)
        tail = self._tail(part)
        for first, last in _MERGED.findall(tail):
            one, other = cell_place(first.decode()), cell_place(last.decode())
            if one and other:
                sheet.merged.append(Merged(*one, *other))
        links: dict[tuple[int, int], str] = {}
        for match in _LINK.findall(tail):
            named = dict(_ATTRIBUTE.findall(match.decode("utf-8", "replace")))
            relation = next((named[key] for key in named if key.endswith(":id")), "")
            place = cell_place(named.get("ref", "").partition(":")[0])
            if place and relation in targets:
                links[place] = targets[relation]
        related = self._related(part)
        sheet.comments = self._comments(related)
        for drawing in related.get("drawing", []):
            sheet.texts += self._floating(drawing)
        return links

    def _addresses(self, part: str) -> dict[str, str]:
        """The addresses outside of the file to which a part leads, by their ids."""
        folder, name = posixpath.split(part)
        root = self._tree(posixpath.join(folder, "_rels", f"{name}.rels"))
        return {
            each.get("Id", ""): each.get("Target", "")
            for each in ([] if root is None else root)
            if isinstance(each.tag, str) and each.get("TargetMode") == "External"
        }

    def _tail(self, part: str) -> bytes:
        """The bytes after the rows of a sheet."""
        member = self._part(part)
        if member is None:
            return b""
        before, tail = b"", b""
        with self._zip.open(member) as opened:
            while block := opened.read(_BLOCK):
                if tail:
                    tail += block
                    if len(tail) > _TAIL_BYTES:
                        break
                    continue
                joined = before + block
                at = joined.find(b"sheetData>")
                # The first is that of the opening element.
                while at >= 0 and joined[max(0, at - 40) : at].rpartition(b"<")[2][:1] != b"/":
                    at = joined.find(b"sheetData>", at + 1)
                tail = joined[at:] if at >= 0 else b""
                before = joined[-64:]
        return tail

    def _comments(self, related: dict[str, list[str]]) -> list[Comment]:
        threads: list[Comment] = []
        for part in related.get("threadedComment", []):
            for each in self._parsed(part, "threadedComment"):
                author = self._people.get(each.get("personId", ""), "")
                text = "".join(each.xpath("*[local-name()='text']//text()"))
                threads += _comment(each.get("ref", ""), text, author)
        plain: list[Comment] = []
        for part in related.get("comments", []):
            root = self._tree(part)
            authors = (
                [] if root is None else ["".join(a.itertext()) for a in root.iter("{*}author")]
            )
            for each in [] if root is None else root.iter("{*}comment"):
                number = each.get("authorId", "")
                known = number.isdecimal() and int(number) < len(authors)
                author = authors[int(number)] if known else ""
                text = next((_rich_text(inside) for inside in each.iter("{*}text")), "")
                if not (threads and author.startswith(_THREAD)):
                    plain += _comment(each.get("ref", ""), _without_name(text, author), author)
        return sorted([*plain, *threads], key=lambda one: (one.row, one.column))

    def _floating(self, drawing: str) -> list[str]:
        """The texts of boxes, the titles of charts and the descriptions of pictures."""
        root = self._tree(drawing)
        found: list[str] = []
        for anchor in [] if root is None else root:
            if not isinstance(anchor.tag, str):
                continue
            paragraphs = [
                "".join(p.xpath(".//*[local-name()='t']/text()")) for p in anchor.iter("{*}p")
            ]
            found.append("\n".join(filter(None, paragraphs)))
            found += [each.get("descr", "") for each in anchor.iter("{*}cNvPr")]
        related = self._related(drawing)
        for chart in (*related.get("chart", []), *related.get("chartEx", [])):
            found.append(self._chart(chart))
        return [text for text in dict.fromkeys(found) if text.strip()]

    def _chart(self, part: str) -> str:
        """The title of a chart, of its axes, and the names of its series."""
        root = self._tree(part)
        if root is None:
            return ""
        titles = ["".join(p.xpath(".//*[local-name()='t']/text()")) for p in root.iter("{*}p")]
        names = root.xpath(
            "//*[local-name()='ser']/*[local-name()='tx']//*[local-name()='v']/text()"
        )
        words = [text for text in dict.fromkeys([*titles, *names]) if text.strip()]
        return f"Chart: {'; '.join(words)}" if words else ""

    def _read_rows(
        self, sheet: Sheet, part: str, links: dict[tuple[int, int], str]
    ) -> Iterator[SheetRow]:
        number = 0
        for element in self._parsed(part, "row", "col"):
            if element.tag.endswith("}col"):
                _hide_columns(sheet, element)
                continue
            written = element.get("r", "")
            number = int(written) if written.isdecimal() else number + 1
            row = SheetRow(number, [], element.get("hidden", "0") in ("1", "true"))
            self._fill(row, element, links)
            if not self._limit.take(len(row.cells)):
                sheet.notes.append(("limit", f"only read until row {number}: too many cells"))
                return
            if any(row.cells):
                yield row
        if self._fault:
            sheet.notes.append(("damaged", f"damaged after row {number}: {self._fault:.100}"))

    def _fill(self, row: SheetRow, element: Any, links: dict[tuple[int, int], str]) -> None:
        column = 0
        for cell in element:
            if not isinstance(cell.tag, str):
                continue
            place = cell_place(cell.get("r", ""))
            column = place[1] if place else column + 1
            if len(cell) == 0 or column > _MOST_COLUMNS:
                continue
            text, formula = self._shown(cell)
            if formula is not None:
                if not text and cell.get("t") != "str":
                    row.uncalculated.append(column)
                    text = f"={formula}"
                if link := _LINK_FORMULA.search(formula):
                    row.links.append(link[1])
            if not text:
                continue
            if (row.number, column) in links:
                row.links.append(links[row.number, column])
            row.cells += [""] * (column - len(row.cells))
            row.cells[column - 1] = text

    def _shown(self, cell: Any) -> tuple[str, str | None]:
        """The text of a cell, and its formula if it has one."""
        value, formula, text = "", None, ""
        for inside in cell:
            name = inside.tag.rpartition("}")[2] if isinstance(inside.tag, str) else ""
            if name == "v":
                value = inside.text or ""
            elif name == "f":
                formula = inside.text or ""
            elif name == "is":
                text = _rich_text(inside)
        match cell.get("t", "n"):
            case "s":
                known = value.isdecimal() and int(value) < len(self._texts)
                text = self._texts[int(value)] if known else ""
            case "b":
                text = {"1": "TRUE", "0": "FALSE"}.get(value, value)
            case "n" if value:
                text = self._number(value, cell.get("s", ""))
            case "inlineStr":
                text = text or value
            case _:
                text = _unescaped(value)
        return text, formula

    def _number(self, value: str, style: str) -> str:
        try:
            number = float(value)
        except ValueError:
            return value
        known = style.isdecimal() and int(style) < len(self._formats)
        show = self._formats[int(style)] if known else shown_by("")
        return show(number)


def _hide_columns(sheet: Sheet, element: Any) -> None:
    first, last = element.get("min", ""), element.get("max", "")
    if element.get("hidden", "0") in ("1", "true") and first.isdecimal() and last.isdecimal():
        sheet.hidden_columns += range(int(first), min(int(last), _MOST_COLUMNS) + 1)


def _rich_text(element: Any) -> str:
    """The text of a string, without the reading aids above its characters."""
    if len(element) == 1 and element[0].tag.endswith("}t"):
        return _unescaped(element[0].text or "")
    parts = element.xpath(".//*[local-name()='t' and not(ancestor::*[local-name()='rPh'])]/text()")
    return _unescaped("".join(parts))


def _unescaped(text: str) -> str:
    """A text with characters that XML cannot hold, which Excel writes as `_x000D_`."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


def _comment(reference: str, text: str, author: str) -> Iterator[Comment]:
    place = cell_place(reference)
    words = " ".join(text.split())
    if place and words:
        yield Comment(*place, words, author.strip())


def _without_name(text: str, author: str) -> str:
    """A comment without the name of its author, with which Excel begins it."""
    begin = text.lstrip()
    return begin.removeprefix(f"{author}:") if author else text
