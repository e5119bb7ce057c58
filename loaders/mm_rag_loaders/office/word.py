"""WordReader: the text of a Word document (.docx), with everything that its print does not show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mm_rag._printing import counted
from mm_rag_loaders.loader import SourceFile
from mm_rag_loaders.office.blocks import Aside, Block, Cell, Item, TableRows, lines, one_paragraph
from mm_rag_loaders.office.drawings import chart_blocks, diagram_blocks, equation, picture_text
from mm_rag_loaders.office.package import (
    Element,
    Package,
    alternative,
    attribute,
    child,
    children,
    forget,
    inside,
    is_on,
    local,
    relation_id,
    value,
)
from mm_rag_loaders.office.symbols import symbol
from mm_rag_loaders.office.word_remarks import Comments, Notes, plain_text
from mm_rag_loaders.office.word_styles import Numbering, Style, Styles, in_form

_MOST_NESTED_LETTERS = 2000  # of a table within a cell
_MOST_DELETED_LETTERS = 100_000
_INLINE = frozenset(
    ["hyperlink", "smartTag", "customXml", "dir", "bdo", "sdtContent", "fldSimple", "sdt"]
)
_BESIDE_BODY = frozenset(["sdtContent", "sdt", "customXml", "ins", "moveTo"])


@dataclass
class _Line:
    """A paragraph while it is read.

    Attributes:
        words: Words that it shows.
        hidden: Hidden words.
        attached: Notes, pictures and text boxes that belong to it.
        asides: Comments.
    """

    words: list[str] = field(default_factory=list[str])
    hidden: list[str] = field(default_factory=list[str])
    attached: list[Block] = field(default_factory=list[Block])
    asides: list[Aside] = field(default_factory=list[Aside])


class WordReader:
    """Reads a Word document piece by piece.

    Args:
        package: The file.
        file: Gets the notes.
    """

    def __init__(self, package: Package, file: SourceFile) -> None:
        self._package = package
        self._file = file
        self._main = package.main
        relations = package.relations(self._main)
        self._parts = {name: each.target for name, each in relations.items()}
        kinds = {each.type: each.target for each in relations.values() if not each.is_external}
        self._runners = [
            (each.type, each.target)
            for each in relations.values()
            if each.type in ("header", "footer") and not each.is_external
        ]
        self._styles = Styles(package, kinds.get("styles", ""))
        self._numbering = Numbering(package, kinds.get("numbering", ""))
        comments = kinds.get("comments", ""), kinds.get("commentsExtended", "")
        self._comments = Comments(package, *comments)
        self._footnotes = Notes(package, kinds.get("footnotes", ""), "footnote")
        self._endnotes = Notes(package, kinds.get("endnotes", ""), "endnote")
        self._note_counts = Counter[str]()
        self._open_comments: set[str] = set()
        self._fields: list[str] = []
        self._tables = 0
        self._changes = Counter[str]()
        self._authors: dict[str, None] = {}
        self._has_hidden = False
        self.deleted = ""  # words that were deleted, which a print may show

    def items(self) -> Iterator[Item]:
        """Yield the text in reading order, with comments after the paragraph that they refer to.

        Raises:
            UnreadableMedia: It is damaged; what was yielded before is right.
        """
        yield from self._running()
        tables: dict[Element, TableRows] = {}
        names = ("p", "tr", "tbl", "commentRangeStart", "commentRangeEnd")
        for element in self._package.elements(self._main, *names):
            if not _is_at_top(element):
                continue
            match local(element):
                case "p":
                    yield from self._paragraph(element)
                case "tr":
                    table = element.getparent()
                    if table not in tables:
                        tables[table] = self._table()
                    yield from self._row(element, tables[table])
                case "tbl":
                    tables.pop(element, None)
                case name:
                    self._mark(element, name)
            forget(element)
        yield from self._comments.rest()
        self._take_notes()

    def _running(self) -> Iterator[Item]:
        """Headers and footers: each text once."""
        found: dict[str, None] = {}
        for kind, part in self._runners:
            root = self._package.tree(part)
            if root is None:
                continue
            for paragraph in inside(root, "p"):
                text = one_paragraph(plain_text(paragraph))
                if any(map(str.isalpha, text)):
                    found[f"{kind.capitalize()}: {text}"] = None
            for properties in inside(root, "docPr"):
                if text := picture_text(properties):
                    found[text] = None
        if found:
            yield Aside("\n".join(found), metadata={"running": True})

    def _table(self, *, is_attached: bool = False) -> TableRows:
        self._tables += 1
        return TableRows(self._tables, is_attached=is_attached)

    def _row(self, row: Element, table: TableRows) -> Iterator[Item]:
        """The block of a row, and what belongs to its cells."""
        if child(row, "trPr", "del") is not None:
            self._changed("deletions", child(row, "trPr", "del"))
            return
        if child(row, "trPr", "ins") is not None:
            self._changed("insertions", child(row, "trPr", "ins"))
        cells, beside = list[Cell](), list[Item]()
        if (before := child(row, "trPr", "gridBefore")) is not None:
            cells.append(Cell("", _width(before)))
        for cell in _cells(row):
            properties = child(cell, "tcPr")
            if child(properties, "cellDel") is not None:
                continue
            merge = child(properties, "vMerge")
            is_continued = merge is not None and attribute(merge, "val") != "restart"
            text = self._cell(cell, beside)
            columns = _width(child(properties, "gridSpan"))
            cells.append(Cell(text, columns, is_continued))
        if block := table.row(cells):
            yield block
        yield from beside

    def _cell(self, cell: Element, beside: list[Item]) -> str:
        """The words of a cell on one line; what belongs to them is added to `beside`."""
        found: list[str] = []
        for item in self._blocks(cell):
            if isinstance(item, Aside) or item.is_attached or item.kind == "picture":
                beside.append(item)
            elif item.kind == "row":  # of a table within the cell
                row = item.text or item.head.partition("\n")[0]
                found.append(row.strip("| ").replace("\\|", "|").replace(" | ", ", ") + ";")
            else:
                found.append(item.text)
        return one_paragraph(" ".join(found)).removesuffix(";")

    def _blocks(self, container: Element) -> Iterator[Item]:
        """The paragraphs and tables of a cell, a text box or a content control."""
        for element in container:
            match local(element):
                case "p":
                    yield from self._paragraph(element)
                case "tbl":
                    table = self._table()
                    for row in _rows(element):
                        yield from self._row(row, table)
                case "sdt" | "sdtContent" | "customXml" | "ins" | "moveTo":
                    yield from self._blocks(element)
                case "commentRangeStart" | "commentRangeEnd" as name:
                    self._mark(element, name)
                case _:
                    pass

    def _paragraph(self, paragraph: Element) -> Iterator[Item]:
        properties = child(paragraph, "pPr")
        style = self._styles.get(value(properties, "pStyle"))
        line = _Line()
        self._inline(paragraph, line, style.is_hidden)
        # A field whose result never begins must not swallow the rest of the document.
        self._fields = ["result" for _ in self._fields]
        text = lines("".join(line.words))
        if text:
            yield self._block(text, properties, style)
        yield from line.attached
        if hidden := one_paragraph("".join(line.hidden)):
            self._has_hidden = True
            yield Aside(hidden, "Hidden text", {"hidden": True}, is_joined=True)
        yield from line.asides

    def _block(self, text: str, properties: Element | None, style: Style) -> Block:
        number, level = style.numbering
        if child(properties, "numPr") is not None:
            number = value(properties, "numPr", "numId") or number
            at = value(properties, "numPr", "ilvl")
            level = min(int(at), 8) if at.isdecimal() else level
        label = self._numbering.label(number, level)
        outline = value(properties, "outlineLvl")
        kind, depth = style.kind, style.level
        if outline.isdecimal():
            kind, depth = ("heading", int(outline) + 1) if int(outline) < 9 else ("text", 0)
        if kind == "heading":
            return Block("heading", one_paragraph(f"{label} {text}"), depth)
        if kind == "caption":
            return Block("caption", text)
        if label:
            return Block("item", f"{'  ' * level}{label} {one_paragraph(text)}")
        return Block("text", text)

    def _inline(self, element: Element, line: _Line, is_hidden: bool) -> None:
        """Add what a paragraph or a part of it contains to the line."""
        for each in element:
            match local(each):
                case "r":
                    self._run(each, line, is_hidden)
                case "ins" | "moveTo":
                    self._changed("insertions", each)
                    self._inline(each, line, is_hidden)
                case "del" | "moveFrom":
                    self._changed("deletions", each)
                    if len(self.deleted) < _MOST_DELETED_LETTERS:
                        texts = (text.text or "" for text in each.iter("{*}delText", "{*}t"))
                        self.deleted += f" {' '.join(texts)}"
                case "oMath" | "oMathPara":
                    self._add(f" {equation(each)} ", line, is_hidden)
                case "commentRangeStart" | "commentRangeEnd" as name:
                    self._mark(each, name)
                case "AlternateContent":
                    self._inline(alternative(each), line, is_hidden)
                case name if name in _INLINE:
                    self._inline(each, line, is_hidden)
                case _:
                    pass

    def _run(self, run: Element, line: _Line, is_hidden: bool) -> None:
        properties = child(run, "rPr")
        if properties is not None:
            is_hidden = self._is_hidden(properties, is_hidden)
        for each in run:
            match local(each):
                case "t":
                    self._add(each.text or "", line, is_hidden)
                case "tab" | "ptab":
                    self._add("\t", line, is_hidden)
                case "br" | "cr":
                    self._add("\n", line, is_hidden)
                case "noBreakHyphen":
                    self._add("-", line, is_hidden)
                case "sym":
                    font, code = attribute(each, "font") or "", attribute(each, "char") or ""
                    self._add(symbol(font, code), line, is_hidden)
                case "fldChar":
                    self._field(each, line, is_hidden)
                case "footnoteReference" | "endnoteReference" as name:
                    self._note(each, name.removesuffix("Reference"), line)
                case "commentReference":
                    if found := self._comments.taken(attribute(each, "id") or ""):
                        line.asides.append(found)
                case "ruby":
                    self._inline(child(each, "rubyBase") or (), line, is_hidden)
                case "AlternateContent":
                    self._run(alternative(each), line, is_hidden)
                case "drawing" | "pict" | "object":
                    self._drawing(each, line)
                case _:
                    pass

    def _is_hidden(self, properties: Element, is_hidden: bool) -> bool:
        vanish = child(properties, "vanish")
        if vanish is not None:
            return is_on(vanish)
        style = value(properties, "rStyle")
        return is_hidden or (bool(style) and self._styles.get(style).is_hidden)

    def _add(self, text: str, line: _Line, is_hidden: bool) -> None:
        if "code" in self._fields:
            return
        (line.hidden if is_hidden else line.words).append(text)
        for name in self._open_comments:
            self._comments.quote(name, text)

    def _mark(self, element: Element, name: str) -> None:
        """Begin or end the words that a comment refers to."""
        comment = attribute(element, "id") or ""
        if name == "commentRangeStart" and len(self._open_comments) < 100:
            self._open_comments.add(comment)
        else:
            self._open_comments.discard(comment)

    def _field(self, element: Element, line: _Line, is_hidden: bool) -> None:
        match attribute(element, "fldCharType"):
            case "begin":
                if (data := child(element, "ffData")) is not None:
                    self._add(_form_field(data), line, is_hidden)
                self._fields.append("code")
            case "separate" if self._fields:
                self._fields[-1] = "result"
            case "end" if self._fields:
                self._fields.pop()
            case _:
                pass

    def _note(self, element: Element, kind: str, line: _Line) -> None:
        text = (self._footnotes if kind == "footnote" else self._endnotes).get(
            attribute(element, "id") or ""
        )
        if not text:
            return
        self._note_counts[kind] += 1
        count = self._note_counts[kind]
        label = in_form(count, "decimal" if kind == "footnote" else "lowerRoman")
        self._add(f" [{label}]", line, is_hidden=False)
        name = kind.capitalize()
        line.attached.append(Block("text", f"{name} {label}: {text}", is_attached=True))

    def _drawing(self, element: Element, line: _Line) -> None:
        """Add a picture, a shape, a text box, a chart or a diagram."""
        texts = (picture_text(each) for each in _own(element, "docPr", "cNvPr"))
        for text in dict.fromkeys(filter(None, texts)):
            line.attached.append(Block("picture", text, is_attached=True))
        for each in _own(element, "chart"):
            if name := self._parts.get(relation_id(each)):
                self._tables += 1
                line.attached += chart_blocks(self._package, name, self._tables)
        for each in _own(element, "relIds"):
            line.attached += diagram_blocks(self._package, each, self._parts)
        for each in _own(element, "shape"):
            if text := one_paragraph(each.get("alt", "")):
                line.attached.append(Block("picture", f"Picture: {text}", is_attached=True))
        for each in _own(element, "textpath"):
            if text := one_paragraph(each.get("string", "")):
                line.attached.append(Block("text", text, is_attached=True))
        for box in _own(element, "txbxContent"):
            self._box(box, line)

    def _box(self, box: Element, line: _Line) -> None:
        # Fields and comments of the paragraph around it go on behind it.
        fields, self._fields = self._fields, []
        for item in self._blocks(box):
            if isinstance(item, Aside):
                line.asides.append(item)
            else:
                line.attached.append(item)
        self._fields = fields

    def _changed(self, what: str, element: Element) -> None:
        self._changes[what] += 1
        author = one_paragraph(attribute(element, "author") or "")
        if author and len(self._authors) < 20:
            self._authors[author] = None

    def _take_notes(self) -> None:
        note = self._file.note
        note_changes(self._file, self._changes, self._authors)
        if self._has_hidden:
            note("hidden", "it has hidden text, which was read")
        for problem in (self._comments.problem, self._footnotes.problem, self._endnotes.problem):
            if problem:
                note("damaged", problem)


def note_changes(file: SourceFile, counts: Mapping[str, int], authors: Iterable[str]) -> None:
    """Note that changes were tracked, and how they were read.

    Args:
        file: Gets the note.
        counts: Numbers of `insertions` and `deletions`.
        authors: Names of the people that made them.
    """
    what = [counted(count, name.removesuffix("s")) for name, count in counts.items() if count]
    if what:
        names = ", ".join(authors)
        file.note(
            "changes",
            f"tracked changes were read as accepted: {' and '.join(what)}"
            f"{f' by {names}' if names else ''}; deleted words were left out",
        )


def _is_at_top(element: Element) -> bool:
    """Whether an element belongs to the body itself, or is a row of a table that does."""
    above = element.getparent()
    if local(element) == "tr":
        while above is not None and local(above) in _BESIDE_BODY:
            above = above.getparent()
        if above is None or local(above) != "tbl":
            return False
        above = above.getparent()
    while above is not None and local(above) in _BESIDE_BODY:
        above = above.getparent()
    return above is not None and local(above) == "body"


def _rows(table: Element) -> Iterator[Element]:
    for each in table:
        if local(each) == "tr":
            yield each
        elif local(each) in _BESIDE_BODY:
            yield from _rows(each)


def _cells(row: Element) -> Iterator[Element]:
    for each in row:
        if local(each) == "tc":
            yield each
        elif local(each) in _BESIDE_BODY:
            yield from _cells(each)


def _width(element: Element | None) -> int:
    """A number of columns, within reason."""
    given = attribute(element, "val") or "" if element is not None else ""
    return min(max(int(given), 1), 63) if given.isdecimal() and len(given) < 9 else 1


def _own(drawing: Element, *names: str) -> Iterator[Element]:
    """Yield the elements of these names in a drawing itself, not in a text box of it."""
    for each in drawing.iter(*(f"{{*}}{name}" for name in names)):
        if _is_shown(each, drawing):
            yield each


def _is_shown(part: Element, drawing: Element) -> bool:
    """Whether a part of a drawing is neither in a text box nor in a second form of the drawing."""
    at = part.getparent()
    while at is not None and at is not drawing:
        if local(at) == "txbxContent":
            return False
        if local(at) == "Fallback" and child(at.getparent(), "Choice") is not None:
            return False
        at = at.getparent()
    return True


def _form_field(data: Element) -> str:
    """The state of a form field that has no text of its own."""
    box = child(data, "checkBox")
    if box is not None:
        state = child(box, "checked")
        state = child(box, "default") if state is None else state
        return "☒" if is_on(state) else "☐"
    choices = child(data, "ddList")
    if choices is not None:
        entries = [attribute(each, "val") or "" for each in children(choices, "listEntry")]
        chosen = value(choices, "result") or value(choices, "default") or "0"
        return entries[int(chosen)] if chosen.isdecimal() and int(chosen) < len(entries) else ""
    return ""
