"""A parsed HTML page as a tree of elements and texts, without scripts, styles and hidden parts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

from mm_rag._optional import require
from mm_rag_loaders.html.source import limited_html

Node: TypeAlias = "Element | str"

# Not a part of the page that its readers see. `math/tex` scripts are formulas.
_NEVER = frozenset(
    """
    applet audio base canvas datalist embed iframe link noframes noscript object param script source
    style template track video
    """.split()  # noqa: SIM905 - a list of quoted words is harder to read
)
_NOTHING: Mapping[str, str] = MappingProxyType({})
_HIDING_STYLE = re.compile(r"(^|;)\s*(display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
# Links to their own heading, and what is drawn twice: once as MathML, once as letters.
_DECORATION = frozenset(["headerlink", "anchorjs-link", "katex-html", "mw-editsection", "linenos"])
_LINK_SIGNS = frozenset(["", "#", "\xa7", "\xb6", "\u21a9", "\u21a9\ufe0e", "\U0001f517"])
_ICONS = frozenset(["i", "span", "svg", "a", "button"])


@dataclass(slots=True)
class Element:
    """An element of a page.

    Attributes:
        tag: In lower case.
        attributes: By lower-case name.
        children: Elements and texts, in order.
        letters: Letters in it, not counting spaces.
        linked: Number of them in links.
    """

    tag: str
    attributes: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    children: list[Node] = field(default_factory=list["Element | str"])
    letters: int = 0
    linked: int = 0

    def get(self, name: str) -> str:
        """An attribute without spaces around it; empty if it is missing."""
        return self.attributes.get(name, "").strip()

    def names(self) -> set[str]:
        """Classes, id and role of the element, in lower case."""
        return set(f"{self.get('class')} {self.get('id')} {self.get('role')}".lower().split())

    def below(self) -> Iterator[Element]:
        """All elements in it, in order."""
        waiting: list[Node] = self.children[::-1]
        while waiting:
            node = waiting.pop()
            if isinstance(node, Element):
                yield node
                waiting += node.children[::-1]

    def text(self) -> str:
        """All text in it, with single spaces."""
        found: list[str] = []
        waiting: list[Node] = [self]
        while waiting:
            node = waiting.pop()
            if isinstance(node, str):
                found.append(node)
            else:
                waiting += node.children[::-1]
                if node.tag == "br":
                    found.append(" ")
        return " ".join("".join(found).split())


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A parsed page.

    Attributes:
        root: The `html` element.
        hidden: Letters in elements that are not shown.
        is_flattened: Whether it was nested too deep, so that some structure is lost.
        is_cut: Whether attributes were left out, because an element had too many.
    """

    root: Element
    hidden: int = 0
    is_flattened: bool = False
    is_cut: bool = False


def parse_html(text: str) -> Tree:
    """Parse a page as browsers do. Nothing that it refers to is opened.

    Raises:
        MissingExtra: The parser is not installed.
    """
    lexbor: Any = require("selectolax.lexbor", extra="documents", feature="Reading HTML")
    limited = limited_html(text)
    root, hidden = _copied(lexbor.LexborHTMLParser(limited.text).root)
    _count(root)
    return Tree(root=root, hidden=hidden, is_flattened=limited.is_flattened, is_cut=limited.is_cut)


def _copied(node: Any) -> tuple[Element, int]:
    """The elements that are shown, and the number of letters that are not."""
    root, hidden = Element("html", _attributes(node) if node is not None else _NOTHING), 0
    above = [root]
    node = node.child if node is not None else None
    while node is not None:
        inside: Any = None
        if node.is_text_node:
            above[-1].children.append(str(node.text_content or ""))
        elif node.is_element_node:
            element = Element(str(node.tag).lower(), _attributes(node))
            shown = _is_shown(element) and not _is_own_link(element, node)
            if shown:
                above[-1].children.append(element)
                inside = node.child
            elif element.tag not in _NEVER and element.tag != "title":
                hidden += _letters(str(node.text() or ""))
            elif element.get("type").startswith("math/tex"):
                above[-1].children.append(f"${node.text() or ''}$")
            if inside is not None:
                above.append(element)
        node = inside if inside is not None else _following(node, above)
    return root, hidden


def _following(node: Any, above: list[Element]) -> Any:
    """The next node after this one and all in it; leaves the elements that end there."""
    while node.next is None:
        node = node.parent
        above.pop()
        if not above:
            return None
    return node.next


def _attributes(node: Any) -> Mapping[str, str]:
    found: dict[str, str | None] = node.attributes
    return {name: value or "" for name, value in found.items()} if found else _NOTHING


def _is_shown(element: Element) -> bool:
    if element.tag in _NEVER:
        return False
    if not element.attributes:
        return True
    if "hidden" in element.attributes and element.get("hidden").lower() != "until-found":
        return False
    if element.tag == "input" and element.get("type").lower() in ("hidden", "password"):
        return False
    if element.get("aria-hidden") == "true" and element.tag in _ICONS:
        return False
    style = element.get("style")
    if style and _HIDING_STYLE.search(style):
        return False
    return not (_DECORATION & set(element.get("class").split()))


def _is_own_link(element: Element, node: Any) -> bool:
    """Whether an element is the sign that links a heading to itself, or a note to its place."""
    return (
        element.tag == "a"
        and element.get("href").startswith("#")
        and str(node.text()).strip() in _LINK_SIGNS
    )


def _letters(text: str) -> int:
    return len("".join(text.split()))


def _count(root: Element) -> None:
    """Set `letters` and `linked` of all elements."""
    in_order = [root, *root.below()]
    for element in reversed(in_order):
        for child in element.children:
            if isinstance(child, str):
                element.letters += _letters(child)
            else:
                element.letters += child.letters
                element.linked += child.letters if child.tag == "a" else child.linked
