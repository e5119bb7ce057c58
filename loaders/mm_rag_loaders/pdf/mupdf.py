"""The only module that touches PyMuPDF: opening a PDF and reading one page of it."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from PIL import Image

from mm_rag._closing import Closing
from mm_rag._optional import require
from mm_rag.errors import PasswordNeeded, UnreadableMedia
from mm_rag.reading.layout import TextLine, printable, rows, text_of
from mm_rag_loaders.pdf.page import Block, PageContent, Scan

_FEWEST_LETTERS = 20
# A scan may come with a stamp or a page number as text, a slide of pictures with its title.
_FEWEST_LETTERS_ON_PICTURE = 100
_LARGE_PICTURE = 0.4  # of the page's area
_MANY_PATHS = 50  # letters may be drawn as outlines
_MAX_ZOOM = 3.0  # 216 dpi: more than that only makes a small page's picture blurred and large
_FEWEST_DOTS_PER_POINT = 0.25
_MAX_SIDE = 8192  # in pixels; WebP ends at 16383
_SCAN_DPI = 150
_SCAN_PIXELS = 4_000_000
# Text that runs up, down or upside down (`dir` of MuPDF) needs this rotation to be upright.
_UPRIGHT_ROTATION = {(1, 0): 0, (0, -1): 90, (-1, 0): 180, (0, 1): 270}

# What PyMuPDF raises on damaged files besides MuPDF's own errors.
_DAMAGED = (RuntimeError, OSError, ValueError, TypeError, LookupError, AttributeError)

# The dots between "Wages" and "7" of a form or a table of contents.
_LEADERS = re.compile(r"(?: *[.\u2026_]){4,}")

# PyMuPDF is not thread-safe, not even with one document per thread.
_lock = threading.RLock()


class MuPDFDocument(Closing):
    """An open PDF. Use it as a context manager; its methods may be called from any thread.

    Raises:
        PasswordNeeded: It is locked, and the password does not open it.
        UnreadableMedia: It is damaged beyond repair.
        MissingExtra: PyMuPDF is not installed.
    """

    def __init__(self, path: Path, password: str | None = None) -> None:
        self._name = path.name
        with self._mupdf() as mupdf:
            mupdf.TOOLS.reset_mupdf_warnings()
            # By its content it is a PDF; the name may say otherwise.
            self._document = mupdf.open(str(path), filetype="pdf")
            try:
                self._unlock(password)
                self.page_count = int(self._document.page_count)
                self.is_repaired = bool(self._document.is_repaired)
                self._opening_complaint = _complaint(mupdf)
                known: dict[str, Any] = self._document.metadata or {}
                self._metadata = {key: " ".join(str(v).split()) for key, v in known.items() if v}
            except BaseException:
                self._document.close()
                raise

    @property
    def metadata(self) -> Mapping[str, str]:
        """What it says about itself, without what is empty."""
        return self._metadata

    def close(self) -> None:
        """Let go of the file."""
        with _lock:
            self._document.close()

    def complaint(self) -> str:
        """What MuPDF found wrong since the document was opened; empty where nothing was."""
        with self._mupdf() as mupdf:
            return self._opening_complaint or _complaint(mupdf)

    def read_page(self, number: int, max_pixels: int) -> PageContent:
        """Text and picture of a page.

        Args:
            number: Physical, 1-based.
            max_pixels: Of the picture, width times height.

        Raises:
            UnreadableMedia: The page is damaged; the message is the reason only.
        """
        with self._mupdf() as mupdf:
            page = self._document.load_page(number - 1)
            text = _text(mupdf, page)
            picture, is_plain = _render(mupdf, page, max_pixels, _MAX_ZOOM)
            has_more = not is_plain and _shows_more_text(page, text)
            scan = _render(mupdf, page, _SCAN_PIXELS, _SCAN_DPI / 72)[0] if has_more else None
            whole = (0.0, 0.0, 1.0, 1.0)
            label = str(page.get_label() or "")
        return PageContent(
            number=number,
            label="" if label == str(number) else label,
            blocks=(Block(kind="text", text=text, box=whole),) if text else (),
            words=(),
            picture=picture,
            scans=() if scan is None else (Scan(scan, whole),),
            is_blank=is_plain and not text,
            is_reduced=picture.width < _FEWEST_DOTS_PER_POINT * float(page.rect.width),
        )

    def _unlock(self, password: str | None) -> None:
        if not self._document.needs_pass:
            return
        if password is None:
            raise PasswordNeeded(
                f"{self._name} is locked and wants a password: mm-rag index --password, or "
                "LoadOptions(password=...)."
            )
        if not self._document.authenticate(password):
            raise PasswordNeeded(
                f"{self._name} is locked, and the password given (--password, or "
                "LoadOptions(password=...)) does not open it."
            )

    @contextmanager
    def _mupdf(self) -> Generator[Any]:
        """PyMuPDF, for one thread at a time, with its errors translated."""
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


def _complaint(mupdf: Any) -> str:
    lines = str(mupdf.TOOLS.mupdf_warnings(reset=True)).splitlines()
    return next((line.strip().rstrip(".") for line in lines if "error" in line), "")


def _render(mupdf: Any, page: Any, max_pixels: int, most_zoom: float) -> tuple[Image.Image, bool]:
    """A page as a picture, and whether all of it has one colour."""
    width, height = float(page.rect.width), float(page.rect.height)
    if not (width > 0 and height > 0):
        raise UnreadableMedia(f"its size is {width:g} x {height:g} points")
    fits = (max_pixels / (width * height)) ** 0.5
    zoom = min(fits, most_zoom, _MAX_SIDE / max(width, height))
    pixmap = page.get_pixmap(matrix=mupdf.Matrix(zoom, zoom), colorspace=mupdf.csRGB, alpha=False)
    picture = Image.frombytes("RGB", (pixmap.width, pixmap.height), pixmap.samples)
    # Not `pixmap.is_unicolor`, which takes seconds on a blank page.
    extrema = cast("tuple[tuple[int, int], ...]", picture.getextrema())
    return picture, all(low == high for low, high in extrema)


def _shows_more_text(page: Any, text: str) -> bool:
    """Whether pictures or outlines on a page are likely to hold text that the text layer lacks."""
    letters = sum(map(str.isalnum, text))
    if letters >= _FEWEST_LETTERS_ON_PICTURE:
        return False
    whole = abs(page.cropbox.width * page.cropbox.height)
    drawn = [(kind, abs((x1 - x0) * (y1 - y0))) for kind, (x0, y0, x1, y1) in page.get_bboxlog()]
    pictures = sum(area for kind, area in drawn if "image" in kind)
    if pictures > _LARGE_PICTURE * whole:
        return True
    paths = sum("path" in kind for kind, _ in drawn)
    return letters < _FEWEST_LETTERS and (pictures > 0 or paths > _MANY_PATHS or not text)


def _text(mupdf: Any, page: Any) -> str:
    """Text layer and form fields in reading order; turns the page so that its text is upright."""
    # Without the ligatures: nobody searches for "ef\ufb01cient".
    flags = mupdf.TEXTFLAGS_DICT & ~mupdf.TEXT_PRESERVE_IMAGES & ~mupdf.TEXT_PRESERVE_LIGATURES
    blocks = page.get_text("dict", flags=flags)["blocks"]
    lines = [line for block in blocks for line in block.get("lines", ())]
    found = [line for line in lines if _words(line)]
    letters: Counter[tuple[int, int]] = Counter()
    for line in found:
        letters[_direction(line)] += len(_words(line))
    main = max(letters, key=lambda key: letters[key], default=(1, 0))
    if main in _UPRIGHT_ROTATION and letters[main] > _FEWEST_LETTERS:
        page.set_rotation(_UPRIGHT_ROTATION[main])
    along = [_text_line(mupdf, page, line) for line in found if _direction(line) == main]
    across = [_words(line) for line in found if _direction(line) != main]
    return "\n\n".join(filter(None, [_LEADERS.sub("", text_of(rows(along))), "\n".join(across)]))


def _direction(line: dict[str, Any]) -> tuple[int, int]:
    x, y = line["dir"]
    return round(x), round(y)


def _words(line: dict[str, Any]) -> str:
    text = "".join(span["text"] for span in line["spans"])
    return " ".join(printable(text).split())


def _text_line(mupdf: Any, page: Any, line: dict[str, Any]) -> TextLine:
    # MuPDF gives boxes of the page as it is before its rotation.
    box = mupdf.Rect(line["bbox"]) * page.rotation_matrix
    return TextLine(_words(line), (box.x0, box.y0, box.x1, box.y1))
