"""Read the elements of a page in order, as parts of a text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from mm_rag_loaders.documents import Picture
from mm_rag_loaders.html.tables import caption_of, is_layout, table_text
from mm_rag_loaders.html.tree import Element
from mm_rag_loaders.passages import TextPart

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset(
    """
    address article aside blockquote body center details dialog dd dir div dl dt fieldset figcaption
    figure footer form header hgroup hr html legend li main menu nav ol p section summary table
    tbody td tfoot th thead tr ul caption colgroup optgroup search
    """.split()  # noqa: SIM905 - a list of fifty quoted words is harder to read
)
_LISTS = frozenset(["ul", "ol", "menu", "dir", "dl"])
_PREFORMATTED = frozenset(["pre", "listing", "xmp", "plaintext"])
_CHECKED = {True: "[x] ", False: "[ ] "}
_WRAPPED = {"q": ("\u201c", "\u201d"), "del": ("~~", "~~"), "s": ("~~", "~~"), "rt": (" (", ") ")}
_APART = frozenset(["button", "label", "option", "select", "textarea", "output"])
_POWER = re.compile(r"[+\-\u2212]?\d")
_UNSEEN = dict.fromkeys(map(ord, "\xad\u200b\u2060\ufeff"))  # hints where a line may be broken
_SPACES = re.compile(r"[ \t\r\f\n\xa0]+")
_AROUND_BREAK = re.compile(r" *\n[ \n]*")
_MOST_LINKS = 10_000
_MOST_TABLES = 8  # in each other; the cells of deeper ones are read as paragraphs


@dataclass
class Content:
    """Result of reading a page.

    Attributes:
        parts: In reading order.
        links: Text and address of the links, in order.
        pictures: In order.
    """

    parts: list[TextPart] = field(default_factory=list[TextPart])
    links: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    pictures: list[Picture] = field(default_factory=list[Picture])


@dataclass
class _List:
    """An open list: the number of its next item, or None for bullets."""

    number: int | None = None


@dataclass
class _OpenLink:
    address: str
    begins: int  # place in the line that is being written


class ContentReader:
    """Turns elements into parts.

    Args:
        skipped: Identities of elements that are left out.
        depth: Number of tables around them.
    """

    def __init__(self, skipped: frozenset[int] = frozenset(), depth: int = 0) -> None:
        self.content = Content()
        self._skipped = skipped
        self._depth = depth
        self._line: list[str] = []
        self._drawn: list[Picture] = []  # pictures in the line
        self._lists: list[_List] = []
        self._items: list[str] = []  # lines of the outermost list
        self._marker: str | None = None  # what stands before the next line of the list
        self._term = self._defines = False  # the last item is a term; a definition begins
        self._headings: list[tuple[int, str]] = []
        self._links: list[_OpenLink] = []
        self._figure: int | None = None  # pictures before the figure
        self._verbatim = 0
        self._in_caption = False

    def read(self, root: Element) -> Content:
        """Read an element with all in it."""
        for node, is_end in self._walk(root):
            if isinstance(node, str):
                self._write(node)
            elif is_end:
                self._leave(node)
        self._flush()
        self._end_list_lines()
        return self.content

    def _walk(self, root: Element) -> Iterator[tuple[Element | str, bool]]:
        """Texts, and the ends of elements. Each element is entered before what is in it."""
        waiting: list[tuple[Element | str, bool]] = [(root, False)]
        while waiting:
            node, is_end = waiting.pop()
            if isinstance(node, str) or is_end:
                yield node, is_end
            elif id(node) not in self._skipped and self._enter(node):
                waiting.append((node, True))
                waiting += [(child, False) for child in reversed(node.children)]

    def _enter(self, element: Element) -> bool:
        """Begin an element; False if what is in it has been read, or is left out."""
        tag = element.tag
        if tag in _HEADINGS or tag in _BLOCKS or tag in _PREFORMATTED:
            return self._enter_block(element)
        if tag == "head":
            return False
        if tag in _WRAPPED:
            self._line.append(_WRAPPED[tag][0])
        elif tag == "a":
            self._links.append(_OpenLink(element.get("href"), len(self._line)))
        elif tag == "br":
            self._line.append("\n")
        elif tag == "wbr":
            return False
        elif tag in ("img", "image"):
            self._picture(element)
        elif tag == "input":
            self._input(element)
        elif tag == "sup":
            self._line.append(self._raised(element))
        elif tag == "select":
            self._line.append(f" {_chosen(element)} ")
            return False
        elif tag == "math":
            self._line.append(_formula(element))
            return False
        elif tag == "svg":
            self._line.append(f" {_drawing_text(element)} ")
            return False
        elif tag in _APART:
            self._line.append(" ")
        return True

    def _enter_block(self, element: Element) -> bool:
        tag = element.tag
        self._flush()
        if tag == "table" and self._depth < _MOST_TABLES and not is_layout(element):
            self._table(element)
            return False
        if tag in _LISTS:
            number = _number(element.get("start"), 1) if tag == "ol" else None
            self._lists.append(_List(number))
        elif tag == "li":
            self._marker = self._item_marker(element)
        elif tag == "dt":
            self._marker = ""
        elif tag == "dd":
            self._defines = self._term
        elif tag == "figure":
            self._figure = len(self.content.pictures)
        elif tag in ("figcaption", "caption"):
            self._in_caption = True
        elif tag in _PREFORMATTED:
            self._verbatim += 1
        return True

    def _leave(self, element: Element) -> None:
        tag = element.tag
        if tag in _HEADINGS:
            self._heading(_HEADINGS[tag])
        elif tag in _PREFORMATTED:
            self._code()
        elif tag in ("figcaption", "caption"):
            self._caption()
        elif tag in _BLOCKS:
            self._flush()
            self._term = tag == "dt"
            if tag in _LISTS:
                self._lists.pop()
                self._marker = None
                if not self._lists:
                    self._end_list_lines()
            elif tag == "figure":
                self._figure = None
            elif tag == "li":
                self._marker = None
        elif tag in _WRAPPED:
            self._line.append(_WRAPPED[tag][1])
        elif tag == "a":
            self._end_link()
        elif tag == "sup" and self._is_note(element):
            self._line.append("]")
        elif tag in _APART:
            self._line.append(" ")

    def _write(self, text: str) -> None:
        text = text.translate(_UNSEEN)
        self._line.append(text if self._verbatim else _SPACES.sub(" ", text))

    def _raised(self, element: Element) -> str:
        """Sign before a superscript: `^` before a power, `[` before the number of a note."""
        if self._is_note(element):
            return "["
        before = self._line[-1][-1:] if self._line else ""
        return "^" if _POWER.match(element.text()) and before.isalnum() else ""

    def _is_note(self, superscript: Element) -> bool:
        """Whether a superscript is the number of a footnote without brackets of its own."""
        is_linked = bool(self._links) or any(inside.tag == "a" for inside in superscript.below())
        return is_linked and superscript.text().isalnum()

    def _take_line(self) -> str:
        """The text of the line, which is emptied."""
        text = "".join(self._line)
        self._line.clear()
        for link in self._links:
            link.begins = 0
        if self._verbatim:
            return text
        lines = _AROUND_BREAK.sub("\n", text).strip()
        return re.sub(" {2,}", " ", lines)

    def _flush(self) -> None:
        """End a paragraph."""
        if not self._line and not self._drawn:
            return
        if self._verbatim:
            if not "".join(self._line[-1:]).endswith("\n"):
                self._line.append("\n")
            return
        if self._in_caption:
            self._line.append("\n")
            return
        drawn, text = self._drawn, self._take_line()
        self._drawn = []
        if drawn and text == " ".join(p.alt for p in drawn if p.alt):
            self._end_list_lines()
            self.content.parts += [TextPart("picture", p.alt) for p in drawn if p.alt]
        elif text and self._defines and self._items:
            self._items[-1] += f": {text}"
            self._defines = False
        elif text and self._lists:
            self._items.append(self._indent() + text)
            self._marker = None
        elif text:
            self.content.parts.append(TextPart("text", text))

    def _indent(self) -> str:
        """Mark before a line in a list."""
        depth = min(len(self._lists), 12) - 1
        return "  " * depth + ("  " if self._marker is None else self._marker)

    def _item_marker(self, element: Element) -> str:
        if not self._lists or self._lists[-1].number is None:
            return "- "
        number = _number(element.get("value"), self._lists[-1].number)
        self._lists[-1].number = number + 1
        return f"{number}. "

    def _end_list_lines(self) -> None:
        if self._items:
            self.content.parts.append(TextPart("text", "\n".join(self._items)))
            self._items = []

    def _add(self, part: TextPart) -> None:
        self._end_list_lines()
        self.content.parts.append(part)

    def _heading(self, level: int) -> None:
        self._drawn = []
        text = " ".join(self._take_line().split())
        if text:
            self._add(TextPart("heading", text, level))
            self._headings = [one for one in self._headings if one[0] < level]
            self._headings.append((level, text))

    def _code(self) -> None:
        self._verbatim -= 1
        text = "".join(self._line).strip("\n").rstrip()
        if not self._verbatim:
            self._line.clear()
            self._drawn = []
            if text:
                self._add(TextPart("text", text))

    def _caption(self) -> None:
        self._drawn, self._in_caption = [], False
        text = self._take_line()
        if not text:
            return
        self._add(TextPart("caption", text))
        if self._figure is not None:
            for at in range(self._figure, len(self.content.pictures)):
                picture = self.content.pictures[at]
                self.content.pictures[at] = replace(picture, caption=text)

    def _picture(self, element: Element) -> None:
        source = _source(element)
        alt = _SPACES.sub(" ", element.get("alt").translate(_UNSEEN)).strip()
        path = " > ".join(text for _, text in self._headings)
        picture = Picture(source=source, alt=alt, heading=path)
        if source and len(self.content.pictures) < _MOST_LINKS:
            self.content.pictures.append(picture)
        self._drawn.append(picture)
        if alt:
            self._line.append(f" {alt} ")

    def _input(self, element: Element) -> None:
        kind = element.get("type").lower()
        if kind in ("checkbox", "radio"):
            self._line.append(_CHECKED["checked" in element.attributes])
        elif kind not in ("submit", "button", "image", "reset", "file", "range", "color"):
            self._line.append(f" {element.get('value')} ")

    def _end_link(self) -> None:
        if not self._links:
            return
        link = self._links.pop()
        text = " ".join("".join(self._line[link.begins :]).split())
        if link.address and len(self.content.links) < _MOST_LINKS:
            self.content.links.append((text, link.address))

    def _table(self, table: Element) -> None:
        caption = caption_of(table)
        inside = ContentReader(self._skipped, self._depth + 1)
        inside._headings = self._headings
        words = " ".join(_flat(inside.read(caption)).split()) if caption else ""
        title, text = table_text(table, inside._cell)
        words = "\n".join(filter(None, [words, title]))
        self.content.links += inside.content.links
        self.content.pictures += inside.content.pictures
        if words:
            self._add(TextPart("caption", words))
        if text:
            self._add(TextPart("table", text))

    def _cell(self, cell: Element) -> str:
        """The text of a cell on one line; rows of tables in it are separated by semicolons."""
        self.content.parts = []
        return _flat(self.read(cell))


def _flat(content: Content) -> str:
    """The parts on one line."""
    texts: list[str] = []
    for part in content.parts:
        lines = part.text.splitlines()
        if part.kind == "table":
            lines = [_flat_row(line) for n, line in enumerate(lines) if n != 1]
        texts.append("; ".join(filter(None, lines)) if part.kind == "table" else " ".join(lines))
    return " ".join(texts)


def _flat_row(row: str) -> str:
    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)]
    return ", ".join(cell.replace("\\|", "|") for cell in cells if cell)


def _source(element: Element) -> str:
    """The address of a picture, also of one that is loaded when it comes into view."""
    lazy = (element.get(name) for name in ("data-src", "data-original", "data-lazy-src"))
    later = next(filter(None, lazy), "")
    source = element.get("src") or element.get("href") or element.get("xlink:href")
    if later and (not source or source.startswith("data:")):
        return later
    return source or element.get("srcset").split(" ")[0].rstrip(",")


def _chosen(select: Element) -> str:
    """The options that are chosen, or all of them."""
    options = [each for each in select.below() if each.tag == "option"]
    chosen = [each for each in options if "selected" in each.attributes] or options
    return ", ".join(filter(None, (each.text() for each in chosen)))


def _formula(math: Element) -> str:
    """A formula as TeX if the page has it, or its letters."""
    for inside in math.below():
        if inside.tag == "annotation" and "tex" in inside.get("encoding").lower():
            return f"${inside.text()}$"
    return math.get("alttext") or math.text()


def _drawing_text(svg: Element) -> str:
    """Title, description and texts of a drawing."""
    found: list[str] = []
    waiting = [svg]
    while waiting:
        element = waiting.pop()
        if element.tag in ("title", "desc", "text"):
            found.append(element.text())
        else:
            inside = (each for each in element.children if isinstance(each, Element))
            waiting += reversed(list(inside))
    return " ".join(filter(None, found))


def _number(value: str, default: int) -> int:
    return int(value) if re.fullmatch(r"-?\d{1,9}", value) else default
