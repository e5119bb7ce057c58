"""The HTML of a message as paragraphs and tables, with what is quoted apart.

Mail programs mark quotations by elements, or begin them by a line or headers, as in plain text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mm_rag._printing import printable
from mm_rag_loaders.html.reader import ContentReader
from mm_rag_loaders.html.tree import Element, parse_html
from mm_rag_loaders.mail.quotes import attribution_lines, begins_quotation
from mm_rag_loaders.passages import TextPart

# Classes and ids of elements that hold a quotation, or the line above it.
_QUOTATIONS = frozenset(
    [
        *("gmail_attr", "gmail_quote_attribution", "moz-cite-prefix", "moz-forward-container"),
        *("yahoo_quoted", "protonmail_quote", "tutanota_quote", "zmail_extra", "quote-header"),
        *("mail-quote-collapse", "olk_src_body_section", "divrplyfwdmsg", "x_divrplyfwdmsg"),
    ]
)
_GMAIL = frozenset(["gmail_quote", "gmail_extra"])
# After the element with this id everything is quoted (Outlook on the web).
_REST = frozenset(["divrplyfwdmsg", "x_divrplyfwdmsg", "appendonsend", "x_appendonsend"])


@dataclass(frozen=True)
class HtmlText:
    """The text of an HTML body.

    Attributes:
        new: New parts, in order.
        quoted: Quoted parts, in order.
        hidden: Letters in elements that are not shown.
    """

    new: tuple[TextPart, ...]
    quoted: tuple[TextPart, ...]
    hidden: int


def html_text(source: str) -> HtmlText:
    """Read an HTML body. Nothing that it refers to is opened, and no script runs.

    Raises:
        MissingExtra: The parser is not installed.
    """
    tree = parse_html(source)
    found = list(_quotations(tree.root))
    new = _parts(tree.root, frozenset(id(element) for element in found))
    marked = [part for element in found for part in _parts(element, frozenset())]
    new, rest = _without_rest(new, has_marks=bool(marked))
    return HtmlText(tuple(new), (*rest, *marked), tree.hidden)


def _parts(element: Element, skipped: frozenset[int]) -> list[TextPart]:
    parts = ContentReader(skipped).read(element).parts
    clean = (TextPart(part.kind, printable(part.text), part.level) for part in parts)
    return [part for part in clean if part.text.strip()]


def _quotations(root: Element) -> Iterator[Element]:
    """The outermost elements that are quoted, in order."""
    waiting = [root]
    rest_is_quoted = False
    while waiting:
        element = waiting.pop()
        names = element.names()
        rest_is_quoted = rest_is_quoted or not _REST.isdisjoint(names)
        if _is_quotation(element, names) or (rest_is_quoted and not _has_root(element)):
            yield element
            continue
        inside = [child for child in element.children if isinstance(child, Element)]
        waiting += reversed(inside)


def _has_root(element: Element) -> bool:
    return element.tag in ("html", "body")


def _is_quotation(element: Element, names: set[str]) -> bool:
    if element.tag == "blockquote":
        return element.get("type").lower() == "cite" or not _GMAIL.isdisjoint(names)
    if not _GMAIL.isdisjoint(names):
        # Answers may stand between the quotations in it.
        return not any(inside.tag == "blockquote" for inside in element.below())
    return not _QUOTATIONS.isdisjoint(names)


def _without_rest(
    parts: Sequence[TextPart], *, has_marks: bool
) -> tuple[list[TextPart], list[TextPart]]:
    """The parts before and after the beginning of a quotation that no element marks.

    Args:
        parts: The parts that no element marks as quoted.
        has_marks: Whether there are others. Then the line "Ada wrote:" belongs to these.
    """
    lines = [(n, line) for n, part in enumerate(parts) for line in part.text.splitlines()]
    texts = [line for _, line in lines]
    for at in range(len(texts)):
        if has_marks and (count := attribution_lines(texts, at)):
            lines_left = [line for n, line in enumerate(lines) if not at <= n < at + count]
            above = TextPart("text", "\n".join(texts[at : at + count]))
            return _rebuilt(parts, lines_left), [above]
        if begins_quotation(texts, at):
            return _rebuilt(parts, lines[:at]), _rebuilt(parts, lines[at:])
    return list(parts), []


def _rebuilt(parts: Sequence[TextPart], lines: Sequence[tuple[int, str]]) -> list[TextPart]:
    """The parts with only some of their lines."""
    kept: dict[int, list[str]] = {}
    for number, line in lines:
        kept.setdefault(number, []).append(line)
    return [
        TextPart(parts[number].kind, "\n".join(texts), parts[number].level)
        for number, texts in kept.items()
    ]
