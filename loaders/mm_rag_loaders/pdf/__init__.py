"""PDFs: pages as pictures, with their text in reading order, tables, headings and captions.

From the file to segments:

pdf_loader        opens the file with one library, and makes segments of its pages
mupdf, pdfium (with pdfium_text)
                  a page of the file -> RawPage (`page`): lines of words, drawn lines, pictures
page_content      RawPage -> PageContent (`page`), with the help of
    tables        drawn lines -> grids of cells -> tables
    blocks        the rest in reading order, with headings and captions
"""

from __future__ import annotations

from mm_rag_loaders.pdf.pdf_loader import PDFLoader

__all__ = ["PDFLoader"]
