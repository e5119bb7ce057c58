"""Web pages: the text of a page, its main content and its tables."""

from mm_rag_loaders.html.page import html_page, html_parts

__all__ = ["html_page", "html_parts"]
