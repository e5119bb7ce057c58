"""Read an HTML page: title, metadata, and its main content as parts of a text.

Used for pages in files, and for those in messages, books, notebooks and Markdown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urljoin

from mm_rag._printing import printable
from mm_rag_loaders.documents import Document
from mm_rag_loaders.html.main_content import MainContent, main_content
from mm_rag_loaders.html.reader import ContentReader
from mm_rag_loaders.html.source import decoded_html, html_from_xhtml, is_xhtml
from mm_rag_loaders.html.tree import Element, Tree, parse_html
from mm_rag_loaders.outcome import Note
from mm_rag_loaders.passages import TextPart

_FIELDS: Mapping[str, tuple[str, ...]] = {
    "description": ("description", "og:description", "dc.description", "dcterms.description"),
    "author": ("author", "article:author", "dc.creator", "dcterms.creator", "citation_author"),
    "date": (
        *("article:published_time", "date", "dc.date", "dcterms.date", "dcterms.created"),
        *(
            "citation_publication_date",
            "datepublished",
            "pubdate",
            "publish-date",
            "dcterms.modified",
        ),
    ),
    "keywords": ("keywords", "news_keywords"),
    "site": ("og:site_name", "application-name"),
}
_LINK_SCHEMES = ("http://", "https://", "mailto:", "tel:", "ftp://")
_MOST_FIELD = 1000  # characters


def html_parts(content: bytes | str, *, declared: str = "") -> list[TextPart]:
    """All parts of a piece of HTML, such as the body of a message, in reading order.

    Args:
        content: The HTML.
        declared: Encoding according to the message or server; ignored for a str.

    Raises:
        MissingExtra: The parser is not installed.
    """
    return list(html_page(content, declared=declared, main_only=False).parts)


def html_page(
    content: bytes | str, *, declared: str = "", base: str = "", main_only: bool = True
) -> Document:
    """Read a page. Nothing that it refers to is opened, and no script runs.

    The metadata are `description`, `author`, `date`, `keywords`, `site` and `language`, as far as
    the page gives them. The links are those that lead to another page.

    Args:
        content: The page.
        declared: Encoding according to the message or server; ignored for a str.
        base: Address to which relative links refer.
        main_only: Whether menus, cookie banners, and the site's header and footer are left out.

    Raises:
        MissingExtra: The parser is not installed.
    """
    if isinstance(content, str):
        text, encoding = content, ""
    else:
        decoded = decoded_html(content, declared)
        text, encoding = decoded.text, decoded.note
    tree = parse_html(html_from_xhtml(text) if is_xhtml(text) else text)
    fields = dict(_fields(tree.root))
    found = main_content(tree.root) if main_only else MainContent(tree.root)
    read = ContentReader(found.skipped).read(found.element)
    parts = tuple(_printable(part) for part in read.parts)
    heading = next((part.text for part in parts if part.kind == "heading"), "")
    base = _base(tree.root) or base
    return Document(
        title=_clean(_title(tree.root) or fields.pop("og:title", "") or heading),
        metadata={name: value for name, value in fields.items() if name in (*_FIELDS, "language")},
        parts=tuple(part for part in parts if part.text.strip()),
        links=tuple(_outward(read.links, base)),
        pictures=tuple(read.pictures),
        notes=tuple(_notes(tree, found, encoding)),
    )


def _printable(part: TextPart) -> TextPart:
    return TextPart(part.kind, printable(part.text), part.level)


def _clean(text: str) -> str:
    return " ".join(printable(text.replace("\xad", "")).split())[:_MOST_FIELD]


def _title(root: Element) -> str:
    for element in root.children:
        if isinstance(element, Element) and element.tag == "head":
            return next((e.text() for e in element.below() if e.tag == "title"), "")
    return ""


def _base(root: Element) -> str:
    found = (e.get("href") for e in root.below() if e.tag == "base")
    return next((address for address in found if address.startswith("http")), "")


def _fields(root: Element) -> Iterator[tuple[str, str]]:
    said: dict[str, str] = {}
    language = root.get("lang") or root.get("xml:lang")
    for element in root.below():
        if element.tag == "meta":
            name = element.get("name") or element.get("property") or element.get("itemprop")
            value = _clean(element.get("content"))
            if value:
                said.setdefault(name.lower(), value)
        elif element.tag == "html" and not language:
            language = element.get("lang")
    if "og:title" in said:
        yield "og:title", said["og:title"]
    for name, sources in _FIELDS.items():
        value = next((said[source] for source in sources if source in said), "")
        if value:
            yield name, value
    if language:
        yield "language", _clean(language)


def _outward(links: list[tuple[str, str]], base: str) -> Iterator[tuple[str, str]]:
    for text, address in links:
        try:
            whole = urljoin(base, address) if base else address
        except ValueError:
            continue
        if whole.lower().startswith(_LINK_SCHEMES) and whole.isprintable():
            yield printable(text), whole


def _notes(tree: Tree, found: MainContent, encoding: str) -> Iterator[Note]:
    if encoding:
        yield Note("encoding", encoding)
    if tree.is_flattened:
        yield Note("limit", "elements nested deeper than 512 levels were read as if they were not")
    if tree.is_cut:
        yield Note("limit", "elements with more than 256 attributes lost the rest of them")
    if found.left_out:
        yield Note(
            "hidden",
            f"menus, banners, and the site's header and footer were left out: {found.left_out:,} "
            "letters",
        )
    if tree.hidden:
        yield Note("hidden", f"hidden elements were left out: {tree.hidden:,} letters")
