"""Styles and numbering of Word documents: levels of headings, hidden text, labels of lists."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mm_rag_loaders.office.package import (
    Element,
    Package,
    attribute,
    child,
    children,
    is_on,
    local,
    value,
)

_HEADING_NAME = re.compile(r"(?:heading|überschrift|titre|título|titolo|kop)\s*([1-9])", re.I)
_MOST_PARENTS = 50  # of a style; more are a circle
_PLACE = re.compile(r"%([1-9])")
_ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l")),
    *((40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)
_BULLET = "-"


@dataclass(frozen=True)
class Style:
    """Settings that a paragraph or its letters get from their style.

    Attributes:
        kind: `heading`, `caption` or `text`.
        level: Level of a heading, from 1.
        is_hidden: Whether the letters are hidden.
        numbering: Id of the list, and level in it, from 0; empty without a list.
    """

    kind: str = "text"
    level: int = 0
    is_hidden: bool = False
    numbering: tuple[str, int] = ("", 0)


class Styles:
    """The styles of a document, with what they inherit."""

    def __init__(self, package: Package, part: str) -> None:
        root = package.tree(part) if part else None
        self._styles = {attribute(each, "styleId") or "": each for each in children(root, "style")}
        self._known: dict[str, Style] = {}

    def get(self, name: str) -> Style:
        """The style with this id; one without any effect for an unknown id."""
        if name not in self._known:
            self._known[name] = self._made(name)
        return self._known[name]

    def _made(self, name: str) -> Style:
        kind, level, is_hidden, number, place = "text", 0, None, None, None
        for _ in range(_MOST_PARENTS):
            style = self._styles.get(name)
            if style is None:
                break
            title = value(style, "name")
            heading = _HEADING_NAME.match(title)
            outline = child(style, "pPr", "outlineLvl")
            if kind == "text" and title.lower().endswith("caption"):
                kind = "caption"
            elif kind == "text" and title.lower() == "title":
                kind, level = "heading", 1
            elif kind == "text" and (heading or outline is not None):
                found = int(heading[1]) if heading else _number(attribute(outline, "val"), 9) + 1
                kind, level = ("heading", found) if found <= 9 else ("text", 0)
            vanish = child(style, "rPr", "vanish")
            if is_hidden is None and vanish is not None:
                is_hidden = is_on(vanish)
            numbered = child(style, "pPr", "numPr")
            if numbered is not None:
                number, place = _merged(numbered, number, place)
            name = value(style, "basedOn")
        numbering = (number, place or 0) if number else ("", 0)
        return Style(kind, level, bool(is_hidden), numbering)


def _merged(
    numbered: Element, number: str | None, place: int | None
) -> tuple[str | None, int | None]:
    """Id and level of a list, completed from a style further up."""
    named, level = child(numbered, "numId"), child(numbered, "ilvl")
    if number is None and named is not None:
        number = attribute(named, "val")
    if place is None and level is not None:
        place = _number(attribute(level, "val"), 0)
    return number, place


def _number(text: str | None, otherwise: int) -> int:
    try:
        return min(max(int(text or ""), 0), 1_000_000)
    except ValueError:
        return otherwise


@dataclass
class _Level:
    start: int = 1
    form: str = "decimal"
    text: str = ""
    is_legal: bool = False


@dataclass
class _List:
    """The numbers that a list has reached, shared by all that are numbered with it."""

    levels: dict[int, _Level] = field(default_factory=dict[int, _Level])
    counts: dict[int, int] = field(default_factory=dict[int, int])


class Numbering:
    """Counts the entries of a document's lists, and writes their labels as Word shows them."""

    def __init__(self, package: Package, part: str) -> None:
        root = package.tree(part) if part else None
        self._lists = {
            attribute(each, "abstractNumId") or "": _List(_levels(each))
            for each in children(root, "abstractNum")
        }
        linked = {
            link: attribute(each, "abstractNumId") or ""
            for each in children(root, "abstractNum")
            if (link := value(each, "styleLink"))
        }
        for each in children(root, "abstractNum"):
            if (link := value(each, "numStyleLink")) in linked:
                self._lists[attribute(each, "abstractNumId") or ""] = self._lists[linked[link]]
        self._numbers: dict[str, str] = {}
        self._starts: dict[str, dict[int, int]] = {}
        for each in children(root, "num"):
            number = attribute(each, "numId") or ""
            self._numbers[number] = value(each, "abstractNumId")
            self._starts[number] = {
                _number(attribute(override, "ilvl"), 0): _number(attribute(start, "val"), 1)
                for override in children(each, "lvlOverride")
                if (start := child(override, "startOverride")) is not None
            }

    def label(self, number: str, level: int) -> str:
        """The label of the next entry of a list: `"2.1"`, `"b)"`, `"-"`; empty without a list."""
        found = self._lists.get(self._numbers.get(number, ""))
        if found is None or level not in found.levels:
            return ""
        # A restarted list begins anew with its first entry only.
        if (start := self._starts[number].pop(level, None)) is not None:
            found.counts[level] = start - 1
        found.counts[level] = found.counts.get(level, found.levels[level].start - 1) + 1
        found.counts = {at: count for at, count in found.counts.items() if at <= level}
        this = found.levels[level]
        if this.form == "bullet":
            return _BULLET
        if this.form == "none":
            return ""

        def counted(place: re.Match[str]) -> str:
            at = int(place[1]) - 1
            of = found.levels.get(at, _Level())
            count = found.counts.get(at, of.start)
            return in_form(count, "decimal" if this.is_legal else of.form)

        return _PLACE.sub(counted, this.text).strip()


def _levels(abstract: Element) -> dict[int, _Level]:
    found: dict[int, _Level] = {}
    for each in children(abstract, "lvl"):
        level = _Level()
        for inner in each:
            given = attribute(inner, "val") or ""
            match local(inner):
                case "start":
                    level.start = _number(given, 1)
                case "numFmt":
                    level.form = given
                case "lvlText":
                    level.text = given[:100]
                case "isLgl":
                    level.is_legal = is_on(inner)
                case _:
                    pass
        found[_number(attribute(each, "ilvl"), 0)] = level
    return found


def in_form(count: int, form: str) -> str:
    """A number in one of Word's formats; in digits for formats that are not known here."""
    match form:
        case "lowerLetter" | "upperLetter" if 0 < count <= 26 * 100:
            letter = chr(ord("a") + (count - 1) % 26) * ((count - 1) // 26 + 1)
            return letter if form == "lowerLetter" else letter.upper()
        case "lowerRoman" | "upperRoman" if 0 < count < 5000:
            return _roman(count) if form == "lowerRoman" else _roman(count).upper()
        case "decimalZero":
            return f"{count:02}"
        case "none" | "bullet":
            return ""
        case _:
            return str(count)


def _roman(count: int) -> str:
    written = ""
    for worth, letters in _ROMAN:
        times, count = divmod(count, worth)
        written += letters * times
    return written
