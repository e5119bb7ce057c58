"""Markdown as parts of a text: it is rendered to HTML, which is read as any page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from html import escape
from typing import Any

from mm_rag._optional import require
from mm_rag_loaders.documents import Document
from mm_rag_loaders.html import html_page
from mm_rag_loaders.markup.front_matter import split_front_matter
from mm_rag_loaders.passages import TextPart

_MOST_NESTED = 80  # lists and quotes in each other
_QUOTES = re.compile(r"^(?:[ ]{0,3}>){20,}", re.MULTILINE)
_MOST_BRACKETS = 1000  # of a paragraph; each is compared with all after it
_PARAGRAPHS = re.compile(r"(\n[ \t]*\n)")
_FENCE_BRACKETS = re.compile(r"(?<!\\)\[")
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9-]*)(?=[\s/>])[^<>]*>|<[!?][^>]*>?")
_VOID = frozenset(["br", "hr", "img", "wbr", "input", "col"])
# HTML that is meant as such. Other tags are words: `<name>`, `<T>`, `<html> is the root element`.
_MEANT = frozenset(
    """
    a abbr address article aside b blockquote br caption center cite code col colgroup dd del
    details dfn div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img
    input ins kbd li mark nav ol p picture pre q rp rt ruby s samp section small source span
    strike strong sub summary sup table tbody td tfoot th thead time tr tt u ul var wbr
    """.split()  # noqa: SIM905 - a list of quoted words is harder to read
)
_UNCLOSED = frozenset(["p", "li", "td", "th", "tr", "dt", "dd", "tbody", "thead", "tfoot"])


def markdown_document(text: str) -> Document | None:
    """Read Markdown with tables, footnotes, task and definition lists, formulas and HTML.

    Args:
        text: The Markdown, with the fields above it.

    Returns:
        The document; None if it is nested too deep to be read by its structure.

    Raises:
        MissingExtra: The parser is not installed.
    """
    front = split_front_matter(text.replace("\r\n", "\n").replace("\r", "\n"))
    html = _rendered(front.body)
    if html is None:
        return None
    page = html_page(html, main_only=False)
    heading = next((p.text for p in page.parts if (p.kind, p.level) == ("heading", 1)), "")
    others = [TextPart("text", front.others)] if front.others else []
    return Document(
        title=front.title or heading,
        metadata=front.metadata,
        parts=(*others, *page.parts),
        links=page.links,
        pictures=page.pictures,
    )


def _rendered(text: str) -> str | None:
    parser = _parser()
    tokens: Sequence[Any] = parser.parse(_bounded(text))
    if any(token.level >= _MOST_NESTED - 3 for token in tokens):
        return None
    closed = Counter[str]()
    for token in tokens:
        if token.type == "html_block":
            closed.update(tag[2].lower() for tag in _TAG.finditer(token.content) if tag[1])
    for token in tokens:
        if token.type == "html_block":
            token.content = _with_meant_tags(token.content, closed)
        elif token.type == "inline":
            _escape_tags(token.children or [])
    return parser.renderer.render(tokens, parser.options, {})


@cache
def _parser() -> Any:
    feature = "Reading Markdown"
    markdown_it: Any = require("markdown_it", extra="documents", feature=feature)
    parser = markdown_it.MarkdownIt("commonmark", {"html": True, "maxNesting": _MOST_NESTED})
    parser.enable(["table", "strikethrough"])
    for name in ("footnote", "deflist", "tasklists", "dollarmath"):
        plugin: Any = require(f"mdit_py_plugins.{name}", extra="documents", feature=feature)
        parser.use(getattr(plugin, f"{name}_plugin"))
    parser.add_render_rule("math_inline", _formula)
    parser.add_render_rule("math_block", _formula)
    return parser


def _formula(_renderer: Any, tokens: Sequence[Any], at: int, *_: Any) -> str:
    """A formula as it is written."""
    token = tokens[at]
    if token.type == "math_inline":
        return f"${escape(token.content)}$"
    return f"<pre>$$\n{escape(token.content.strip())}\n$$</pre>\n"


def _bounded(text: str) -> str:
    """The text without what would take a parser quadratic time."""
    text = _QUOTES.sub(">" * 20, text)
    if text.count("[") <= _MOST_BRACKETS:
        return text
    return "".join(
        _FENCE_BRACKETS.sub(r"\\[", part) if part.count("[") > _MOST_BRACKETS else part
        for part in _PARAGRAPHS.split(text)
    )


def _with_meant_tags(html: str, closed: Counter[str]) -> str:
    """A block of HTML in which tags that are not meant as such are escaped."""

    def kept(tag: re.Match[str]) -> str:
        name = (tag[2] or "").lower()
        is_open_only = not tag[1] and name not in _VOID | _UNCLOSED and not closed[name]
        return escape(tag[0]) if name not in _MEANT or is_open_only else tag[0]

    return _TAG.sub(kept, _without_comments(html))


def _without_comments(html: str) -> str:
    kept: list[str] = []
    at = 0
    while (begin := html.find("<!--", at)) >= 0:
        end = html.find("-->", begin + 4)
        if end < 0:
            break
        kept.append(html[at:begin])
        at = end + 3
    return "".join([*kept, html[at:]])


def _escape_tags(children: Sequence[Any]) -> None:
    """Turn the tags in a line into words, unless they are pairs of tags that HTML has."""
    opened: list[tuple[str, Any]] = []
    meant: list[Any] = []
    for token in children:
        tag = _TAG.match(token.content) if token.type == "html_inline" else None
        name = (tag[2] or "").lower() if tag else ""
        if tag is None or name not in _MEANT:
            continue
        if name in _VOID:
            meant.append(token)
        elif not tag[1]:
            opened.append((name, token))
        else:
            at = next((n for n in range(len(opened) - 1, -1, -1) if opened[n][0] == name), None)
            if at is not None:
                meant += [opened[at][1], token]
                del opened[at:]
    kept = set(map(id, meant))
    for token in children:
        if token.type == "html_inline" and id(token) not in kept:
            token.type = "text"
            token.content = _without_comments(token.content)
