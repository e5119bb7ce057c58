"""OpenTextReader and OpenSlideReader: OpenDocument texts (.odt) and presentations (.odp)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from mm_rag.errors import UnreadableMedia
from mm_rag_loaders.loader import SourceFile
from mm_rag_loaders.office.blocks import Aside, Block, Item, one_paragraph
from mm_rag_loaders.office.open_content import (
    SHAPES,
    OpenContent,
    changed_regions,
    comment_of,
    plain_text,
)
from mm_rag_loaders.office.open_styles import OpenStyles, style_name
from mm_rag_loaders.office.package import (
    Element,
    Package,
    any_attribute,
    child,
    children,
    forget,
    inside,
    local,
)
from mm_rag_loaders.office.reading_order import Place, in_reading_order
from mm_rag_loaders.office.slides import Slide
from mm_rag_loaders.office.word import note_changes
from mm_rag_loaders.office.word_remarks import aside

_CONTENT, _STYLES = "content.xml", "styles.xml"
_STYLE_NAMES = ("style", "list-style", "outline-style")
_BESIDE_BODY = frozenset(
    [
        *("section", "index-body", "index-title", "table-of-content", "alphabetical-index"),
        *("illustration-index", "table-index", "object-index", "user-index", "bibliography"),
    ]
)
_RUNNING = ("header", "footer", "header-left", "footer-left", "header-first", "footer-first")
_FURNITURE = ("header", "footer", "date-time", "page-number", "page", "handout")
_LENGTH = re.compile(r"(-?[\d.]+)(cm|mm|in|pt|pc)")
_POINTS = {"cm": 28.35, "mm": 2.835, "in": 72.0, "pt": 1.0, "pc": 12.0}
_MOST_DELETED_LETTERS = 100_000


class OpenTextReader:
    """Reads an OpenDocument text.

    Args:
        package: The file.
        file: Gets the notes.
    """

    def __init__(self, package: Package, file: SourceFile) -> None:
        self._package = package
        self._file = file
        self._styles = OpenStyles()
        self._page_styles = package.tree(_STYLES)
        self._styles.add_all(self._page_styles)
        self._controls: dict[str, str] = {}
        self._content = OpenContent(package, self._styles, self._controls)
        self.deleted = ""  # words that were deleted, which a print may show

    def items(self) -> Iterator[Item]:
        """Yield the text in reading order, with comments after the words that they refer to.

        Raises:
            UnreadableMedia: It is damaged; what was yielded before is right.
        """
        yield from self._running()
        names = (*_STYLE_NAMES, *("p", "h", "list", "table", "section"), *SHAPES)
        changes, authors = Counter[str](), dict[str, None]()
        for element in self._package.elements(
            _CONTENT, *names, "tracked-changes", "forms", "index-body"
        ):
            match local(element):
                case name if name in _STYLE_NAMES:
                    self._styles.add(element)
                case "tracked-changes":
                    for kind, author, words in changed_regions(element):
                        changes[kind] += 1
                        if author and len(authors) < 20:
                            authors[author] = None
                        if len(self.deleted) < _MOST_DELETED_LETTERS:
                            self.deleted += f" {words}"
                    element.clear()
                case "forms":
                    self._controls.update(_control_states(element))
                case _ if _is_at_top(element):
                    yield from self._content.block(element)
                    forget(element)
                case _:
                    pass
        yield from self._content.comments()
        counts = {"insertions": changes["insertion"], "deletions": changes["deletion"]}
        note_changes(self._file, counts, authors)
        if self._content.is_cut:
            self._file.note("limit", "repeated rows and columns of tables were read in part")
        if self._content.has_hidden:
            self._file.note("hidden", "it has hidden text, which was read")

    def _running(self) -> Iterator[Aside]:
        """Headers and footers: each text once."""
        found: dict[str, None] = {}
        for name in _RUNNING:
            for element in inside(self._page_styles, name) if self._page_styles is not None else ():
                for paragraph in element.iter("{*}p", "{*}h"):
                    text = one_paragraph(plain_text(paragraph))
                    if any(map(str.isalpha, text)):
                        found[f"{name.partition('-')[0].capitalize()}: {text}"] = None
        if found:
            yield Aside("\n".join(found), metadata={"running": True})


def _is_at_top(element: Element) -> bool:
    """Whether an element belongs to the text itself, or to a section that is shown."""
    if local(element) in _BESIDE_BODY:
        return any_attribute(element, "display") == "none"
    above = element.getparent()
    while above is not None and local(above) in _BESIDE_BODY:
        if any_attribute(above, "display") == "none":
            return False
        above = above.getparent()
    if above is None or local(above) != "text":
        return False
    around = above.getparent()
    return around is not None and local(around) == "body"


def _control_states(forms: Element) -> Iterator[tuple[str, str]]:
    """Yield the id and the state of each form control, as it is shown."""
    for each in forms.iter("{*}checkbox", "{*}radio", "{*}text", "{*}textarea", "{*}listbox"):
        name = any_attribute(each, "id") or ""
        label = one_paragraph(any_attribute(each, "label") or "")
        state = any_attribute(each, "current-state") or any_attribute(each, "state") or ""
        chosen = state == "checked" or any_attribute(each, "current-selected") == "true"
        match local(each):
            case "checkbox" | "radio":
                text = f"{'☒' if chosen else '☐'} {label}"
            case "listbox":
                texts = (
                    any_attribute(option, "label") or ""
                    for option in children(each, "option")
                    if any_attribute(option, "current-selected") == "true"
                )
                text = ", ".join(texts)
            case _:
                text = any_attribute(each, "current-value") or any_attribute(each, "value") or ""
        yield name, one_paragraph(text)


class OpenSlideReader:
    """Reads an OpenDocument presentation.

    Args:
        package: The file.
        file: Gets the notes.
    """

    def __init__(self, package: Package, file: SourceFile) -> None:
        self._styles = OpenStyles()
        self._styles.add_all(package.tree(_STYLES))
        self._content = OpenContent(package, self._styles, {})
        self._slides: list[Slide] = []
        try:
            for element in package.elements(_CONTENT, "style", "list-style", "page", "footer-decl"):
                match local(element):
                    case "page" if local(element.getparent()) == "presentation":
                        self._slides.append(self._slide(element, len(self._slides) + 1))
                        element.clear()
                    case "style" | "list-style":
                        self._styles.add(element)
                    case _:
                        pass
        except (UnreadableMedia, RecursionError) as error:
            file.note("damaged", f"only a part of its structure was read: {error}")

    @property
    def count(self) -> int:
        """The number of slides, with the hidden ones."""
        return len(self._slides)

    def slides(self) -> Iterator[Slide]:
        """Yield the slides."""
        yield from self._slides

    def _slide(self, page: Element, number: int) -> Slide:
        slide = Slide(number, is_hidden=style_name(page) in self._styles.hidden_slides)
        slide.items += self._shapes(page)
        slide.items += self._content.comments()
        for each in children(page, "notes"):
            texts = [
                item.text or item.head for item in self._shapes(each) if isinstance(item, Block)
            ]
            if texts:
                slide.items.append(Aside("\n".join(texts), "Notes", {"notes": True}))
        for each in children(page, "annotation"):
            comment = comment_of(each)
            if comment.text:
                slide.items.append(aside(comment, f"slide {number}"))
        return slide

    def _shapes(self, page: Element) -> Iterator[Item]:
        shapes = [each for each in page if local(each) in SHAPES]
        shapes = [each for each in shapes if _role(each) not in _FURNITURE]
        titles = [each for each in shapes if _role(each) == "title"]
        others = [each for each in shapes if _role(each) != "title"]
        for shape in titles:
            yield from (_as_title(item) for item in self._content.shape(shape))
        places = [_place(each) for each in others]
        known = [place for place in places if place is not None]
        if len(known) == len(others):
            others = [others[at] for at in in_reading_order(known)]
        for shape in others:
            yield from self._content.shape(shape)


def _role(shape: Element) -> str:
    """The class of a placeholder; empty for other shapes, and for those that are not filled in."""
    if any_attribute(shape, "placeholder") == "true":
        return "page"
    return any_attribute(shape, "class") or ""


def _as_title(item: Item) -> Item:
    if isinstance(item, Block) and item.kind == "text" and not item.is_attached:
        return Block("heading", one_paragraph(item.text), 1)
    return item


def _place(shape: Element) -> Place | None:
    sides = [_LENGTH.match(any_attribute(shape, name) or "") for name in ("x", "y")]
    sizes = [_LENGTH.match(any_attribute(shape, name) or "") for name in ("width", "height")]
    if child(shape, "g") is not None or not all(sides):
        return None
    x, y, width, height = (
        round(float(each[1]) * _POINTS[each[2]]) if each and each[1].count(".") < 2 else 0
        for each in (*sides, *sizes)
    )
    return x, y, x + width, y + height
