"""PDFs: pages as pictures, with their text in reading order.

Data flows one way: `mupdf` or `pdfium` (one page of a document) -> `PageContent` -> `loader` (OCR
of what has no text layer, passages) -> Segments.
"""

from __future__ import annotations

from mm_rag_loaders.pdf.loader import PDFLoader

__all__ = ["PDFLoader"]
