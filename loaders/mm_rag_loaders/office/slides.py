"""SlideReader: the slides of a PowerPoint presentation (.pptx), with what a print does not show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mm_rag._printing import counted
from mm_rag.errors import UnreadableMedia
from mm_rag_loaders.loader import SourceFile
from mm_rag_loaders.office.blocks import (
    Aside,
    Block,
    Cell,
    Item,
    lines,
    one_paragraph,
    table_blocks,
)
from mm_rag_loaders.office.drawings import chart_blocks, diagram_blocks, equation, picture_text
from mm_rag_loaders.office.package import (
    Element,
    Package,
    Relation,
    alternative,
    any_attribute,
    child,
    children,
    inside,
    local,
    relation_id,
)
from mm_rag_loaders.office.reading_order import Place, in_reading_order
from mm_rag_loaders.office.word_remarks import Comment, aside
from mm_rag_loaders.office.word_styles import in_form

_TITLES = ("title", "ctrTitle")
_FURNITURE = ("dt", "sldNum", "sldImg", "hdr")  # placeholders that say nothing of the slide's own
_SHAPES = ("sp", "pic", "graphicFrame", "grpSp", "cxnSp", "contentPart")
_NUMBERS = {
    "arabic": "decimal",
    "alphaLc": "lowerLetter",
    "alphaUc": "upperLetter",
    "romanLc": "lowerRoman",
    "romanUc": "upperRoman",
}
_MOST_LEVEL = 8


@dataclass
class Slide:
    """A slide.

    Attributes:
        number: From 1, counting hidden slides.
        items: In reading order, the title first.
        is_hidden: Whether a show leaves it out.
        section: Name of its section; may be empty.
    """

    number: int
    items: list[Item] = field(default_factory=list[Item])
    is_hidden: bool = False
    section: str = ""


class SlideReader:
    """Reads a presentation slide by slide.

    Args:
        package: The file.
        file: Gets the notes.
    """

    def __init__(self, package: Package, file: SourceFile) -> None:
        self._package = package
        self._file = file
        self._relations = package.relations(package.main)
        root = package.tree(package.main)
        self._slides = [
            (each.get("id", ""), self._relations.get(relation_id(each)))
            for each in children(child(root, "sldIdLst"), "sldId")
        ]
        self._sections = _sections(root)
        self._authors = dict[str, str]()
        for each in self._relations.values():
            if each.type in ("commentAuthors", "authors"):
                self._read_authors(each.target)
        self._layouts: dict[str, _Layout] = {}
        self._once: set[str] = set()
        self._tables = 0

    @property
    def count(self) -> int:
        """The number of slides, with the hidden ones."""
        return len(self._slides)

    def slides(self) -> Iterator[Slide]:
        """Yield the slides. A damaged one is noted, and yielded without its text."""
        for number, (name, relation) in enumerate(self._slides, 1):
            slide = Slide(number, section=self._sections.get(name, ""))
            try:
                if relation is not None and not relation.is_external:
                    self._read(slide, relation.target)
            except (UnreadableMedia, RecursionError) as error:
                self._file.note("damaged", f"slide {number} was not read by its structure: {error}")
            yield slide

    def _read_authors(self, part: str) -> None:
        root = self._package.tree(part)
        for each in root if root is not None else ():
            self._authors[each.get("id", "")] = one_paragraph(each.get("name", ""))

    def _read(self, slide: Slide, part: str) -> None:
        root = self._package.tree(part)
        if root is None:
            return
        slide.is_hidden = root.get("show") in ("0", "false")
        relations = self._package.relations(part)
        layout = self._layout(relations)
        tree = child(root, "cSld", "spTree")
        shapes = _Shapes(self._package, relations, layout.places, self._tables)
        slide.items += shapes.items(tree)
        self._tables = shapes.tables
        slide.items += self._said_once(shapes.footers, layout)
        for relation in relations.values():
            if relation.type == "notesSlide" and not relation.is_external:
                slide.items += self._notes(relation.target)
        for relation in relations.values():
            if relation.type == "comments" and not relation.is_external:
                slide.items += self._comments(relation.target, slide.number)

    def _layout(self, relations: dict[str, Relation]) -> _Layout:
        part = _target(relations, "slideLayout")
        if part not in self._layouts:
            layout = _Layout()
            master = _target(self._package.relations(part), "slideMaster") if part else ""
            for each in (master, part):
                root = self._package.tree(each) if each else None
                layout.add(child(root, "cSld", "spTree"))
            self._layouts[part] = layout
        return self._layouts[part]

    def _said_once(self, footers: Iterable[str], layout: _Layout) -> Iterator[Aside]:
        """Footers, and texts of the layout that each slide shows: on the first of them only."""
        new = [text for text in (*footers, *layout.texts) if text not in self._once]
        self._once.update(new)
        if new:
            yield Aside("\n".join(new), metadata={"running": True})

    def _notes(self, part: str) -> Iterator[Aside]:
        root = self._package.tree(part)
        tree = child(root, "cSld", "spTree")
        shapes = _Shapes(self._package, self._package.relations(part), {}, self._tables)
        items = list(shapes.items(tree)) if tree is not None else []
        texts = [each.text or each.head for each in items if isinstance(each, Block)]
        if text := "\n".join(texts):
            yield Aside(text, "Notes", {"notes": True})

    def _comments(self, part: str, number: int) -> Iterator[Aside]:
        root = self._package.tree(part)
        threads: dict[str, Comment] = {}
        found: list[Comment] = []
        for each in children(root, "cm"):
            comment = self._comment(each)
            for reply in inside(each, "reply"):
                comment.replies.append(self._comment(reply))
            above = next(inside(each, "parentCm"), None)
            root_of = threads.get(_key(above)) if above is not None else None
            if root_of is None:
                found.append(comment)
            else:
                root_of.replies.append(comment)
            threads[_key(each)] = root_of or comment
        for comment in found:
            if comment.text or comment.replies:
                yield aside(comment, f"slide {number}")

    def _comment(self, element: Element) -> Comment:
        body = child(element, "txBody")
        if body is not None:
            text = one_paragraph(" ".join(_paragraphs(body)))
        else:
            texts = (each.text or "" for each in children(element, "text"))
            text = one_paragraph(" ".join(texts))
        author = self._authors.get(element.get("authorId", ""), "")
        date = one_paragraph(element.get("dt") or element.get("created") or "")
        return Comment(author, text, date, is_resolved=element.get("status") == "resolved")


def _key(element: Element) -> str:
    return f"{element.get('authorId')} {element.get('idx')}"


def _target(relations: dict[str, Relation], kind: str) -> str:
    return next(
        (each.target for each in relations.values() if each.type == kind and not each.is_external),
        "",
    )


def _sections(root: Element | None) -> dict[str, str]:
    """The names of the sections, by the ids of their slides."""
    found: dict[str, str] = {}
    for section in inside(root, "section") if root is not None else ():
        name = one_paragraph(section.get("name", ""))
        for each in inside(section, "sldId"):
            found[each.get("id", "")] = name
    return found


@dataclass
class _Layout:
    """Places and texts that slides get from their layout and master.

    Attributes:
        places: The places of placeholders, by their types and numbers.
        texts: Texts that each slide shows, without those of placeholders.
    """

    places: dict[str, Place] = field(default_factory=dict[str, Place])
    texts: list[str] = field(default_factory=list[str])

    def add(self, tree: Element | None) -> None:
        for shape in tree.iter("{*}sp") if tree is not None else ():
            holder = _placeholder(shape)
            if holder is None:
                texts = _paragraphs(child(shape, "txBody"))
                self.texts += [text for text in texts if any(map(str.isalpha, text))]
            elif place := _place(shape):
                self.places[f"type {holder.get('type', 'body')}"] = place
                self.places[f"number {holder.get('idx', '')}"] = place


class _Shapes:
    """Reads the shapes of one slide.

    Attributes:
        tables: Number of the last table.
        footers: Texts of its footers.
    """

    def __init__(
        self,
        package: Package,
        relations: dict[str, Relation],
        places: dict[str, Place],
        tables: int,
    ) -> None:
        self._package = package
        self._parts = {
            name: each.target for name, each in relations.items() if not each.is_external
        }
        self._places = places
        self.tables = tables
        self.footers: list[str] = []

    def items(self, tree: Element | None) -> Iterator[Item]:
        """Yield the blocks of the shapes in reading order, the title first."""
        shapes = list(_shapes(tree)) if tree is not None else []
        titles = [each for each in shapes if _holder_type(each) in _TITLES]
        others = [each for each in shapes if _holder_type(each) not in _TITLES]
        for shape in (*titles, *self._ordered(others)):
            yield from self._shape(shape)

    def _ordered(self, shapes: list[Element]) -> list[Element]:
        places = [self._place(shape) for shape in shapes]
        known = [place for place in places if place is not None]
        if len(known) < len(shapes):
            return shapes
        return [shapes[at] for at in in_reading_order(known)]

    def _place(self, shape: Element) -> Place | None:
        holder = _placeholder(shape)
        own = _place(shape)
        if own is not None or holder is None:
            return own
        number = self._places.get(f"number {holder.get('idx')}")
        return number or self._places.get(f"type {holder.get('type', 'body')}")

    def _shape(self, shape: Element) -> Iterator[Item]:
        properties = _properties(shape)
        found = list(self._blocks(shape))
        if properties is not None and any_attribute(properties, "hidden") in ("1", "true"):
            texts = [each.text or each.head for each in found if isinstance(each, Block)]
            if texts:
                yield Aside("\n".join(texts), "Hidden shape", {"hidden": True}, is_joined=True)
            return
        yield from found
        if properties is not None and (text := picture_text(properties)):
            yield Block("picture", text)

    def _blocks(self, shape: Element) -> Iterator[Item]:
        match local(shape):
            case "grpSp":
                for each in self._ordered(list(_shapes(shape))):
                    yield from self._shape(each)
            case "graphicFrame":
                yield from self._frame(shape)
            case _:
                yield from self._text(shape)

    def _text(self, shape: Element) -> Iterator[Block]:
        kind = _holder_type(shape)
        texts = _paragraphs(child(shape, "txBody"))
        if kind in _FURNITURE or not texts:
            return
        if kind == "ftr":
            self.footers.append(one_paragraph(" ".join(texts)))
        elif kind in _TITLES:
            yield Block("heading", one_paragraph(" ".join(texts)), 1)
        else:
            yield Block("text", "\n".join(texts))

    def _frame(self, frame: Element) -> Iterator[Block]:
        """A table, a chart or a diagram."""
        for table in inside(frame, "tbl"):
            self.tables += 1
            rows = [list(_cells(row)) for row in children(table, "tr")]
            yield from table_blocks(rows, self.tables)
        for chart in inside(frame, "chart"):
            if part := self._parts.get(relation_id(chart)):
                self.tables += 1
                yield from chart_blocks(self._package, part, self.tables)
        for diagram in inside(frame, "relIds"):
            yield from diagram_blocks(self._package, diagram, self._parts)


def _shapes(tree: Element) -> Iterator[Element]:
    for each in tree:
        if local(each) in _SHAPES:
            yield each
        elif local(each) == "AlternateContent":
            yield from (form for form in alternative(each) if local(form) in _SHAPES)


def _properties(shape: Element) -> Element | None:
    """The element with a shape's name and alternative text."""
    about = next((each for each in shape if local(each).startswith("nv")), None)
    return child(about, "cNvPr")


def _placeholder(shape: Element) -> Element | None:
    about = next((each for each in shape if local(each).startswith("nv")), None)
    return child(about, "nvPr", "ph")


def _holder_type(shape: Element) -> str:
    """The type of a placeholder; `body` if it has none, empty for other shapes."""
    holder = _placeholder(shape)
    return "" if holder is None else holder.get("type", "body")


def _place(shape: Element) -> Place | None:
    frame = child(shape, "xfrm")
    for name in ("spPr", "grpSpPr"):
        frame = child(shape, name, "xfrm") if frame is None else frame
    offset, size = child(frame, "off"), child(frame, "ext")
    if offset is None or size is None:
        return None
    try:
        x, y = int(offset.get("x", 0)), int(offset.get("y", 0))
        return x, y, x + int(size.get("cx", 0)), y + int(size.get("cy", 0))
    except ValueError:
        return None


def _cells(row: Element) -> Iterator[Cell]:
    for cell in children(row, "tc"):
        if cell.get("hMerge") in ("1", "true"):
            continue  # counted by the cell that spans it
        span = cell.get("gridSpan", "1")
        columns = min(int(span), 100) if span.isdecimal() and len(span) < 9 else 1
        text = one_paragraph(" ".join(_paragraphs(child(cell, "txBody"))))
        yield Cell(text, max(1, columns), cell.get("vMerge") in ("1", "true"))


def _paragraphs(body: Element | None) -> list[str]:
    """The paragraphs of a text that have words, with the numbers of lists, indented by level."""
    found: list[str] = []
    counts = Counter[int]()
    for paragraph in children(body, "p"):
        properties = child(paragraph, "pPr")
        given = properties.get("lvl", "0") if properties is not None else "0"
        level = min(int(given), _MOST_LEVEL) if given.isdecimal() and len(given) < 9 else 0
        text = lines("".join(_runs(paragraph)))
        if not text:
            continue
        label = _label(child(properties, "buAutoNum"), level, counts)
        if not label and level:
            label = "-"
        found.append(f"{'  ' * level}{label} {text}" if label else text)
    return found


def _label(numbered: Element | None, level: int, counts: Counter[int]) -> str:
    for deeper in [each for each in counts if each > level]:
        del counts[deeper]
    if numbered is None:
        counts.pop(level, None)
        return ""
    kind, start = numbered.get("type", ""), numbered.get("startAt", "1")
    first = int(start) if start.isdecimal() and len(start) < 9 else 1
    counts[level] = counts[level] + 1 if level in counts else first
    form = next((form for name, form in _NUMBERS.items() if kind.startswith(name)), "decimal")
    number = in_form(counts[level], form)
    if kind.endswith("ParenBoth"):
        return f"({number})"
    return number + (")" if kind.endswith("ParenR") else "." if kind.endswith("Period") else "")


def _runs(paragraph: Element) -> Iterator[str]:
    for each in paragraph:
        match local(each):
            case "fld" if each.get("type") == "slidenum":
                pass
            case "r" | "fld":
                text = child(each, "t")
                yield (text.text or "") if text is not None else ""
            case "br":
                yield "\n"
            case "m":  # around an equation; within one it would be a matrix
                yield f" {''.join(map(equation, each))} "
            case "oMath" | "oMathPara":
                yield f" {equation(each)} "
            case "AlternateContent":
                yield from _runs(alternative(each))
            case _:
                pass


def note_hidden(file: SourceFile, numbers: list[int]) -> None:
    """Note which slides are hidden."""
    if not numbers:
        return
    shown = ", ".join(map(str, numbers[:20])) + (", ..." if len(numbers) > 20 else "")
    if len(numbers) == 1:
        file.note("hidden", f"slide {shown} is hidden; it was read")
    else:
        file.note("hidden", f"{counted(len(numbers), 'slide')} are hidden; they were read: {shown}")
