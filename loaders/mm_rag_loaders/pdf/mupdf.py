"""PDFs read with PyMuPDF. No other module imports it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from PIL import Image

from mm_rag._closing import Closing
from mm_rag._optional import require
from mm_rag._printing import printable
from mm_rag.boxes import Box
from mm_rag.errors import UnreadableMedia
from mm_rag.media.access import OpenedFile
from mm_rag_loaders.pdf.context import DocumentContext
from mm_rag_loaders.pdf.page import (
    Extras,
    Line,
    PageContent,
    PageImage,
    PDFWord,
    RawPage,
    iso_date,
    locked_pdf,
)
from mm_rag_loaders.pdf.page_content import page_content, with_additions
from mm_rag_loaders.pdf.ruled import edges
from mm_rag_loaders.pdf.running import MarginRow, margin_rows

_HIDDEN = 1 << 1  # of the flags of annotations
_FAR = 1e6  # points
_BOLD = 16  # of MuPDF's font flags
_MOST_LIGHT = 0.2  # light letters in a bold line, as a share of the bold ones
_BOLD_NAME = re.compile(r"bold|black|heavy|CMBX", re.IGNORECASE)

# What PyMuPDF raises on damaged files besides MuPDF's own errors.
_DAMAGED = (RuntimeError, OSError, ValueError, TypeError, LookupError, AttributeError)

# PyMuPDF is not thread-safe, not even with one document per thread.
_lock = threading.RLock()


class MuPDFDocument(Closing):
    """A PDF opened with PyMuPDF. Its methods may be called from any thread.

    Raises:
        PasswordNeeded: It is locked, and the password does not open it.
        UnreadableMedia: It is damaged beyond repair.
        MissingExtra: PyMuPDF is not installed.
    """

    def __init__(self, file: OpenedFile, password: str | None = None) -> None:
        self._name = file.path.name
        self._has_pictures = False  # the page read last
        with self._mupdf() as mupdf:
            mupdf.TOOLS.reset_mupdf_warnings()
            self._document = _opened(mupdf, file)
            try:
                self._unlock(password)
                self.page_count = int(self._document.page_count)
                self._context = DocumentContext(self.page_count)
                self.is_repaired = bool(self._document.is_repaired)
                self._opening_complaint = _complaint(mupdf)
                self._metadata = _metadata(self._document.metadata or {})
            except BaseException:
                self._document.close()
                raise

    @property
    def metadata(self) -> Mapping[str, str]:
        """Metadata without empty values."""
        return self._metadata

    def close(self) -> None:
        """Close the file."""
        with _lock:
            if not self._document.is_closed:
                self._document.close()

    def complaint(self) -> str:
        """The first error that MuPDF reported since opening; empty if there was none."""
        with self._mupdf() as mupdf:
            return self._opening_complaint or _complaint(mupdf)

    def read_page(self, number: int, max_pixels: int, extras: Extras | None = None) -> PageContent:
        """Read text and picture of a page, as `PDFDocument`."""
        with self._mupdf() as mupdf:
            page = self._document.load_page(number - 1)
            if self._has_pictures:
                # MuPDF keeps up to 256 MB of decoded pictures.
                mupdf.TOOLS.store_shrink(100)
            with _hidden(mupdf, page, extras.silent if extras else ()):
                raw = _raw_page(mupdf, page, number)
            self._has_pictures = bool(raw.pictures)
            repeated = self._repeated(mupdf, number)
        raw = extras.with_ticks(raw) if extras else raw
        canvas = _MuPDFCanvas(page, self._mupdf)
        content = page_content(raw, canvas, self._context, max_pixels, repeated)
        return with_additions(content, raw, extras) if extras else content

    def _repeated(self, mupdf: Any, number: int) -> list[MarginRow]:
        """Headers and footers of a page that an earlier page had; damaged pages near have none."""
        for near in self._context.running.missing(number):
            try:
                rows = _margins(self._document.load_page(near - 1))
            except (mupdf.mupdf.FzErrorBase, *_DAMAGED):
                rows = []
            self._context.running.add(near, rows)
        return self._context.running.repeated(number)

    def _unlock(self, password: str | None) -> None:
        if not self._document.needs_pass:
            return
        if password is None or not self._document.authenticate(password):
            raise locked_pdf(self._name, password)

    @contextmanager
    def _mupdf(self) -> Generator[Any]:
        """PyMuPDF, for one thread at a time; its errors become UnreadableMedia."""
        mupdf = require("pymupdf", extra="pdf", feature="Reading PDFs")
        with _lock:
            try:
                yield mupdf
            except UnreadableMedia:
                raise
            except (mupdf.mupdf.FzErrorBase, *_DAMAGED) as error:
                raise UnreadableMedia(self._describe(mupdf, error)) from error

    def _describe(self, mupdf: Any, error: Exception) -> str:
        said = str(error).strip().partition("\n")[0].removeprefix("code=7: ")
        reason = _complaint(mupdf) or said or type(error).__name__
        return f"{self._name} is a damaged PDF: {reason}."


def _opened(mupdf: Any, file: OpenedFile) -> Any:
    # The content is a PDF, whatever the suffix.
    if path := file.handle_path():
        return mupdf.open(path, filetype="pdf")
    with file.reader() as reader:  # MuPDF cannot read from file objects
        return mupdf.open(stream=reader.read(), filetype="pdf")


def _metadata(known: Mapping[str, Any]) -> dict[str, str]:
    def said(key: str) -> str:
        return " ".join(printable(str(known.get(key) or "")).split())

    found = {key: said(key) for key in ("title", "author", "subject", "keywords")}
    found |= {"created": iso_date(said("creationDate")), "modified": iso_date(said("modDate"))}
    return {key: value for key, value in found.items() if value}


def _complaint(mupdf: Any) -> str:
    lines = str(mupdf.TOOLS.mupdf_warnings(reset=True)).splitlines()
    return next((line.strip().rstrip(".") for line in lines if "error" in line), "")


class _MuPDFCanvas:
    def __init__(self, page: Any, open_mupdf: Callable[[], AbstractContextManager[Any]]) -> None:
        self._page = page
        self._open_mupdf = open_mupdf

    def draw(self, rotation: int, clip: Box, zoom: float) -> Image.Image:
        """Draw a part of the page in RGB."""
        with self._open_mupdf() as mupdf:
            self._page.set_rotation(rotation)
            pixmap = self._page.get_pixmap(
                matrix=mupdf.Matrix(zoom, zoom), clip=clip, colorspace=mupdf.csRGB, alpha=False
            )
            return Image.frombytes("RGB", (pixmap.width, pixmap.height), pixmap.samples_mv)


@contextmanager
def _hidden(mupdf: Any, page: Any, positions: Collection[int]) -> Generator[None]:
    """Keep MuPDF from reading some of a page's annotations, by their position in its list."""
    if not positions:
        yield
        return
    own = mupdf.mupdf
    flags, listed = own.pdf_new_name("F"), own.pdf_new_name("Annots")
    annotations = own.pdf_dict_get(own.pdf_page_from_fz_page(page.this).obj(), listed)
    found = [own.pdf_array_get(annotations, at) for at in sorted(positions)]
    before = [own.pdf_to_int(own.pdf_dict_get(each, flags)) for each in found]
    for each, value in zip(found, before, strict=True):
        own.pdf_dict_put_int(each, flags, value | _HIDDEN)
    try:
        yield
    finally:
        for each, value in zip(found, before, strict=True):
            own.pdf_dict_put_int(each, flags, value)


def _raw_page(mupdf: Any, page: Any, number: int) -> RawPage:
    rotation = int(page.rotation)
    page.set_rotation(0)
    rules, outlines = _drawings(page)
    lines = tuple(_lines(mupdf, page))
    return RawPage(
        number=number,
        label=str(page.get_label() or ""),
        size=(float(page.rect.width), float(page.rect.height)),
        rotation=rotation,
        lines=lines,
        rules=tuple(rules),
        outlines=outlines,
        pictures=tuple(_pictures(page, lines)),
        links=tuple(dict.fromkeys(_links(page))),
    )


def _margins(page: Any) -> list[MarginRow]:
    """The outermost rows of words of a page as viewers show it."""
    width, height = float(page.rect.width), float(page.rect.height)
    if not (width > 0 and height > 0):
        return []
    return margin_rows(
        (text, (x0 / width, y0 / height, x1 / width, y1 / height))
        for x0, y0, x1, y1, text, *_ in page.get_text("words")
    )


def _links(page: Any) -> Iterator[str]:
    # `page.get_links()` takes 4 ms on a page of references.
    link = page.first_link
    while link:
        if link.is_external:
            yield str(link.uri)
        link = link.next


def _lines(mupdf: Any, page: Any) -> Iterator[Line]:
    # Ligatures are split, because queries do not contain them: "ef\ufb01cient".
    flags = mupdf.TEXTFLAGS_DICT & ~mupdf.TEXT_PRESERVE_IMAGES & ~mupdf.TEXT_PRESERVE_LIGATURES
    # Words outside of the page are left out later, and noted.
    everywhere = mupdf.Rect(-_FAR, -_FAR, _FAR, _FAR)
    text = page.get_textpage(clip=everywhere, flags=flags)
    words: dict[tuple[int, int], list[PDFWord]] = {}
    for x0, y0, x1, y1, letters, block, line, _ in text.extractWORDS():
        words.setdefault((block, line), []).append(PDFWord(letters, (x0, y0, x1, y1)))
    for block in text.extractDICT()["blocks"]:
        for at, line in enumerate(block.get("lines", ())):
            if (block["number"], at) in words:
                yield _line(line, words[block["number"], at])


def _line(line: dict[str, Any], words: list[PDFWord]) -> Line:
    main = max(line["spans"], key=lambda span: len(span["text"]))
    is_bold = _is_bold(main) and all(
        _is_bold(span) or len(span["text"].strip()) <= _MOST_LIGHT * len(main["text"])
        for span in line["spans"]
    )
    x, y = line["dir"]
    return Line(tuple(words), float(main["size"]), is_bold, (round(x), round(y)))


def _is_bold(span: dict[str, Any]) -> bool:
    return bool(span["flags"] & _BOLD) or _BOLD_NAME.search(span["font"]) is not None


def _drawings(page: Any) -> tuple[list[Box], int]:
    """Straight lines, and the number of paths."""
    rules: list[Box] = []
    paths = page.get_cdrawings()
    for path in paths:
        for kind, *points in path["items"]:
            if kind == "l":
                (x0, y0), (x1, y1) = points[0], points[1]
                rules.append((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)))
            elif kind == "re":
                rules += edges(tuple(points[0]))
    return rules, len(paths)


def _pictures(page: Any, lines: Sequence[Line]) -> Iterator[PageImage]:
    # Inline pictures are only found on pages without text: the search takes as long as reading it.
    if lines and not page.get_images():
        return
    for info in page.get_image_info():
        x0, y0, x1, y1 = info["bbox"]
        longest = max(x1 - x0, y1 - y0)
        if longest > 0:
            yield PageImage((x0, y0, x1, y1), max(info["width"], info["height"]) / longest)
