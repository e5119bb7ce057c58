"""What is on a PDF page: as a library reads it (`RawPage`), and in blocks (`PageContent`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, NamedTuple, Protocol, TypeAlias

from PIL import Image

from mm_rag.boxes import Box, WordBox
from mm_rag.extraction import layout

Direction: TypeAlias = tuple[int, int]

BlockKind: TypeAlias = Literal["text", "heading", "caption", "table", "picture"]


class Word(NamedTuple):
    """A word, or what is drawn without a space.

    Attributes:
        text: In logical order, also where it is written from right to left.
        box: Left, top, right, bottom in points.
    """

    text: str
    box: Box


@dataclass(frozen=True)
class Line:
    """Words in one line and one piece, in logical order.

    Attributes:
        words: At least one.
        size: Of the font of most of its letters, in points.
        bold: Whether nearly all of its letters are.
        direction: Where the line runs to, x to the right and y down: (1, 0) is ordinary text, also
            from right to left; (0, -1) runs up the page.
    """

    words: tuple[Word, ...]
    size: float
    bold: bool = False
    direction: Direction = (1, 0)

    @cached_property
    def text(self) -> str:
        """Its words."""
        return " ".join(word.text for word in self.words)

    @cached_property
    def box(self) -> Box:
        """Around all of its words."""
        return around([word.box for word in self.words])


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that is drawn on a page.

    Attributes:
        box: Where, in points.
        dots_per_point: Its own resolution.
    """

    box: Box
    dots_per_point: float


@dataclass(frozen=True, kw_only=True)
class RawPage:
    """A page as the library gives it.

    All boxes are in points, x to the right and y down, from the upper left corner of the visible
    part (crop box) of the page as it is without its rotation.

    Attributes:
        number: Physical, 1-based.
        label: What the document says is printed on it.
        size: Width and height of the visible part, in points, without its rotation.
        rotation: 0, 90, 180 or 270: how far a reader turns it clockwise to show it.
        lines: The text layer and filled form fields, only what lies in the visible part.
        rules: Drawn straight lines, thin rectangles and the four edges of other rectangles, as
            boxes that are (nearly) without width or height.
        outlines: How many paths are drawn.
        pictures: Those that are drawn.
        links: Addresses that it links to, each once.
    """

    number: int
    label: str = ""
    size: tuple[float, float]
    rotation: int = 0
    lines: tuple[Line, ...] = ()
    rules: tuple[Box, ...] = ()
    outlines: int = 0
    pictures: tuple[Picture, ...] = ()
    links: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Placed(layout.TextLine):
    word: Word = field(kw_only=True)


class Canvas(Protocol):
    """What draws a page."""

    def draw(self, rotation: int, clip: Box, zoom: float) -> Image.Image:
        """A part of the page, in RGB.

        Args:
            rotation: How far the page is turned clockwise, whatever its own rotation says.
            clip: What is drawn, in points of the page that was turned.
            zoom: Dots per point.
        """
        ...


def around(boxes: list[Box]) -> Box:
    """The smallest box that holds all of them."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def in_logical_order(words: Sequence[Word]) -> list[Word]:
    """Words that stand side by side, in the order in which they are read."""
    placed = [_Placed(word.text, word.box, word=word) for word in words]
    return [each.word for each in layout.in_logical_order(placed)]


def area(box: Box) -> float:
    """Width times height."""
    return (box[2] - box[0]) * (box[3] - box[1])


def turned(page: RawPage, rotation: int) -> RawPage:
    """The page with everything on it turned clockwise, as if it had been made so.

    Args:
        page: As the library gives it, not turned before.
        rotation: 0, 90, 180 or 270.

    Returns:
        Boxes and size on the turned page; `rotation` says how far it was turned.
    """
    size = page.size if rotation % 180 == 0 else page.size[::-1]

    def line(line: Line) -> Line:
        words = tuple(Word(word.text, turn(word.box, page.size, rotation)) for word in line.words)
        return replace(line, words=words, direction=_turned_direction(line.direction, rotation))

    return replace(
        page,
        size=size,
        rotation=rotation,
        lines=tuple(map(line, page.lines)) if rotation else page.lines,
        rules=tuple(turn(rule, page.size, rotation) for rule in page.rules),
        pictures=tuple(
            replace(picture, box=turn(picture.box, page.size, rotation))
            for picture in page.pictures
        ),
    )


def turn(box: Box, size: tuple[float, float], rotation: int) -> Box:
    """Where a box is after its page of a size was turned clockwise."""
    (x0, y0, x1, y1), (width, height) = box, size
    match rotation:
        case 90:
            return height - y1, x0, height - y0, x1
        case 180:
            return width - x1, height - y1, width - x0, height - y0
        case 270:
            return y0, width - x1, y1, width - x0
        case _:
            return box


def _turned_direction(direction: Direction, rotation: int) -> Direction:
    x, y = direction
    for _ in range(rotation // 90):
        x, y = -y, x
    return x, y


@dataclass(frozen=True, kw_only=True)
class Block:
    """A paragraph, heading, caption, table, or what was read on a picture by OCR.

    Attributes:
        kind: What it is.
        text: Its words; of a table, Markdown.
        level: Of a heading, 1 for the highest of the document that is known so far.
        box: Where it is, as shares of the page's picture.
    """

    kind: BlockKind
    text: str
    level: int = 0
    box: Box


@dataclass(frozen=True)
class Scan:
    """A part of a page that shows text which the text layer lacks.

    Attributes:
        picture: For OCR.
        box: Where it is, as shares of the page's picture.
        after: How many blocks come before it in reading order.
    """

    picture: Image.Image
    box: Box
    after: int = 0


@dataclass(frozen=True, kw_only=True)
class PageContent:
    """What is on a page.

    Attributes:
        number: Physical, 1-based.
        label: What is printed on it ("iv"), where the document says so and it is not the number.
        blocks: The text layer and filled form fields, in reading order.
        words: Those of the text layer, in reading order, with their boxes on `picture`.
        links: Addresses that it links to, each once.
        picture: The page as it looks, upright.
        scans: The whole page, or the regions of it, that are to be read by OCR.
        is_blank: Nothing is on it, neither text nor anything visible.
        is_reduced: It is so large that its picture has fewer than 18 dots per inch.
    """

    number: int
    label: str
    blocks: tuple[Block, ...]
    words: tuple[WordBox, ...]
    links: tuple[str, ...] = ()
    picture: Image.Image
    scans: tuple[Scan, ...] = field(default=())
    is_blank: bool
    is_reduced: bool

    @property
    def text(self) -> str:
        """Its blocks, with an empty line between them."""
        return "\n\n".join(block.text for block in self.blocks)
