"""What a library that reads PDFs does, and which one is used."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Protocol, Self

from mm_rag._optional import install_command
from mm_rag.errors import MissingExtra, PasswordNeeded
from mm_rag.media.access import FileSource, opened
from mm_rag_loaders.options import PDFBackend
from mm_rag_loaders.pdf.page import PageContent


class PDFDocument(Protocol):
    """An open PDF, used as a context manager. Its methods may be called from any thread."""

    page_count: int
    is_repaired: bool
    """It was damaged, and was repaired while opening."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """What it says about itself, without what is empty.

        `title`, `author`, `subject`, `keywords`, and as ISO 8601 dates `created` and `modified`.
        """
        ...

    def complaint(self) -> str:
        """What was found wrong since the document was opened; empty where nothing was."""
        ...

    def read_page(self, number: int, max_pixels: int) -> PageContent:
        """Text and picture of a page.

        Args:
            number: Physical, 1-based.
            max_pixels: Of the picture, width times height.

        Raises:
            UnreadableMedia: The page is damaged; the message is the reason only.
        """
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def open_pdf(path: FileSource, password: str | None, backend: PDFBackend | None) -> PDFDocument:
    """Open a PDF with a library, by default PyMuPDF where it is installed, else pypdfium2.

    Raises:
        PasswordNeeded: It is locked, and the password does not open it.
        UnreadableMedia: It is damaged beyond repair.
        MissingExtra: The library is not installed, or neither is.
    """
    with opened(path) as file:
        if (backend or _installed()) == "pdfium":
            from mm_rag_loaders.pdf.pdfium import PdfiumDocument

            return PdfiumDocument(file, password)
        from mm_rag_loaders.pdf.mupdf import MuPDFDocument

        return MuPDFDocument(file, password)


def locked_pdf(name: str, password: str | None) -> PasswordNeeded:
    """What to raise for a locked document, whose password is None or a wrong one."""
    if password is None:
        return PasswordNeeded(
            f"{name} is locked and wants a password: mm-rag index --password, or "
            "LoadOptions(password=...)."
        )
    return PasswordNeeded(
        f"{name} is locked, and the password given (--password, or LoadOptions(password=...)) "
        "does not open it."
    )


def _installed() -> PDFBackend:
    packages: dict[PDFBackend, str] = {"pymupdf": "pymupdf", "pdfium": "pypdfium2"}
    for backend, package in packages.items():
        if importlib.util.find_spec(package) is not None:
            return backend
    raise MissingExtra(
        "Reading PDFs needs the package 'pymupdf' (AGPL-3.0) or 'pypdfium2' (BSD-3, Apache-2.0), "
        f"and neither is installed. Install one of them with: {install_command('pdf')} or "
        f"{install_command('pdfium')}"
    )
