"""PDFs: pages as pictures, with their text in reading order, tables, headings and captions.

Data flows one way:

    document      which library reads the file
    mupdf, pdfium (with pdfium_text, pdfium_objects)
                  a page of the file -> RawPage (`raw`): lines of words, drawn lines, pictures
    content       RawPage -> PageContent (`page`), with the help of
        unread      which parts are for OCR
        tables      drawn lines (`rules`) -> cells (`grid`) -> tables
        blocks      the rest in reading order; `headings` says what is a heading or a caption
    scans         PageContent with what OCR reads on it
    loader        PageContent -> Segments
"""

from __future__ import annotations

from mm_rag_loaders.pdf.loader import PDFLoader

__all__ = ["PDFLoader"]
