"""XFA forms: PDFs whose pages only ask for another viewer, and whose form is XML beside them."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from mm_rag._printing import printable
from mm_rag_loaders.pdf.forms import in_words
from mm_rag_loaders.pdf.objects import entry, items, kind_of, name, stream_bytes, text

_MOST_BYTES = 16 * 1024**2
_MOST_PACKETS = 100
_MOST_LINES = 20_000
_YES, _NO = ("1", "on", "yes", "true"), ("0", "off", "no", "false")


def is_dynamic(document: Any) -> bool:
    """Whether the form of a `pikepdf.Pdf` is XML, and its pages only ask for another viewer."""
    form = entry(document.Root, "/AcroForm")
    if entry(form, "/XFA") is None:
        return False
    # Other forms are printed on the pages, with fields that every viewer knows.
    has_fields = any(
        name(each, "/Subtype") == "Widget"
        for page in list(document.pages)[:3]
        for each in items(entry(page.obj, "/Annots"), 100)
    )
    return entry(document.Root, "/NeedsRendering") is True or not has_fields


def lines_of(document: Any) -> list[str]:
    """The printed words and the fields of the form, as `Caption: value`; empty if it is damaged."""
    packets = _packets(entry(document.Root, "/AcroForm", "/XFA"))
    data = packets.get("datasets")
    values: defaultdict[str, deque[str]] = defaultdict(deque)
    for key, value in _values(data) if data is not None else ():
        values[key].append(value)
    lines: list[str] = []
    template = packets.get("template")
    if template is not None:
        lines = [line for line in _template_lines(template, values) if line]
    # What the form repeats, such as the rows of a list, stands in its data only.
    for key, rest in values.items():
        lines += [f"{in_words(key)}: {value}" for value in rest if value]
    return lines[:_MOST_LINES]


def _packets(source: Any) -> dict[str, Element]:
    """The parts of the form by their names: `template`, `datasets`."""
    found: dict[str, Element] = {}
    parts = [*items(source, 2 * _MOST_PACKETS)]
    if kind_of(source) == "stream":
        root = _parsed(source)
        for each in root if root is not None else ():
            found.setdefault(_local(each), each)
        return found
    for called, stream in zip(parts[::2], parts[1::2], strict=False):
        if text(called) in ("template", "datasets") and (root := _parsed(stream)) is not None:
            found.setdefault(_local(root), root)
    return found


def _parsed(stream: Any) -> Element | None:
    data = stream_bytes(stream, _MOST_BYTES)
    try:
        return fromstring(data) if data else None
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return None


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _children(element: Element, tag: str) -> Iterator[Element]:
    return (each for each in element if _local(each) == tag)


def _values(data: Element) -> Iterator[tuple[str, str]]:
    """Names and values of the data, in order."""
    for each in data.iter():
        if len(each) == 0 and each.text and each.text.strip():
            yield _local(each), _words(each)


def _template_lines(template: Element, values: dict[str, deque[str]]) -> Iterator[str]:
    for element in template.iter():
        tag = _local(element)
        if tag == "draw":
            yield from (_words(each) for each in _children(element, "value"))
        elif tag in ("field", "exclGroup"):
            key = element.get("name", "")
            value = values[key].popleft() if values.get(key) else ""
            if not value and tag == "field":
                value = " ".join(_words(each) for each in _children(element, "value"))
            if value:
                yield f"{_caption(element) or in_words(key)}: {_shown(element, value)}"


def _caption(field: Element) -> str:
    for each in _children(field, "caption"):
        if words := _words(each):
            return words.rstrip(" :")
    for each in _children(field, "assist"):
        for tip in (*_children(each, "toolTip"), *_children(each, "speak")):
            if words := _words(tip):
                return words.rstrip(" :")
    return ""


def _shown(field: Element, value: str) -> str:
    """The value as the form shows it: `yes` for a ticked box, the words of a choice."""
    if any(_local(each) == "checkButton" for each in field.iter()):
        return "yes" if value.lower() in _YES else "no" if value.lower() in _NO else value
    lists = list(_children(field, "items"))
    saved = next((each for each in lists if each.get("save") == "1"), None)
    shown = next((each for each in lists if each is not saved), None)
    if saved is None or shown is None:
        return value
    words = dict(zip(map(_words, saved), map(_words, shown), strict=False))
    return words.get(value, value)


def _words(element: Element) -> str:
    return printable(" ".join(" ".join(element.itertext()).split()))
