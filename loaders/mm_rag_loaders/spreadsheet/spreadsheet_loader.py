"""SpreadsheetLoader: the cells of workbooks as rows with their header, and pictures of sheets."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import BinaryIO, ClassVar

from mm_rag._printing import counted, printable
from mm_rag._temporary import TemporaryFolder
from mm_rag.boxes import read_boxes
from mm_rag.errors import InputError, MediaTooLarge, MissingExtra, PasswordNeeded, UnreadableMedia
from mm_rag.media.access import opened
from mm_rag.media.kind import LOCKED_OFFICE, file_type, office_suffix, unpacked_bytes
from mm_rag.media.policy import MediaPolicy
from mm_rag.segment import Scalar, Segment
from mm_rag.words import plain_words
from mm_rag_loaders.load_options import LoadOptions
from mm_rag_loaders.loader import Loader, Member, SourceFile
from mm_rag_loaders.office import libreoffice
from mm_rag_loaders.office.embedded import embedded_files
from mm_rag_loaders.office.package import opened_package
from mm_rag_loaders.office.properties import Properties, properties_of
from mm_rag_loaders.passages import passages
from mm_rag_loaders.pdf import PDFLoader
from mm_rag_loaders.spreadsheet.opendocument import OpenDocumentWorkbook
from mm_rag_loaders.spreadsheet.sheet import MergedCells, Sheet, SheetRow, Workbook, column_name
from mm_rag_loaders.spreadsheet.sheet_tables import Remarks, SheetPassage, sheet_passages
from mm_rag_loaders.spreadsheet.values import ValuesWorkbook, WithBooleans
from mm_rag_loaders.spreadsheet.xlsx import ExcelWorkbook

# All of a sheet on one page, so that pages count sheets, hidden and empty ones too.
_ONE_PAGE_A_SHEET = 'pdf:calc_pdf_Export:{"SinglePageSheets":{"type":"boolean","value":"true"}}'
# The picture of a sheet has the pixels of a page: a larger sheet would not be legible on it.
_PICTURED_ROWS, _PICTURED_COLUMNS, _PICTURED_PASSAGES = 150, 30, 40
_PICTURED_BYTES = 64 * 1024**2  # of an unpacked workbook that is drawn
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument."
_GROUP_ROWS = 200  # rows of tables that may stand side by side
_TOO_NARROW = re.compile(r"#{3,}")  # instead of a number or date in a narrow column
_LEAST_SHOWN = 0.9  # of the words of the cells; a few are written otherwise on the print
_PICTURE = re.compile(r"(xl/media|Pictures)/[^/]+\.(png|jpe?g|gif|tiff?|bmp|webp)", re.IGNORECASE)
_PROGRAMS = ("openpyxl", "xlsxwriter", "Apache POI")  # name themselves as authors
_MOST_LINKS = 50  # of a passage
_USUAL_NAME = re.compile(r"\w+ ?\d+")  # "Sheet1", "Tabelle 2"


class SpreadsheetLoader(Loader):
    """Reads Excel and OpenDocument workbooks by their cells, as these are shown.

    XLSX and ODS are read directly, XLS and XLSB from LibreOffice's conversion to ODS, or without
    LibreOffice by their values. LibreOffice also calculates formulas without results, and draws
    sheets that are small enough to be legible.
    """

    becomes: ClassVar[str] = (
        "each sheet's rows with their header, comments, text boxes, hidden rows and sheets too; "
        "a picture of each sheet that shows its cells in full; embedded files and pictures"
    )

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield for each sheet its picture, if it has one, and its passages.

        Raises:
            MissingExtra: lxml or python-calamine is not installed.
            PasswordNeeded: The file is locked.
            MediaTooLarge: It unpacks to more bytes than the policy allows.
            UnreadableMedia: It is damaged, or there is nothing in its cells.
        """
        found = False
        with ExitStack() as held:
            office = _Office(file, self.options, held)
            workbook = _opened(file, office, held)
            about = _properties(file)
            for number, sheet in enumerate(workbook.each(), 1):
                if number > self.options.policy.max_pages:
                    most = self.options.policy.max_pages
                    file.note(
                        "limit", f"only the first {most} sheets were read (MediaPolicy.max_pages)"
                    )
                    break
                for segment in self._sheet(workbook, sheet, number, file, office):
                    found = True
                    yield replace(segment, metadata={**about.metadata, **segment.metadata})
        if not found:
            raise UnreadableMedia(f"{file.name} has nothing in its cells.")

    def members(self, file: SourceFile) -> Iterator[Member]:
        """Yield the files that are embedded in a workbook, and the pictures on its sheets."""
        with file.opened.reader() as reader:
            if reader.read(len(_ZIP)) != _ZIP:
                return
        with TemporaryFolder() as folder, opened_package(file.opened, file.name) as package:
            yield from embedded_files(package, folder.path, file)
            for part in package.names:
                if not _PICTURE.fullmatch(part):
                    continue
                path = folder.path / f"picture{PurePosixPath(part).suffix}"
                with package.opened(part) as source, path.open("wb") as target:
                    shutil.copyfileobj(source, target)
                yield Member(name=PurePosixPath(part).name, path=path)
                path.unlink(missing_ok=True)

    def redrawn(self, file: SourceFile, segments: Sequence[Segment]) -> Iterator[Segment]:
        """Yield segments of a workbook with their sheets drawn again.

        Raises:
            MissingExtra: LibreOffice is not installed.
            SourceForbidden: LibreOffice cannot be kept from files outside the policy's `roots`.
            UnreadableMedia: The file can no longer be read.
        """
        with ExitStack() as held:
            office = _Office(file, self.options, held)
            for segment in segments:
                yield office.drawn(segment) if segment.media else segment

    def _sheet(
        self,
        workbook: Workbook,
        sheet: Sheet,
        number: int,
        file: SourceFile,
        office: _Office,
    ) -> Iterator[Segment]:
        reading = _Reading(workbook, sheet, number, office)
        stream = reading.passages(self.options.passage_words)
        first = list(islice(stream, _PICTURED_PASSAGES + 1))
        made = (
            self._segment(passage, part, reading, file)
            for part, passage in enumerate(chain(first, stream))
        )
        if 0 < len(first) <= _PICTURED_PASSAGES and reading.is_small:
            made = _with_picture(list(made), office, file)
        yield from made
        reading.report(file)

    def _segment(
        self, passage: SheetPassage, part: int, reading: _Reading, file: SourceFile
    ) -> Segment:
        name = printable(reading.sheet.name)
        place = f"sheet {name}, {passage.rows}" if passage.first else f"sheet {name}"
        metadata: dict[str, Scalar] = {
            "place": place,
            "sheet": name,
            "rows": passage.rows.partition(" ")[2] if passage.first else "",
            "heading": " ".join(passage.heading.split()),
            "hidden": reading.hidden_in(passage),
            "links": "\n".join(reading.links_in(passage)),
        }
        title = file.name_in_words
        if not _USUAL_NAME.fullmatch(name):
            title = f"{title}: {name}" if title else name
        return file.text_segment(
            printable(passage.text), title=title, part=part, page=reading.number, **metadata
        )


def _properties(file: SourceFile) -> Properties:
    """Author and dates of a workbook; empty for an old one."""
    try:
        with opened_package(file.opened, file.name) as package:
            found = properties_of(package)
    except UnreadableMedia:
        return Properties()
    kept = {name: text for name, text in found.metadata.items() if text not in _PROGRAMS}
    return replace(found, metadata=kept)


def _with_picture(passages: list[Segment], office: _Office, file: SourceFile) -> Iterator[Segment]:
    """The picture of a sheet with all of its words, and its passages."""
    try:
        drawn = office.drawn(passages[0])
    except (MissingExtra, InputError) as error:
        kind = "missing reader" if isinstance(error, MissingExtra) else "unsupported"
        file.note(kind, f"its sheets have no pictures: {error}")
        yield from passages
        return
    if not _is_legible(passages, drawn.boxes):
        sheet = passages[0].metadata["sheet"]
        file.note("limit", f"sheet {sheet!r} has no picture: its columns cut cells off")
        yield from passages
        return
    pictured = [
        replace(
            passage,
            media=drawn.media,
            preview=drawn.preview,
            mime_type=drawn.mime_type,
            boxes=drawn.boxes,
        )
        for passage in passages
    ]
    whole = "\n\n".join(passage.text for passage in passages)
    sheet = passages[0].metadata["sheet"]
    metadata = {**passages[0].metadata, "place": f"sheet {sheet}"}
    for name in ("rows", "heading"):
        metadata.pop(name, None)
    yield replace(pictured[0], modality="image", text=whole, metadata=metadata)
    yield from pictured


def _is_legible(passages: Sequence[Segment], boxes: str | None) -> bool:
    """Whether a picture shows the words of the cells in full, as columns wide enough do."""
    shown = read_boxes(boxes) if boxes else []
    if any(_TOO_NARROW.fullmatch(box.text) for box in shown):
        return False
    printed = set(plain_words(" ".join(box.text for box in shown)))
    # Hidden rows and columns are not drawn.
    whole = [p.text for p in passages if p.metadata.get("rows") and not p.metadata.get("hidden")]
    cells = set(plain_words(" ".join(whole).replace("|", " ")))
    return len(cells & printed) >= _LEAST_SHOWN * len(cells)


class _Reading:
    """Reads a sheet, and remembers what is hidden in it and where its links lead.

    Attributes:
        sheet: The sheet.
        number: Its number in the workbook, from 1.
        is_small: Whether a picture of what was read so far would be legible.
    """

    def __init__(self, workbook: Workbook, sheet: Sheet, number: int, office: _Office) -> None:
        self.sheet = sheet
        self.number = number
        self.is_small = True
        self._workbook = workbook
        self._office = office
        self._hidden: list[int] = []
        self._hidden_rows = 0
        self._links: list[tuple[int, str]] = []
        self._uncalculated = 0
        self._problem = ""

    def passages(self, max_words: int) -> Iterator[SheetPassage]:
        """Yield the passages of the sheet: of its tables, then of what floats above them."""
        remarks: Remarks = {}
        rows = self._rows(remarks)
        merged = MergedCells(self.sheet.merged)
        yield from sheet_passages(rows, merged, remarks, max_words=max_words)
        left = [line for row in sorted(remarks) for _, line in remarks[row]]
        for text in passages("\n\n".join([*left, *self.sheet.texts]), max_words=max_words):
            yield SheetPassage(text, 0, 0)

    def _rows(self, remarks: Remarks) -> Iterator[SheetRow]:
        known = 0
        for row in self._workbook.rows(self.sheet):
            for comment in islice(self.sheet.comments, known, None):
                remarks.setdefault(comment.row, []).append((comment.column, comment.line))
            known = len(self.sheet.comments)
            if row.hidden:
                self._hidden.append(row.number)
                self._hidden_rows += 1
            self._links += [(row.number, link) for link in row.links]
            if row.number > _PICTURED_ROWS or len(row.cells) > _PICTURED_COLUMNS:
                self.is_small = False
            if row.uncalculated:
                self._calculate(row)
            yield row
        for comment in islice(self.sheet.comments, known, None):
            remarks.setdefault(comment.row, []).append((comment.column, comment.line))

    def _calculate(self, row: SheetRow) -> None:
        """Put the results of formulas in the place of formulas that have none in the file."""
        try:
            results = self._office.calculated(self.number, row.number)
        except (MissingExtra, InputError) as error:
            self._problem = str(error)
            results = []
        for column in row.uncalculated:
            if column <= len(results) and results[column - 1]:
                row.cells[column - 1] = results[column - 1]
            else:
                self._uncalculated += 1

    def hidden_in(self, passage: SheetPassage) -> str:
        """Hidden parts of a passage: `"sheet"`, `"rows 5, 7; column D"`."""
        if self.sheet.hidden:
            return "sheet"
        # Tables that stand side by side have the same rows.
        self._hidden = [row for row in self._hidden if row >= passage.first - _GROUP_ROWS]
        since = passage.since or passage.first
        rows = [row for row in self._hidden if since <= row <= passage.last]
        columns = [column_name(column) for column in self.sheet.hidden_columns[:_MOST_LINKS]]
        found = [
            _listed("row", [str(row) for row in rows[:_MOST_LINKS]]),
            _listed("column", columns),
        ]
        return "; ".join(filter(None, found))

    def links_in(self, passage: SheetPassage) -> list[str]:
        """The addresses to which the rows of a passage lead."""
        self._links = [one for one in self._links if one[0] >= passage.first - _GROUP_ROWS]
        since = passage.since or passage.first
        found = [link for row, link in self._links if since <= row <= passage.last]
        return list(dict.fromkeys(found))[:_MOST_LINKS]

    def report(self, file: SourceFile) -> None:
        """Note what was hidden or left out."""
        name = f"sheet {printable(self.sheet.name)!r}"
        if self.sheet.hidden:
            file.note("hidden", f"{name} is hidden; it was read")
        hidden = [
            counted(number, what)
            for number, what in (
                (self._hidden_rows, "hidden row"),
                (len(self.sheet.hidden_columns), "hidden column"),
            )
            if number
        ]
        if hidden:
            file.note("hidden", f"{name} has {' and '.join(hidden)}; they were read")
        if self._uncalculated:
            what = counted(self._uncalculated, "formula")
            why = f" ({self._problem})" if self._problem else ""
            file.note("unsupported", f"{name} has {what} without a result, shown as written{why}")
        for kind, note in self.sheet.notes:
            file.note(kind, f"{name}: {note}")


def _listed(what: str, names: list[str]) -> str:
    if not names:
        return ""
    return f"{what} {names[0]}" if len(names) == 1 else f"{what}s {', '.join(names)}"


def _opened(file: SourceFile, office: _Office, held: ExitStack) -> Workbook:
    """Open a workbook with what reads its format."""
    reader = held.enter_context(file.opened.reader())
    match _format(reader, file, office.policy):
        case "xlsx":
            return _excel(reader, file, office)
        case "ods":
            return OpenDocumentWorkbook(reader, file.name)
        case _:
            values = ValuesWorkbook(reader, file.name)
            try:
                return WithBooleans(office.converted(), values)
            except MissingExtra as error:
                file.note_missing("what is hidden, number formats and comments", error)
            return values


def _excel(reader: BinaryIO, file: SourceFile, office: _Office) -> Workbook:
    try:
        return ExcelWorkbook(reader, file.name)
    except UnreadableMedia as error:
        try:
            repaired = office.converted()
        except (MissingExtra, InputError):
            raise error from None
        file.note("damaged", f"read as LibreOffice repairs it: {error}")
        return repaired


def _format(reader: BinaryIO, file: SourceFile, policy: MediaPolicy) -> str:
    mime = file_type(file.opened, policy).mime
    if mime == LOCKED_OFFICE:
        raise PasswordNeeded(
            f"{file.name} is locked with a password, which cannot be given here: save it without."
        )
    if office_suffix(mime) is None:
        raise UnreadableMedia(f"{file.name} is damaged, or no spreadsheet.")
    unpacked = unpacked_bytes(reader)
    if unpacked > policy.max_bytes:
        raise MediaTooLarge(
            f"{file.name} unpacks to {unpacked:,} bytes; MediaPolicy.max_bytes allows "
            f"{policy.max_bytes:,}."
        )
    reader.seek(0)
    start = reader.read(4)
    reader.seek(0)
    if start != _ZIP:
        return "xls" if start == _OLE else "ods"
    if mime.startswith(_OPEN_DOCUMENT):
        return "ods"
    with zipfile.ZipFile(reader) as archive:
        is_binary = any(name.lower() == "xl/workbook.bin" for name in archive.namelist())
    reader.seek(0)
    return "xlsb" if is_binary else "xlsx"


class _Office:
    """LibreOffice, started only when it is needed.

    Attributes:
        policy: Limits.
    """

    def __init__(self, file: SourceFile, options: LoadOptions, held: ExitStack) -> None:
        self.policy = options.policy
        self._file = file
        self._options = options
        self._held = held
        self._copy: Path | None = None
        self._pdf: SourceFile | None = None
        self._results: _Results | None = None

    def converted(self) -> OpenDocumentWorkbook:
        """The workbook, converted to OpenDocument."""
        path = self._convert("ods")
        return OpenDocumentWorkbook(self._held.enter_context(path.open("rb")), self._file.name)

    def calculated(self, sheet: int, row: int) -> list[str]:
        """The cells of a row as LibreOffice shows them; rows are asked for in order."""
        if self._results is None:
            self._results = _Results(self.converted())
        return self._results.row(sheet, row)

    def drawn(self, segment: Segment) -> Segment:
        """A segment with the picture of its sheet."""
        if self._pdf is None:
            path = self._convert(_ONE_PAGE_A_SHEET)
            pdf = self._held.enter_context(opened(path))
            self._pdf = replace(self._file, opened=pdf)
        # The temporary folder is not in the policy's `roots`.
        options = replace(self._options, policy=replace(self.policy, roots=None))
        return next(PDFLoader(options).redrawn(self._pdf, [segment]))

    def _convert(self, to: str) -> Path:
        libreoffice.find_program()
        if self._copy is None:
            self._copy = self._held.enter_context(libreoffice.copied(self._file, self.policy))
        return libreoffice.converted(self._copy, self._file, self.policy, to)


class _Results:
    """Reads the rows of a converted workbook as far as they are asked for."""

    def __init__(self, workbook: OpenDocumentWorkbook) -> None:
        self._workbook = workbook
        self._sheets = workbook.each()
        self._sheet = 0
        self._rows: Iterator[SheetRow] = iter(())
        self._row: SheetRow | None = None

    def row(self, sheet: int, number: int) -> list[str]:
        """The cells of a row; empty if there is no such row."""
        while self._sheet < sheet:
            found = next(self._sheets, None)
            if found is None:
                return []
            self._sheet += 1
            self._rows, self._row = self._workbook.rows(found), None
        while self._row is None or self._row.number < number:
            self._row = next(self._rows, None)
            if self._row is None:
                return []
        return self._row.cells if self._row.number == number else []
