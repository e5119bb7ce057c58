"""Interface of the PDF libraries (PDFDocument, RawPage), and a page made of it (PageContent)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Literal, NamedTuple, Protocol, Self, TypeAlias

from PIL import Image

from mm_rag.boxes import Box, WordBox
from mm_rag.errors import PasswordNeeded
from mm_rag.extraction import layout

# D:20240131120000+01'00', of which everything after the year may be left out.
_DATE = re.compile(
    r"(?:D:)?(\d{4})(\d\d)?(\d\d)?(?:(\d\d)(\d\d)(\d\d)?)?\s*(?:(Z)|([+-]\d\d)'?(\d\d)?)?"
)

Direction: TypeAlias = tuple[int, int]

BlockKind: TypeAlias = Literal["text", "heading", "caption", "table", "picture"]


class PDFDocument(Protocol):
    """An open PDF, used as a context manager. Its methods may be called from any thread."""

    page_count: int
    is_repaired: bool
    """Whether it was damaged, and was repaired while opening."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """Metadata without empty values.

        `title`, `author`, `subject`, `keywords`, and as ISO 8601 dates `created` and `modified`.
        """
        ...

    def complaint(self) -> str:
        """The first error that the library reported since opening; empty if there was none."""
        ...

    def read_page(self, number: int, max_pixels: int, extras: Extras | None = None) -> PageContent:
        """Read text and picture of a page.

        Args:
            number: Physical page number, 1-based.
            max_pixels: Upper bound of the picture's width times height.
            extras: Comments and form fields of the page.

        Raises:
            UnreadableMedia: The page is damaged; the message is the reason only.
        """
        ...

    def close(self) -> None:
        """Close the file."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def locked_pdf(name: str, password: str | None) -> PasswordNeeded:
    """The error for a locked document, with no password or a wrong one."""
    if password is None:
        return PasswordNeeded(
            f"{name} is locked and wants a password: mm-rag index --password, or "
            "LoadOptions(password=...)."
        )
    return PasswordNeeded(
        f"{name} is locked, and the password given (--password, or LoadOptions(password=...)) "
        "does not open it."
    )


def iso_date(text: str) -> str:
    """`D:20240131120000+01'00'` as `2024-01-31T12:00:00+01:00`; empty for an invalid date."""
    match = _DATE.match(text.strip())
    if match is None:
        return ""
    year, month, day, hour, minute, second, is_utc, hours, minutes = match.groups()
    date = f"{year}-{month or '01'}-{day or '01'}"
    if hour is not None:
        zone = "+00:00" if is_utc else f"{hours}:{minutes or '00'}" if hours else ""
        date += f"T{hour}:{minute}:{second or '00'}{zone}"
    try:
        datetime.fromisoformat(date)
    except ValueError:
        return ""
    return date


class PDFWord(NamedTuple):
    """A word, or other text without a space.

    Attributes:
        text: In logical order, even if it is written from right to left.
        box: Left, top, right, bottom, in points.
    """

    text: str
    box: Box


@dataclass(frozen=True)
class Line:
    """Adjacent words in one line, in logical order.

    Attributes:
        words: At least one.
        size: Font size of most of its letters, in points.
        bold: Whether nearly all of its letters are bold.
        direction: Direction of the line, x to the right and y down: (1, 0) is horizontal text, also
            from right to left; (0, -1) runs up the page.
    """

    words: tuple[PDFWord, ...]
    size: float
    bold: bool = False
    direction: Direction = (1, 0)

    @cached_property
    def text(self) -> str:
        """The words, separated by spaces."""
        return " ".join(word.text for word in self.words)

    @cached_property
    def box(self) -> Box:
        """The box around all words."""
        return around([word.box for word in self.words])


@dataclass(frozen=True, slots=True)
class PageImage:
    """A picture that is drawn on a page.

    Attributes:
        box: Its box, in points.
        dots_per_point: Resolution of the picture.
    """

    box: Box
    dots_per_point: float


@dataclass(frozen=True, kw_only=True)
class RawPage:
    """A page as a library reads it.

    All boxes are in points, x to the right and y down, from the upper left corner of the visible
    part (crop box) of the page before rotation.

    Attributes:
        number: Physical page number, 1-based.
        label: Page label in the document.
        size: Width and height of the visible part before rotation, in points.
        rotation: 0, 90, 180 or 270 degrees by which viewers turn the page clockwise.
        lines: Lines of the text layer and of filled form fields, in the visible part only.
        rules: Drawn straight lines, thin rectangles and the four edges of other rectangles, as
            boxes with (nearly) no width or height.
        outlines: Number of drawn paths.
        pictures: Drawn pictures.
        links: Addresses of links, each once.
        unreadable: Number of letters that the library leaves out of the lines, because they have
            no meaning.
    """

    number: int
    label: str = ""
    size: tuple[float, float]
    rotation: int = 0
    lines: tuple[Line, ...] = ()
    rules: tuple[Box, ...] = ()
    outlines: int = 0
    pictures: tuple[PageImage, ...] = ()
    links: tuple[str, ...] = ()
    unreadable: int = 0


@dataclass(frozen=True, kw_only=True)
class Addition:
    """Words that belong to a page and are not printed on it.

    Attributes:
        text: The words, which say what they are: `Comment by Okafor: ...`.
        is_new: Whether the page's own text lacks these words.
        metadata: Further metadata, such as the author.
    """

    text: str
    is_new: bool = True
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


class Extras(Protocol):
    """Comments and form fields of a page."""

    @property
    def silent(self) -> frozenset[int]:
        """Positions in the page's list of annotations of those whose drawn words are left out."""
        ...

    @property
    def hidden_layers(self) -> frozenset[str]:
        """Names of layers that viewers do not show, whose words are left out."""
        ...

    def with_ticks(self, page: RawPage) -> RawPage:
        """The page with a word for each ticked box."""
        ...

    def additions_to(self, page: RawPage) -> tuple[Addition, ...]:
        """Comments and form fields."""
        ...


@dataclass(frozen=True)
class _Placed(layout.TextLine):
    word: PDFWord = field(kw_only=True)


class Canvas(Protocol):
    """Draws a page."""

    def draw(self, rotation: int, clip: Box, zoom: float) -> Image.Image:
        """Draw a part of the page in RGB.

        Args:
            rotation: Degrees by which the page is turned clockwise, instead of its own rotation.
            clip: The part to draw, in points of the turned page.
            zoom: Pixels per point.
        """
        ...


def around(boxes: list[Box]) -> Box:
    """The smallest box that contains all boxes."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def in_logical_order(words: Sequence[PDFWord]) -> list[PDFWord]:
    """Words of one line in the order in which they are read."""
    placed = [_Placed(word.text, word.box, word=word) for word in words]
    return [each.word for each in layout.in_logical_order(placed)]


def area(box: Box) -> float:
    """The area of a box."""
    return (box[2] - box[0]) * (box[3] - box[1])


def turned(page: RawPage, rotation: int) -> RawPage:
    """The page with everything on it turned clockwise.

    Args:
        page: A page before rotation.
        rotation: 0, 90, 180 or 270 degrees.

    Returns:
        A page with boxes and size after rotation, and the given `rotation`.
    """
    size = page.size if rotation % 180 == 0 else page.size[::-1]

    def line(line: Line) -> Line:
        words = tuple(
            PDFWord(word.text, turn(word.box, page.size, rotation)) for word in line.words
        )
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
    """A box after its page, of the given size, was turned clockwise."""
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
    """A paragraph, heading, caption, table, or text on a picture read by OCR.

    Attributes:
        kind: Kind of block.
        text: Its words; Markdown for a table.
        level: Level of a heading, 1 for the highest so far in the document; 0 otherwise.
        box: Its box, in fractions of the page's width and height.
    """

    kind: BlockKind
    text: str
    level: int = 0
    box: Box


@dataclass(frozen=True)
class Scan:
    """A part of a page whose text is not in the text layer.

    Attributes:
        picture: The part, drawn for OCR.
        box: Its box, in fractions of the page's width and height.
        after: Number of blocks before it in reading order.
    """

    picture: Image.Image
    box: Box
    after: int = 0


@dataclass(frozen=True, kw_only=True)
class PageContent:
    """The content of a page.

    Attributes:
        number: Physical page number, 1-based.
        label: Page label in the document, such as "iv"; empty if it is the number.
        blocks: The text layer and filled form fields, in reading order.
        words: Words of the text layer in reading order, with their boxes on `picture`.
        links: Addresses of links, each once.
        picture: The page, drawn upright.
        scans: Regions to be read by OCR, or the whole page.
        is_blank: Whether there is neither text nor anything else visible.
        is_reduced: Whether the page is so large that its picture has fewer than 18 dots per inch.
        additions: Comments and form fields.
        unseen: Number of words of the text layer that were left out because they cannot be seen.
        gibberish: Share of the letters of the text layer that are not those that are printed.
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
    additions: tuple[Addition, ...] = ()
    unseen: int = 0
    gibberish: float = 0.0

    @property
    def text(self) -> str:
        """The blocks, separated by empty lines."""
        return "\n\n".join(block.text for block in self.blocks)
