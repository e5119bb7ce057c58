"""Opening a PDF with pypdfium2, which comes under a permissive licence, and reading its pages.

Only this module and its parts `pdfium_text` and `pdfium_objects` touch pypdfium2.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from PIL import Image

from mm_rag._closing import Closing
from mm_rag._optional import require
from mm_rag.boxes import Box
from mm_rag.errors import UnreadableMedia
from mm_rag.media.access import OpenedFile
from mm_rag_loaders.pdf.content import page_content
from mm_rag_loaders.pdf.dates import iso_date
from mm_rag_loaders.pdf.document import locked_pdf
from mm_rag_loaders.pdf.headings import FontUse
from mm_rag_loaders.pdf.page import PageContent
from mm_rag_loaders.pdf.pdfium_objects import drawn_on, has_annotations, links_on
from mm_rag_loaders.pdf.pdfium_text import text_lines
from mm_rag_loaders.pdf.raw import RawPage

_METADATA = {"title": "Title", "author": "Author", "subject": "Subject", "keywords": "Keywords"}
_DATES = {"created": "CreationDate", "modified": "ModDate"}

# pdfium is not thread-safe, not even with one document per thread: it gives wrong text.
_lock = threading.RLock()


class PdfiumDocument(Closing):
    """An open PDF. Use it as a context manager; its methods may be called from any thread.

    Args:
        file: The file, which the caller may close.
        password: Tried where it is locked.

    Raises:
        PasswordNeeded: It is locked, and the password does not open it.
        UnreadableMedia: It is damaged beyond repair.
        MissingExtra: pypdfium2 is not installed.
    """

    def __init__(self, file: OpenedFile, password: str | None = None) -> None:
        self._fonts = FontUse()
        with _pdfium() as pdfium:
            self._document = _opened(pdfium, file, password)
            # What was never closed is closed when it is no longer used, for one thread at a time.
            self._close = weakref.finalize(self, _close, self._document)
            self._close.atexit = False
            try:
                # Before the number of pages is asked for: else fields are not drawn.
                self._document.init_forms()
                self.page_count = len(self._document)
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
        """What it says about itself, without what is empty; dates as ISO 8601."""
        return self._metadata

    def complaint(self) -> str:
        """Always empty: pdfium says nothing of what it passes over."""
        return ""

    def read_page(self, number: int, max_pixels: int) -> PageContent:
        """Text and picture of a page, 1-based; as in `PDFDocument`."""
        with _pdfium() as pdfium:
            try:
                with self._page(pdfium.raw, number - 1) as (page, links):
                    raw = _raw_page(pdfium.raw, page, number, self._label(number - 1), links)
                    canvas = _Canvas(pdfium, page)
                    return page_content(raw, canvas, self._fonts, max_pixels)
            except (pdfium.PdfiumError, OSError, ValueError) as error:
                if isinstance(error, UnreadableMedia):
                    raise
                raise UnreadableMedia(str(error).rstrip(".")) from error

    def close(self) -> None:
        """Let go of the file."""
        self._close()

    @contextmanager
    def _page(self, raw: Any, index: int) -> Generator[tuple[Any, list[str]]]:
        """A page with its form fields and comments as part of its text, and its links."""
        with closing(self._load(index)) as page:
            links = links_on(raw, self._document, page)
            if not has_annotations(raw, page):
                yield page, links
                return
            raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY)
        with closing(self._load(index)) as page:
            yield page, links

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
        """A part of the page, turned."""
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
    # Else its remarks on a document would be printed where no logging is set up.
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


def _raw_page(raw: Any, page: Any, number: int, label: str, links: list[str]) -> RawPage:
    left, bottom, right, top = page.get_bbox()
    with closing(page.get_textpage()) as text:
        lines = text_lines(raw, text, (left, top))
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
    )
