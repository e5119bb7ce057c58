"""PDFs: pages as pictures, with their text in reading order, tables, headings and captions.

From the file to segments:

pdf_loader        opens the file with one library, and makes segments of its pages
mupdf, pdfium (with pdfium_text)
                  a page of the file -> RawPage (`page`): lines of words, drawn lines, pictures
page_content      RawPage -> PageContent (`page`), with the help of
    context       fonts and words of the document so far
    running       headers, footers and page numbers, found in the margins of the pages near
    tables        words -> `grids` of cells -> tables; drawn lines (`ruled`) or gaps (`aligned`)
                  separate the columns
    blocks        the rest in reading order, with headings and captions
"""

from __future__ import annotations

from mm_rag_loaders.pdf.pdf_loader import PDFLoader

__all__ = ["PDFLoader"]
