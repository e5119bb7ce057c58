"""Web pages: the text of a page, its main content and its tables."""

from mm_rag_loaders.html.page import HtmlPage, html_page, html_parts

__all__ = ["HtmlPage", "html_page", "html_parts"]
