"""reStructuredText as parts of a text, through docutils. Nothing is included, and nothing runs."""

from __future__ import annotations

import io
import re
from typing import Any

from mm_rag._optional import require
from mm_rag_loaders.documents import Document
from mm_rag_loaders.html import html_page

_SETTINGS: dict[str, Any] = {
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "embed_stylesheet": False,
    "stylesheet_path": None,
    "stylesheet": None,
    "math_output": "LaTeX",
    "syntax_highlight": "none",
    "report_level": 5,
    "halt_level": 5,
    "input_encoding": "unicode",
    "output_encoding": "unicode",
    "section_self_link": False,
    "doctitle_xform": False,
    "docinfo_xform": True,
    "_disable_config": True,
    "traceback": True,
    "line_length_limit": 1_000_000,
}
_MOST_MARKS = 1000  # of a paragraph; each is compared with all after it
# Directives and roles of Sphinx, which docutils does not know: what they say is kept.
_ROLE = re.compile(r":[\w:.+-]{1,60}:`([^`<]{1,500}?)(?:\s*<[^`>]{0,500}>)?`")
_DIRECTIVE = re.compile(
    r"^([ ]*)\.\.[ ](toctree|autoclass|automodule|autofunction|automethod|index|only|ifconfig"
    r"|versionadded|versionchanged|versionremoved|deprecated|deprecated-removed|seealso|function"
    r"|class|method|attribute|data|module|currentmodule|highlight|code-block|sourcecode"
    r"|literalinclude|include|raw|option|envvar|glossary|productionlist|doctest|testcode|tabs|tab"
    r"|[\w-]+:[\w:-]+)::[ ]*(.*)$",
    re.MULTILINE,
)
_CODE = ("code-block", "sourcecode", "doctest", "testcode", "productionlist")


def rst_document(text: str) -> Document | None:
    """Read reStructuredText, also with the directives and roles of Sphinx.

    Returns:
        The document; None if it cannot be read by its structure.

    Raises:
        MissingExtra: The parser is not installed.
    """
    if any(max(map(part.count, "`*|_")) > _MOST_MARKS for part in text.split("\n\n")):
        return None
    core: Any = require("docutils.core", extra="documents", feature="Reading reStructuredText")
    source = _DIRECTIVE.sub(_plain_directive, _ROLE.sub(r"``\1``", text))
    try:
        parts: Any = core.publish_parts(
            source,
            writer="html5",
            settings_overrides={**_SETTINGS, "warning_stream": io.StringIO()},
        )
    except RecursionError:
        return None
    except Exception as error:
        if isinstance(error, MemoryError):
            raise
        return None  # docutils' errors are of many kinds; the text is then read as it is
    page = html_page(str(parts["html_body"]), main_only=False)
    heading = next((part.text for part in page.parts if part.kind == "heading"), "")
    return Document(title=heading, parts=page.parts, links=page.links, pictures=page.pictures)


def _plain_directive(found: re.Match[str]) -> str:
    """A directive that docutils does not know, as one that it does."""
    space, name, argument = found.groups()
    if name in _CODE:
        return f"{space}.. code::"
    if name in ("include", "raw", "literalinclude", "toctree", "index", "highlight"):
        return f"{space}{argument}\n" if argument and name != "raw" else f"{space}.. code::"
    return f"{space}**{name}** {argument}\n" if argument else f"{space}**{name}**\n"
