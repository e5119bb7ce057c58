"""Find the main content of a page: what is left out are menus, the site's header and footer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mm_rag_loaders.html.tree import Element

_MENU_ROLES = frozenset(
    ["navigation", "menu", "menubar", "search", "contentinfo", "toolbar", "doc-toc"]
)
_COOKIES = re.compile(
    r"(^|[-_\s])(cookies?|consent|gdpr|ccpa|onetrust)([-_\s]|$)"
    r"|cookie-?(banner|bar|notice|consent|law)",
    re.IGNORECASE,
)
_MENU_NAMES = re.compile(
    r"(^|[-_\s])(nav|navbar|navigation|menu|breadcrumbs?|sidebar|side-?bar|toc|pagination|pager"
    r"|share|sharing|social|skip-?(link|nav)|related|masthead|topbar|footer)([-_\s]|$)",
    re.IGNORECASE,
)
# Parts with headers, footers and asides of their own, which belong to the content.
_SECTIONS = frozenset(
    ["article", "aside", "blockquote", "dialog", "fieldset", "figure", "main", "section", "td"]
)
_MOSTLY_LINKS = 0.5  # share of the letters
_MOST_BANNER = 0.3  # share of the page's letters: a page about cookies is not a banner
_MOST_FOOTER = 0.25
_LEAST_MAIN = 0.5  # share of the page without menus, from which an element is the main content
_LEAST_LETTERS = 80


@dataclass(frozen=True)
class MainContent:
    """Parts of a page that are read.

    Attributes:
        element: The element with the content.
        skipped: Identities (`id`) of elements in it that are left out.
        left_out: Letters of the page that are left out.
    """

    element: Element
    skipped: frozenset[int] = frozenset()
    left_out: int = 0


def main_content(root: Element) -> MainContent:
    """The content without menus and banners; everything if that would leave next to nothing."""
    body = next((c for c in root.children if isinstance(c, Element) and c.tag == "body"), root)
    menus = list(_menus(body, by_name=True))
    if sum(menu.letters for menu in menus) > body.letters / 2:
        # A table of contents, or a page of links: only what says that it is a menu is left out.
        menus = list(_menus(body, by_name=False))
    skipped = frozenset(map(id, menus))
    left_out = sum(menu.letters for menu in menus)
    content = body.letters - left_out
    if content < _LEAST_LETTERS and content < left_out:
        return MainContent(body)
    for element in _candidates(body):
        kept = element.letters - sum(e.letters for e in element.below() if id(e) in skipped)
        if kept >= _LEAST_MAIN * content and id(element) not in skipped:
            return MainContent(element, skipped, body.letters - kept)
    return MainContent(body, skipped, left_out)


def _candidates(body: Element) -> list[Element]:
    """Elements that say that they are the main content, if there is just one of their sort."""
    mains: list[Element] = []
    articles: list[Element] = []
    for element in body.below():
        if element.tag == "main" or "main" in element.get("role").lower().split():
            mains.append(element)
        elif element.tag == "article" or element.get("role").lower() == "article":
            articles.append(element)
    return [found[0] for found in (mains, articles) if len(found) == 1]


def _menus(body: Element, *, by_name: bool) -> Iterator[Element]:
    """The outermost elements that are menus, banners, or the site's header and footer."""
    waiting: list[tuple[Element, bool]] = [(body, False)]
    while waiting:
        element, in_section = waiting.pop()
        if element is not body and _is_menu(element, body.letters, in_section, by_name):
            yield element
            continue
        inside = in_section or element.tag in _SECTIONS
        children = [child for child in element.children if isinstance(child, Element)]
        waiting += [(child, inside) for child in reversed(children)]


def _is_menu(element: Element, page_letters: int, in_section: bool, by_name: bool) -> bool:
    if element.tag in ("main", "article", "h1") or not element.letters:
        return False
    is_linked = element.linked >= _MOSTLY_LINKS * element.letters
    roles = set(element.get("role").lower().split())
    if element.tag == "nav" or roles & _MENU_ROLES:
        return is_linked or element.letters < _MOST_FOOTER * page_letters
    if element.tag == "footer" and not in_section:
        return element.letters < _MOST_FOOTER * page_letters
    if element.tag in ("header", "aside") and not in_section:
        return is_linked
    names = f"{element.get('class')} {element.get('id')}"
    if not names.strip():
        return False
    if _COOKIES.search(names):
        return element.letters < _MOST_BANNER * page_letters
    return by_name and is_linked and bool(_MENU_NAMES.search(names))
