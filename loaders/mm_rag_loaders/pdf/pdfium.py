"""PDFs read with pypdfium2, which has a permissive licence."""

from __future__ import annotations

import ctypes
import logging
import math
import re
import threading
import weakref
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, TypeAlias

from PIL import Image

from mm_rag._closing import Closing
from mm_rag._optional import require
from mm_rag.boxes import Box
from mm_rag.errors import UnreadableMedia
from mm_rag.media.access import OpenedFile
from mm_rag_loaders.pdf.context import DocumentContext
from mm_rag_loaders.pdf.page import (
    Extras,
    Line,
    PageContent,
    PageImage,
    RawPage,
    around,
    iso_date,
    locked_pdf,
    turn,
)
from mm_rag_loaders.pdf.page_content import page_content, with_additions
from mm_rag_loaders.pdf.pdfium_text import Corner, text_lines
from mm_rag_loaders.pdf.running import MarginRow, margin_rows

_METADATA = {"title": "Title", "author": "Author", "subject": "Subject", "keywords": "Keywords"}
_DATES = {"created": "CreationDate", "modified": "ModDate"}

# pdfium is not thread-safe, not even with one document per thread: it gives wrong text.
_lock = threading.RLock()

_Matrix: TypeAlias = tuple[float, float, float, float, float, float]
_Point: TypeAlias = tuple[float, float]

_CONTROL = re.compile(r"[\x01\x03-\x08\x0b\x0c\x0e-\x1f]")  # \x02 is a hyphen at a line's end

_MOST_OBJECTS = 50_000  # of a page; a map may have a million
_MOST_DEPTH = 8
_MOST_SEGMENTS = 500  # of a path; one with more is a drawing
_MOST_LINKS = 1000
_MOST_RECTS = 5000  # runs of words of a page, to find headers and footers
_MOST_URL_BYTES = 4096
_THIN = 3.0  # points: a rectangle that is drawn as a line
_STRAIGHT = 0.5  # points


class PdfiumDocument(Closing):
    """A PDF opened with pypdfium2. Its methods may be called from any thread.

    Args:
        file: The file, which the caller may close.
        password: Tried if it is locked.

    Raises:
        PasswordNeeded: It is locked, and the password does not open it.
        UnreadableMedia: It is damaged beyond repair.
        MissingExtra: pypdfium2 is not installed.
    """

    def __init__(self, file: OpenedFile, password: str | None = None) -> None:
        self._file, self._password = file.shared(), password
        self._second: PdfiumDocument | None = None
        with _pdfium() as pdfium:
            self._document = _opened(pdfium, file, password)
            # A document that is never closed is closed when it is garbage-collected.
            self._close = weakref.finalize(self, _close, self._document)
            self._close.atexit = False
            try:
                # Before the number of pages is read: otherwise form fields are not drawn.
                self._document.init_forms()
                self.page_count = len(self._document)
                self._context = DocumentContext(self.page_count)
                valid = pdfium.raw.FPDF_DocumentHasValidCrossReferenceTable(self._document)
                self.is_repaired = not valid
                self._metadata = _metadata(self._document)
            except BaseException as error:
                self._close()
                if isinstance(error, (pdfium.PdfiumError, ValueError)):
                    raise UnreadableMedia(f"{file.path.name} is a damaged PDF: {error}") from error
                raise

    @property
    def metadata(self) -> Mapping[str, str]:
        """Metadata without empty values, with dates as ISO 8601."""
        return self._metadata

    def complaint(self) -> str:
        """Always empty: pdfium does not report errors that it ignores."""
        return ""

    def read_page(self, number: int, max_pixels: int, extras: Extras | None = None) -> PageContent:
        """Read text and picture of a page, as `PDFDocument`."""
        with _pdfium() as pdfium:
            try:
                repeated = self._repeated(pdfium, number)
                with self._page(pdfium.raw, number - 1) as (page, links):
                    hidden = extras.hidden_layers if extras else ()
                    label = self._label(number - 1)
                    raw = _raw_page(pdfium.raw, page, number, label, links, hidden)
                    if extras and extras.silent:
                        raw = replace(raw, lines=self._lines_without(pdfium, number, extras))
                    raw = extras.with_ticks(raw) if extras else raw
                    canvas = _Canvas(pdfium, page)
                    content = page_content(raw, canvas, self._context, max_pixels, repeated)
                    return with_additions(content, raw, extras) if extras else content
            except (pdfium.PdfiumError, OSError, ValueError) as error:
                if isinstance(error, UnreadableMedia):
                    raise
                raise UnreadableMedia(str(error).rstrip(".")) from error

    def close(self) -> None:
        """Close the file."""
        self._close()
        self._file.close()
        if self._second is not None:
            self._second.close()

    def _repeated(self, pdfium: Any, number: int) -> list[MarginRow]:
        """Headers and footers of a page that an earlier page had; damaged pages near have none."""
        for near in self._context.running.missing(number):
            try:
                with closing(self._load(near - 1)) as page, closing(page.get_textpage()) as text:
                    rows = _margins(pdfium.raw, page, text)
            except (pdfium.PdfiumError, UnreadableMedia, OSError, ValueError):
                rows = []
            self._context.running.add(near, rows)
        return self._context.running.repeated(number)

    @contextmanager
    def _page(self, raw: Any, index: int) -> Generator[tuple[Any, list[str]]]:
        """A page, with form fields and comments as part of its text, and its links."""
        with closing(self._load(index)) as page:
            links = links_on(raw, self._document, page)
            if not has_annotations(raw, page):
                yield page, links
                return
            raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY)
        with closing(self._load(index)) as page:
            yield page, links

    def _lines_without(self, pdfium: Any, number: int, extras: Extras) -> tuple[Line, ...]:
        """The lines of a page without those of its silent annotations.

        They are read from a second document, because hiding them changes the page's picture.
        """
        if self._second is None:
            self._second = PdfiumDocument(self._file, self._password)
        raw, document = pdfium.raw, self._second
        with closing(document._load(number - 1)) as page:
            for at in extras.silent:
                annotation = raw.FPDFPage_GetAnnot(page, at)
                if annotation:
                    raw.FPDFAnnot_SetFlags(annotation, raw.FPDF_ANNOT_FLAG_HIDDEN)
                    raw.FPDFPage_CloseAnnot(annotation)
        with document._page(raw, number - 1) as (page, _), closing(page.get_textpage()) as text:
            left, _, _, top = page.get_bbox()
            return text_lines(raw, text, (left, top), extras.hidden_layers)

    def _load(self, index: int) -> Any:
        try:
            return self._document[index]
        except RuntimeError as error:  # PdfiumError, "Failed to load page."
            raise UnreadableMedia("pdfium finds nothing in its place") from error

    def _label(self, index: int) -> str:
        try:
            return str(self._document.get_page_label(index))
        except UnicodeDecodeError:
            return ""


@dataclass(frozen=True)
class _Canvas:
    pdfium: Any
    page: Any

    def draw(self, rotation: int, clip: Box, zoom: float) -> Image.Image:
        """Draw a part of the turned page."""
        raw = self.pdfium.raw
        own = self.page.get_rotation()
        size = self.page.get_size() if (rotation - own) % 180 == 0 else self.page.get_size()[::-1]
        left, top, right, bottom = (int(edge * zoom) for edge in clip)
        whole = (max(1, int(side * zoom)) for side in size)
        bitmap = self.pdfium.PdfBitmap.new_native(
            max(1, right - left), max(1, bottom - top), raw.FPDFBitmap_BGR, rev_byteorder=True
        )
        with closing(bitmap):
            bitmap.fill_rect((255, 255, 255, 255), 0, 0, bitmap.width, bitmap.height)
            turn = (rotation - own) // 90 % 4
            flags = raw.FPDF_ANNOT | raw.FPDF_REVERSE_BYTE_ORDER
            raw.FPDF_RenderPageBitmap(bitmap, self.page, -left, -top, *whole, turn, flags)
            picture: Image.Image = bitmap.to_pil().copy()
            return picture


@contextmanager
def _pdfium() -> Generator[Any]:
    """pypdfium2, for one thread at a time."""
    pdfium = require("pypdfium2", extra="pdfium", feature="Reading PDFs with pdfium")
    # Otherwise its warnings would be printed if logging is not configured.
    logging.getLogger("pypdfium2").addHandler(logging.NullHandler())
    with _lock:
        yield pdfium


def _close(document: Any) -> None:
    with _lock:
        document.close()


def _opened(pdfium: Any, file: OpenedFile, password: str | None) -> Any:
    name = file.path.name
    try:
        return pdfium.PdfDocument(file.reader(), password=password, autoclose=True)
    except pdfium.PdfiumError as error:
        if error.err_code == pdfium.raw.FPDF_ERR_PASSWORD:
            raise locked_pdf(name, password) from error
        reason = "it is encrypted in a way that pdfium does not know"
        if error.err_code != pdfium.raw.FPDF_ERR_SECURITY:
            reason = "pdfium finds no document in it"
        raise UnreadableMedia(f"{name} is a damaged PDF: {reason}.") from error
    except (OSError, ValueError) as error:
        raise UnreadableMedia(f"{name} cannot be opened: {error}.") from error


def _metadata(document: Any) -> dict[str, str]:
    def value(key: str) -> str:
        try:
            return " ".join(str(document.get_metadata_value(key)).replace("\0", " ").split())
        except UnicodeDecodeError:
            return ""

    found = {key: value(name) for key, name in _METADATA.items()}
    found |= {key: iso_date(value(name)) for key, name in _DATES.items()}
    return {key: text for key, text in found.items() if text}


def _raw_page(
    raw: Any, page: Any, number: int, label: str, links: list[str], hidden: Collection[str]
) -> RawPage:
    left, bottom, right, top = page.get_bbox()
    with closing(page.get_textpage()) as text:
        lines = text_lines(raw, text, (left, top), hidden)
        unreadable = len(_CONTROL.findall(text.get_text_range()))
    drawn = drawn_on(raw, page, (left, top))
    return RawPage(
        number=number,
        label=label,
        size=(right - left, top - bottom),
        rotation=page.get_rotation(),
        lines=lines,
        rules=tuple(drawn.rules),
        outlines=drawn.outlines,
        pictures=tuple(drawn.pictures),
        links=tuple(links),
        unreadable=unreadable,
    )


def _margins(pdfium: Any, page: Any, text: Any) -> list[MarginRow]:
    """The outermost rows of words of a page as viewers show it."""
    left, bottom, right, top = page.get_bbox()
    width, height, rotation = right - left, top - bottom, page.get_rotation()
    if not (width > 0 and height > 0):
        return []
    shown = (width, height) if rotation % 180 == 0 else (height, width)
    edges = [ctypes.c_double() for _ in range(4)]
    words: list[tuple[str, Box]] = []
    for at in range(min(_MOST_RECTS, max(0, pdfium.FPDFText_CountRects(text.raw, 0, -1)))):
        pdfium.FPDFText_GetRect(text.raw, at, *edges)
        x0, y1, x1, y0 = (edge.value for edge in edges)
        box = turn((x0 - left, top - y1, x1 - left, top - y0), (width, height), rotation)
        shares = box[0] / shown[0], box[1] / shown[1], box[2] / shown[0], box[3] / shown[1]
        is_near_edge = not 0.2 < (shares[1] + shares[3]) / 2 < 0.8
        said = text.get_text_bounded(x0, y0, x1, y1) if is_near_edge else "-"
        words.append((" ".join(said.split()), shares))
    return margin_rows((said, box) for said, box in words if said)


@dataclass
class Drawn:
    """The drawn objects of a page except text, in points from the corner of its visible part.

    Attributes:
        rules: Horizontal and vertical lines.
        outlines: Number of paths.
        pictures: Pictures with their resolution.
    """

    rules: list[Box] = field(default_factory=list[Box])
    outlines: int = 0
    pictures: list[PageImage] = field(default_factory=list[PageImage])


def drawn_on(pdfium: Any, page: Any, corner: Corner) -> Drawn:
    """Read up to 50,000 drawn objects of a page.

    Args:
        pdfium: `pypdfium2.raw`.
        page: A page of it.
        corner: Corner of the visible part of the page.
    """
    found = Drawn()
    # PDF's y runs up.
    upright: _Matrix = (1, 0, 0, -1, -corner[0], corner[1])
    for item, kind, matrix in islice(_objects(pdfium, page, upright), _MOST_OBJECTS):
        if kind == pdfium.FPDF_PAGEOBJ_PATH and _is_visible(pdfium, item):
            found.outlines += 1
            found.rules += _rules(_segments(pdfium, item, matrix))
        elif kind == pdfium.FPDF_PAGEOBJ_IMAGE:
            found.pictures.append(_picture(pdfium, item, matrix))
    return found


def links_on(pdfium: Any, document: Any, page: Any) -> list[str]:
    """The addresses of a page's links, each once."""
    found: dict[str, None] = {}
    at, link = ctypes.c_int(0), pdfium.FPDF_LINK()
    buffer = ctypes.create_string_buffer(_MOST_URL_BYTES)
    while len(found) < _MOST_LINKS and pdfium.FPDFLink_Enumerate(page, at, link):
        action = pdfium.FPDFLink_GetAction(link)
        if action and pdfium.FPDFAction_GetType(action) == pdfium.PDFACTION_URI:
            size = pdfium.FPDFAction_GetURIPath(document, action, buffer, _MOST_URL_BYTES)
            if 1 < size <= _MOST_URL_BYTES:
                found[buffer.value.decode("utf-8", "replace").strip()] = None
    return [address for address in found if address]


def has_annotations(pdfium: Any, page: Any) -> bool:
    """Whether it has form fields, comments or stamps; links do not count."""
    passive = (pdfium.FPDF_ANNOT_LINK, pdfium.FPDF_ANNOT_POPUP)
    for number in range(pdfium.FPDFPage_GetAnnotCount(page)):
        annotation = pdfium.FPDFPage_GetAnnot(page, number)
        if not annotation:
            continue
        kind = pdfium.FPDFAnnot_GetSubtype(annotation)
        pdfium.FPDFPage_CloseAnnot(annotation)
        if kind not in passive:
            return True
    return False


def _objects(pdfium: Any, page: Any, upright: _Matrix) -> Iterator[tuple[Any, int, _Matrix]]:
    """Every object, nested ones included, with its matrix to page coordinates."""
    count, get = pdfium.FPDFPage_CountObjects, pdfium.FPDFPage_GetObject
    todo = [(get(page, number), upright, 0) for number in range(count(page))][::-1]
    count, get = pdfium.FPDFFormObj_CountObjects, pdfium.FPDFFormObj_GetObject
    raw = pdfium.FS_MATRIX()
    while todo:
        item, outer, depth = todo.pop()
        kind = pdfium.FPDFPageObj_GetType(item)
        pdfium.FPDFPageObj_GetMatrix(item, raw)
        matrix = _times((raw.a, raw.b, raw.c, raw.d, raw.e, raw.f), outer)
        yield item, kind, matrix
        if kind == pdfium.FPDF_PAGEOBJ_FORM and depth < _MOST_DEPTH:
            inner = [(get(item, n), matrix, depth + 1) for n in range(max(0, count(item)))]
            todo += inner[::-1]


def _times(inner: _Matrix, outer: _Matrix) -> _Matrix:
    a, b, c, d, e, f = inner
    x, y = _moved((e, f), outer)
    p, q, r, s = outer[:4]
    return (a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, x, y)


def _moved(point: _Point, matrix: _Matrix) -> _Point:
    x, y = point
    a, b, c, d, e, f = matrix
    return a * x + c * y + e, b * x + d * y + f


def _picture(pdfium: Any, item: Any, matrix: _Matrix) -> PageImage:
    corners = [_moved(corner, matrix) for corner in ((0, 0), (1, 0), (0, 1), (1, 1))]
    width, height = ctypes.c_uint(), ctypes.c_uint()
    pdfium.FPDFImageObj_GetImagePixelSize(item, width, height)
    points = math.hypot(matrix[0], matrix[1]) or 1.0
    return PageImage(around([(*corner, *corner) for corner in corners]), width.value / points)


def _is_visible(pdfium: Any, path: Any) -> bool:
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    pdfium.FPDFPath_GetDrawMode(path, fill, stroke)
    return bool(fill.value or stroke.value)


def _segments(pdfium: Any, path: Any, matrix: _Matrix) -> list[tuple[_Point, _Point]]:
    """The straight lines of a path; none if it has very many, or curves."""
    count = pdfium.FPDFPath_CountSegments(path)
    found: list[tuple[_Point, _Point]] = []
    if not 2 <= count <= _MOST_SEGMENTS:
        return found
    x, y = ctypes.c_float(), ctypes.c_float()
    start = last = (0.0, 0.0)
    for number in range(count):
        segment = pdfium.FPDFPath_GetPathSegment(path, number)
        kind = pdfium.FPDFPathSegment_GetType(segment)
        pdfium.FPDFPathSegment_GetPoint(segment, x, y)
        point = _moved((x.value, y.value), matrix)
        if kind == pdfium.FPDF_SEGMENT_MOVETO:
            start = point
        elif kind == pdfium.FPDF_SEGMENT_LINETO:
            found.append((last, point))
        else:
            return []
        last = point
        if pdfium.FPDFPathSegment_GetClose(segment) and last != start:
            found.append((last, start))
    return found


def _rules(segments: list[tuple[_Point, _Point]]) -> list[Box]:
    """The horizontal and vertical lines; a thin rectangle is one line."""
    boxes = [around([(*a, *a), (*b, *b)]) for a, b in segments]
    if not boxes:
        return []
    whole = around(boxes)
    if min(whole[2] - whole[0], whole[3] - whole[1]) <= _THIN:
        return [whole]
    return [box for box in boxes if min(box[2] - box[0], box[3] - box[1]) <= _STRAIGHT]
