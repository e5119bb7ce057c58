"""The only module that touches pypdfium2: opening a PDF and reading one page of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mm_rag._closing import Closing
from mm_rag_loaders.pdf.page import PageContent


class PdfiumDocument(Closing):
    """An open PDF."""

    def __init__(self, path: Path, password: str | None = None) -> None:
        raise NotImplementedError

    page_count: int
    is_repaired: bool

    @property
    def metadata(self) -> Mapping[str, str]:
        """What it says about itself."""
        raise NotImplementedError

    def complaint(self) -> str:
        """What was found wrong."""
        raise NotImplementedError

    def read_page(self, number: int, max_pixels: int) -> PageContent:
        """Text and picture of a page."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the file."""
