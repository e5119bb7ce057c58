"""Texts with markup: Markdown, reStructuredText, AsciiDoc and TeX."""
