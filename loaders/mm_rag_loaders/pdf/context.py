"""Fonts, words and running lines of the pages before and after a page."""

from __future__ import annotations

from mm_rag.extraction.hyphens import Hyphens
from mm_rag_loaders.pdf.blocks import FontUse
from mm_rag_loaders.pdf.page import RawPage
from mm_rag_loaders.pdf.running import RunningLines


class DocumentContext:
    """Facts about a document, collected while its pages are read in order.

    Args:
        page_count: Number of pages.

    Attributes:
        fonts: Sizes of the fonts so far.
        hyphens: Words so far.
        running: Headers and footers of the pages near.
    """

    def __init__(self, page_count: int) -> None:
        self.fonts = FontUse()
        self.hyphens = Hyphens()
        self.running = RunningLines(page_count)

    def see(self, page: RawPage) -> None:
        """Count the fonts and words of the next page."""
        self.fonts.see(page.lines)
        for line in page.lines:
            self.hyphens.see(line.text)
