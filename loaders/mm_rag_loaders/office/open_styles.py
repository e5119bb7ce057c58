"""Styles of OpenDocument files: hidden text and slides, labels of lists and headings."""

from __future__ import annotations

from dataclasses import dataclass, field

from mm_rag_loaders.office.package import Element, any_attribute, child, local
from mm_rag_loaders.office.word_styles import in_form

_FORMS = {
    "1": "decimal",
    "a": "lowerLetter",
    "A": "upperLetter",
    "i": "lowerRoman",
    "I": "upperRoman",
}
_MOST_LEVELS = 10


@dataclass(frozen=True)
class _Level:
    """Numbers of the entries of one level of a list; bullets have no form."""

    form: str = ""
    before: str = ""
    after: str = ""
    shown: int = 1
    start: int = 1


@dataclass
class OpenStyles:
    """Styles of a document, as far as they matter for its text."""

    hidden: set[str] = field(default_factory=set[str])
    hidden_slides: set[str] = field(default_factory=set[str])
    lists: dict[str, dict[int, _Level]] = field(default_factory=dict[str, dict[int, _Level]])
    outline: dict[int, _Level] = field(default_factory=dict[int, _Level])
    parents: dict[str, str] = field(default_factory=dict[str, str])

    def add(self, element: Element) -> None:
        """Add a style, a list style or the outline style."""
        name = any_attribute(element, "name") or ""
        match local(element):
            case "style":
                text = child(element, "text-properties")
                if text is not None and any_attribute(text, "display") == "none":
                    self.hidden.add(name)
                page = child(element, "drawing-page-properties")
                if page is not None and any_attribute(page, "visibility") == "hidden":
                    self.hidden_slides.add(name)
                self.parents[name] = any_attribute(element, "parent-style-name") or ""
            case "list-style":
                self.lists[name] = _levels(element)
            case "outline-style":
                self.outline = _levels(element)
            case _:
                pass

    def add_all(self, root: Element | None) -> None:
        """Add the styles of a part."""
        for each in root.iter(*STYLES) if root is not None else ():
            self.add(each)

    def names(self, name: str) -> list[str]:
        """A style and those that it is based on."""
        found: list[str] = []
        while name and name not in found and len(found) < 50:
            found.append(name)
            name = self.parents.get(name, "")
        return found

    def is_hidden(self, element: Element) -> bool:
        """Whether the style of a paragraph or span hides it."""
        return any(name in self.hidden for name in self.names(style_name(element)))


STYLES = ("{*}style", "{*}list-style", "{*}outline-style")


def style_name(element: Element) -> str:
    """The name of the style of an element; empty if it has none."""
    return any_attribute(element, "style-name") or ""


def _levels(element: Element) -> dict[int, _Level]:
    found: dict[int, _Level] = {}
    for each in element:
        level = number_of(each, "level", 1)
        form = any_attribute(each, "num-format") or ""
        found[level] = _Level(
            _FORMS.get(form, "decimal" if form else ""),
            (any_attribute(each, "num-prefix") or "")[:20],
            (any_attribute(each, "num-suffix") or "")[:20],
            min(number_of(each, "display-levels", 1), _MOST_LEVELS),
            number_of(each, "start-value", 1),
        )
    return found


def number_of(element: Element, name: str, otherwise: int) -> int:
    """A small number in an attribute."""
    text = any_attribute(element, name) or ""
    return int(text) if text.isdecimal() and len(text) < 8 else otherwise


class Counters:
    """Counts the entries of a list, or the headings, and writes their labels."""

    def __init__(self, levels: dict[int, _Level], bullet: str) -> None:
        self._levels = levels
        self._bullet = bullet
        self._counts: dict[int, int] = {}

    def label(self, level: int, start: int | None = None) -> str:
        """The label of the next entry of a level, from 1."""
        this = self._levels.get(level, _Level())
        begin = this.start if start is None else start
        is_new = level not in self._counts or start is not None
        self._counts[level] = begin if is_new else self._counts[level] + 1
        self._counts = {at: count for at, count in self._counts.items() if at <= level}
        if not this.form:
            return self._bullet
        shown = range(max(1, level - this.shown + 1), level + 1)
        numbers = [
            in_form(self._counts.get(at, 1), form)
            for at in shown
            if (form := self._levels.get(at, _Level()).form)
        ]
        return f"{this.before}{'.'.join(numbers)}{this.after}".strip()
