"""OpenContent: paragraphs, lists, tables and shapes of OpenDocument texts and presentations."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field

from mm_rag.errors import UnreadableMedia
from mm_rag_loaders.office.blocks import Aside, Block, Cell, Item, TableRows, lines, one_paragraph
from mm_rag_loaders.office.open_styles import Counters, OpenStyles, number_of
from mm_rag_loaders.office.package import (
    Element,
    Package,
    any_attribute,
    child,
    children,
    inside,
    local,
)
from mm_rag_loaders.office.word_remarks import Comment, aside

_MOST_SPACES = 100
_MOST_COLUMNS = 200
_MOST_REPEATED_ROWS = 100
_NO_TEXT = frozenset(["annotation", "note", "ruby-text", "tracked-changes", "title", "desc"])
SHAPES = frozenset(
    [
        *("frame", "g", "custom-shape", "rect", "ellipse", "circle", "line", "polyline"),
        *("polygon", "path", "connector", "caption", "measure", "regular-polygon", "a", "control"),
    ]
)
_CONTAINERS = frozenset(
    [
        *("section", "index-body", "index-title", "table-of-content", "alphabetical-index"),
        *("illustration-index", "table-index", "object-index", "user-index", "bibliography"),
        *("text-box", "numbered-paragraph", "list-header"),
    ]
)


@dataclass
class _Line:
    """A paragraph while it is read: its words, hidden words, and what belongs to it."""

    words: list[str] = field(default_factory=list[str])
    hidden: list[str] = field(default_factory=list[str])
    attached: list[Block] = field(default_factory=list[Block])
    asides: list[Aside] = field(default_factory=list[Aside])


class OpenContent:
    """Turns elements of an OpenDocument file into items.

    Args:
        package: The file.
        styles: Its styles; more may be added while it is read.
        controls: The states of form controls, by their ids.

    Attributes:
        has_hidden: Whether hidden text was found.
        is_cut: Whether a row or column was left out that is repeated too often.
    """

    def __init__(self, package: Package, styles: OpenStyles, controls: dict[str, str]) -> None:
        self._package = package
        self._styles = styles
        self._controls = controls
        self._tables = 0
        self._notes = 0
        self._end_notes = 0
        self._open: dict[str, Comment] = {}
        self._comments: dict[str, Comment] = {}
        self._lists: dict[str, Counters] = {}
        self._headings: Counters | None = None
        self.has_hidden = False
        self.is_cut = False

    def blocks(self, container: Element) -> Iterator[Item]:
        """Yield what a container such as a cell or a text box contains."""
        for each in container:
            yield from self.block(each)

    def block(self, element: Element) -> Iterator[Item]:
        """Yield what a paragraph, heading, list, table or shape contains."""
        match local(element):
            case "p" | "h":
                yield from self._paragraph(element)
            case "list":
                yield from self._list(element, None, 1)
            case "table":
                yield from self._table(element)
            case "section" if any_attribute(element, "display") == "none":
                yield from self._hidden(element)
            case name if name in _CONTAINERS:
                yield from self.blocks(element)
            case name if name in SHAPES:
                yield from self.shape(element)
            case _:
                pass

    def comments(self) -> Iterator[Aside]:
        """Yield the comments whose words never ended."""
        for comment in self._open.values():
            yield aside(comment)
        self._open.clear()

    def _hidden(self, section: Element) -> Iterator[Aside]:
        for paragraph in section.iter("{*}p", "{*}h"):
            if text := one_paragraph(plain_text(paragraph)):
                self.has_hidden = True
                yield Aside(text, "Hidden text", {"hidden": True}, is_joined=True)

    def _paragraph(self, paragraph: Element) -> Iterator[Item]:
        line = _Line()
        self._inline(paragraph, line, self._styles.is_hidden(paragraph))
        text = lines("".join(line.words))
        if text and local(paragraph) == "h":
            level = max(1, number_of(paragraph, "outline-level", 1))
            yield Block("heading", one_paragraph(f"{self._number(paragraph, level)} {text}"), level)
        elif text:
            names = self._styles.names(any_attribute(paragraph, "style-name") or "")
            is_caption = any(name.lower() in ("caption", "illustration") for name in names)
            is_title = "Title" in names
            kind = "heading" if is_title else "caption" if is_caption else "text"
            yield Block(kind, one_paragraph(text) if is_title else text, int(is_title))
        yield from line.attached
        if hidden := one_paragraph("".join(line.hidden)):
            self.has_hidden = True
            yield Aside(hidden, "Hidden text", {"hidden": True}, is_joined=True)
        yield from line.asides

    def _number(self, heading: Element, level: int) -> str:
        if any_attribute(heading, "is-list-header") == "true":
            return ""
        if self._headings is None:
            self._headings = Counters(self._styles.outline, "")
        return self._headings.label(level)

    def _list(self, element: Element, counters: Counters | None, level: int) -> Iterator[Item]:
        style = any_attribute(element, "style-name") or ""
        if counters is None:
            goes_on = any_attribute(element, "continue-numbering") == "true"
            counters = self._lists.get(style) if goes_on else None
            if counters is None:
                counters = Counters(self._styles.lists.get(style, {}), "-")
            self._lists[style] = counters
        for entry in element:
            start = number_of(entry, "start-value", -1)
            is_first = local(entry) == "list-item"
            for each in entry:
                if local(each) == "list":
                    yield from self._list(each, counters, level + 1)
                    continue
                for item in self.block(each):
                    if isinstance(item, Block) and item.kind == "text" and not item.is_attached:
                        label = counters.label(level, start if start >= 0 else None)
                        text = one_paragraph(item.text)
                        shown = f"{label} {text}" if is_first else text
                        is_first = False
                        yield Block("item", f"{'  ' * (min(level, 10) - 1)}{shown}")
                    else:
                        yield item

    def _table(self, table: Element) -> Iterator[Item]:
        self._tables += 1
        rows = TableRows(self._tables)
        for row in _rows(table):
            beside: list[Item] = []
            cells = self._cells(row, beside)
            repeated = number_of(row, "number-rows-repeated", 1)
            has_text = any(cell.text for cell in cells)
            self.is_cut |= has_text and repeated > _MOST_REPEATED_ROWS
            for _ in range(min(repeated, _MOST_REPEATED_ROWS) if has_text else 1):
                if block := rows.row(cells):
                    yield block
            yield from beside

    def _cells(self, row: Element, beside: list[Item]) -> list[Cell]:
        cells: list[Cell] = []
        covered = 0  # cells that are counted by the one that spans them
        for cell in row:
            name, repeated = local(cell), number_of(cell, "number-columns-repeated", 1)
            if name == "covered-table-cell":
                for _ in range(min(repeated, _MOST_COLUMNS)):
                    if covered:
                        covered -= 1
                    else:
                        cells.append(Cell("", is_continued=True))
            elif name == "table-cell":
                columns = min(max(1, number_of(cell, "number-columns-spanned", 1)), _MOST_COLUMNS)
                text = self._cell(cell, beside)
                self.is_cut |= bool(text) and repeated > _MOST_COLUMNS
                cells += [Cell(text, columns)] * (min(repeated, _MOST_COLUMNS) if text else 1)
                if not text:
                    cells += [Cell("")] * (min(repeated, _MOST_COLUMNS) - 1)
                covered = columns - 1
            if len(cells) > _MOST_COLUMNS:
                self.is_cut |= cell.getnext() is not None
                break
        return cells

    def _cell(self, cell: Element, beside: list[Item]) -> str:
        """The words of a cell on one line; what belongs to them is added to `beside`."""
        found: list[str] = []
        for item in self.blocks(cell):
            if isinstance(item, Aside) or item.is_attached or item.kind == "picture":
                beside.append(item)
            elif item.kind == "row":  # of a table within the cell
                row = item.text or item.head.partition("\n")[0]
                found.append(row.strip("| ").replace("\\|", "|").replace(" | ", ", ") + ";")
            else:
                found.append(item.text)
        return one_paragraph(" ".join(found)).removesuffix(";")

    def _inline(self, element: Element, line: _Line, is_hidden: bool) -> None:
        """Add the words of an element, and what lies between them."""
        self._add(element.text, line, is_hidden)
        for each in element:
            match local(each):
                case "s":
                    spaces = min(number_of(each, "c", 1), _MOST_SPACES)
                    self._add(" " * spaces, line, is_hidden)
                case "tab":
                    self._add("\t", line, is_hidden)
                case "line-break":
                    self._add("\n", line, is_hidden)
                case "note":
                    self._note(each, line)
                case "annotation":
                    self._annotation(each, line)
                case "annotation-end":
                    name = any_attribute(each, "name") or ""
                    if comment := self._open.pop(name, None):
                        line.asides.append(aside(comment))
                case "hidden-text" | "hidden-paragraph":
                    text = any_attribute(each, "string-value") or ""
                    self._add(text or each.text, line, is_hidden=True)
                case "ruby-text" | "tracked-changes":
                    pass
                case name if name in SHAPES and name != "a":
                    self._shape_in_text(each, line)
                case _:
                    hides = is_hidden or self._styles.is_hidden(each)
                    self._inline(each, line, hides)
            self._add(each.tail, line, is_hidden)

    def _shape_in_text(self, shape: Element, line: _Line) -> None:
        if local(shape) == "control":
            self._add(self._controls.get(any_attribute(shape, "control") or "", ""), line, False)
        for item in self.shape(shape):
            if isinstance(item, Aside):
                line.asides.append(item)
            else:
                line.attached.append(item)

    def _add(self, text: str | None, line: _Line, is_hidden: bool) -> None:
        if not text:
            return
        (line.hidden if is_hidden else line.words).append(text)
        for comment in self._open.values():
            if len(comment.quoted) < 1000:
                comment.quoted += text

    def _note(self, element: Element, line: _Line) -> None:
        body = child(element, "note-body")
        text = one_paragraph(plain_text(body)) if body is not None else ""
        citation = child(element, "note-citation")
        label = one_paragraph((citation.text if citation is not None else "") or "*")
        is_end = any_attribute(element, "note-class") == "endnote"
        if text:
            self._add(f" [{label}]", line, is_hidden=False)
            name = "Endnote" if is_end else "Footnote"
            line.attached.append(Block("text", f"{name} {label}: {text}", is_attached=True))

    def _annotation(self, element: Element, line: _Line) -> None:
        comment = comment_of(element)
        above = any_attribute(element, "parent-name") or ""
        name = any_attribute(element, "name") or ""
        if above in self._comments:
            self._comments[above].replies.append(comment)
            self._comments[name] = self._comments[above]
            return
        if not comment.text:
            return
        self._comments[name] = comment
        # Without a name no end of the words can refer to it.
        if name and len(self._open) < 100:
            self._open[name] = comment
        else:
            line.asides.append(aside(comment))

    def shape(self, shape: Element) -> Iterator[Item]:
        """Yield the text of a shape, of the shapes in it, and what it shows."""
        for each in shape:
            match local(each):
                case "object":
                    yield from self._object(each)
                case "text-box" | "p" | "h" | "list" | "table" | "section":
                    yield from self.block(each)
                case name if name in SHAPES:
                    yield from self.shape(each)
                case _:
                    pass
        title, described = child(shape, "title"), child(shape, "desc")
        texts = [one_paragraph(plain_text(each)) for each in (title, described) if each is not None]
        if alternative := ": ".join(dict.fromkeys(filter(None, texts))):
            yield Block("picture", f"Picture: {alternative}", is_attached=True)

    def _object(self, element: Element) -> Iterator[Block]:
        """A chart, an equation or a sheet, which is a document of its own in the file."""
        href = (any_attribute(element, "href") or "").removeprefix("./").rstrip("/")
        root = None
        try:
            root = self._package.tree(posixpath.join(href, "content.xml")) if href else None
        except UnreadableMedia:
            return
        if root is None:
            return
        for formula in root.iter("{*}annotation"):
            if local(root) == "math" and (text := one_paragraph(formula.text or "")):
                yield Block("text", text, is_attached=True)
        for chart in inside(root, "chart"):
            if local(chart.getparent()) != "chart":  # the document of the chart
                continue
            title = child(chart, "title")
            text = one_paragraph(plain_text(title)) if title is not None else ""
            yield Block("caption", f"Chart: {text}" if text else "Chart", is_attached=True)
        for table in inside(root, "table"):
            self._tables += 1
            rows = TableRows(self._tables, is_attached=True)
            for row in _rows(table):
                if block := rows.row(self._cells(row, [])):
                    yield block


def comment_of(element: Element) -> Comment:
    """The comment of an annotation."""
    creator, date = child(element, "creator"), child(element, "date")
    words = (plain_text(each) for each in element.iter("{*}p", "{*}h"))
    return Comment(
        author=one_paragraph(creator.text or "") if creator is not None else "",
        text=one_paragraph(" ".join(words)),
        date=one_paragraph(date.text or "") if date is not None else "",
        is_resolved=any_attribute(element, "resolved") == "true",
    )


def plain_text(element: Element) -> str:
    """The words of an element without notes and comments in it."""
    found = [element.text or ""]
    for each in element:
        name = local(each)
        if name in ("s", "tab", "line-break", "p", "h"):
            found.append(" ")
        if name not in _NO_TEXT:
            found.append(plain_text(each))
        found.append(each.tail or "")
    return "".join(found)


def _rows(table: Element) -> Iterator[Element]:
    for each in table:
        if local(each) == "table-row":
            yield each
        elif local(each) in ("table-header-rows", "table-rows", "table-row-group"):
            yield from _rows(each)


def changed_regions(element: Element) -> Iterator[tuple[str, str, str]]:
    """Yield kind, author and deleted words of each tracked change."""
    for region in children(element, "changed-region"):
        for change in region:
            creator = child(change, "change-info", "creator")
            author = one_paragraph(creator.text or "") if creator is not None else ""
            words = plain_text(change) if local(change) == "deletion" else ""
            yield local(change), author, words
