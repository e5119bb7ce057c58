"""Blocks, words, pictures and scans of a page, made from what a PDF library reads."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from PIL import Image

from mm_rag._printing import printable
from mm_rag.boxes import Box
from mm_rag.errors import UnreadableMedia
from mm_rag_loaders.pdf.blocks import arrange
from mm_rag_loaders.pdf.context import DocumentContext
from mm_rag_loaders.pdf.gibberish import is_gibberish
from mm_rag_loaders.pdf.page import (
    Canvas,
    Direction,
    Extras,
    Line,
    PageContent,
    PageImage,
    PDFWord,
    RawPage,
    Scan,
    area,
    around,
    turned,
)
from mm_rag_loaders.pdf.running import MarginRow, is_on
from mm_rag_loaders.pdf.seen import without_copies, without_unseen, words_in
from mm_rag_loaders.pdf.tables import split_tables
from mm_rag_loaders.pdf.vertical import COLUMNS_TO_ROWS, in_columns, turned_back

_MAX_ZOOM = 3.0  # 216 dpi: more makes the picture of a small page larger, not sharper
_FEWEST_DOTS_PER_POINT = 0.25
_MAX_SIDE = 8192  # in pixels
_SCAN_ZOOM = 150 / 72
_MAX_SCAN_ZOOM = 300 / 72
_SCAN_PIXELS = 4_000_000
_FEWEST_UPRIGHT_LETTERS = 20
# Smaller text consists of invisible marks of programs. Letters may be larger than their font size.
_SMALLEST, _NARROWEST = 1.5, 0.5  # points: of a font, and of a letter on average
_LEAST_SEEN = 0.3  # of a word's width and height
_WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
# Rotation that makes text of a direction upright.
_UPRIGHT_ROTATION: dict[Direction, int] = {(1, 0): 0, (0, -1): 90, (-1, 0): 180, (0, 1): 270}

_FEWEST_LETTERS = 20
# A scan may have a stamp or a page number as text, a slide with pictures its title.
_FEWEST_LETTERS_ON_PICTURE = 100
_LARGE_PICTURE = 0.4  # of the page's area
_MANY_OUTLINES = 50  # letters may be drawn as outlines

MOST_GIBBERISH = 0.3
"""Share of a page's letters up to which its text layer is kept."""

_MOST_REGIONS = 3
_LEAST_AREA = 0.06  # of the page's area: about 6 x 5 cm of an A4 page
_LEAST_SIDES = (60.0, 120.0)  # points
_SHADES = 16  # of 256
_LEAST_FLAT = 0.3  # of the picture
_TOUCHING = 2.0  # points between the strips in which a picture may be stored


def page_content(
    raw: RawPage,
    canvas: Canvas,
    context: DocumentContext,
    max_pixels: int,
    repeated: Sequence[MarginRow] = (),
) -> PageContent:
    """Make blocks, words and pictures of a page.

    Args:
        raw: The page as a library reads it.
        canvas: Draws the page.
        context: Facts about the document so far; this page is added.
        max_pixels: Upper bound of the picture's width times height.
        repeated: Headers and footers that an earlier page had, too: they are among the words, and
            in no block.

    Raises:
        UnreadableMedia: The page has no size; the message is the reason only.
    """
    if not (raw.size[0] > 0 and raw.size[1] > 0):
        raise UnreadableMedia(f"its size is {raw.size[0]:g} x {raw.size[1]:g} points")
    raw = without_copies(raw)
    visible = _visible(raw)
    columns = in_columns(visible)
    page = turned(columns, raw.rotation) if columns else turned(visible, _rotation(visible))
    zoom = _zoom(page.size, max_pixels, _MAX_ZOOM)
    picture = canvas.draw(page.rotation, (0.0, 0.0, *page.size), zoom)
    page = without_unseen(page, picture)
    unseen = words_in(visible.lines) - words_in(page.lines) if not columns else 0
    unseen += words_in(raw.lines) - words_in(visible.lines)
    gibberish = gibberish_in(raw)
    context.see(page)
    seems_unread = is_unread(page) or gibberish > MOST_GIBBERISH
    # Only checked if there is little text, because it takes time.
    is_plain = seems_unread and _has_one_colour(picture)
    is_scan = seems_unread and not is_plain
    if columns:
        rows = turned(page, COLUMNS_TO_ROWS)
        arranged = turned_back(arrange(rows, (), (), context.fonts, context.hyphens))
    else:
        regions = () if seems_unread else unread_regions(page)
        running = _running(page, repeated, context) if page.rotation == raw.rotation else []
        kept = set(map(id, page.lines)) - set(map(id, running))
        body = replace(page, lines=tuple(line for line in page.lines if id(line) in kept))
        tables, rest = split_tables(body)
        arranged = arrange(rest, tables, regions, context.fonts, context.hyphens)
        arranged.add_words(word for line in running for word in line.words)
    return PageContent(
        number=page.number,
        label="" if page.label == str(page.number) else page.label,
        blocks=tuple(arranged.blocks),
        words=tuple(arranged.words),
        links=page.links,
        picture=picture,
        scans=_whole_scan(page, canvas) if is_scan else _scans(page, canvas, arranged.places),
        is_blank=is_plain and not arranged.blocks,
        is_reduced=picture.width < _FEWEST_DOTS_PER_POINT * page.size[0],
        unseen=unseen,
        gibberish=gibberish,
    )


def with_additions(content: PageContent, raw: RawPage, extras: Extras) -> PageContent:
    """The page with its comments and form fields.

    Args:
        content: The page.
        raw: The page as it was read, for the words that comments mark.
        extras: Comments and form fields.
    """
    # Words that are not those that are printed are not quoted.
    known = raw if content.gibberish <= MOST_GIBBERISH else replace(raw, lines=())
    return replace(content, additions=extras.additions_to(known))


def gibberish_in(raw: RawPage) -> float:
    """Share of a page's letters that are not those that are printed."""
    if is_gibberish(" ".join(line.text for line in raw.lines), raw.unreadable):
        return 1.0
    # Often only one font of several says nothing about its letters.
    texts: defaultdict[tuple[float, bool], list[str]] = defaultdict(list)
    for line in raw.lines:
        texts[round(line.size, 1), line.bold].append(line.text)
    if len(texts) == 1:
        return 0.0
    joined = [" ".join(each) for each in texts.values()]
    total = sum(map(len, joined))
    return sum(len(each) for each in joined if is_gibberish(each)) / total if total else 0.0


def _running(page: RawPage, repeated: Sequence[MarginRow], context: DocumentContext) -> list[Line]:
    """The lines of headers and footers; headings may be repeated, and a page says something."""
    found = [
        line
        for line in page.lines
        if any(is_on(line, row, page.size[1]) for row in repeated)
        and not context.fonts.stands_out([line])
    ]
    return found if len(found) < len(page.lines) else []


def _visible(page: RawPage) -> RawPage:
    """The page without text and pictures that are outside of it, too small, or not printable."""
    lines = [line for line in (_visible_line(line, page.size) for line in page.lines) if line]
    pictures = [replace(picture, box=_cut(picture.box, page.size)) for picture in page.pictures]
    shown = [p for p in pictures if p.box[0] < p.box[2] and p.box[1] < p.box[3]]
    return replace(page, lines=tuple(lines), pictures=tuple(shown))


def _visible_line(line: Line, size: tuple[float, float]) -> Line | None:
    x0, y0, x1, y1 = line.box
    if line.size < _SMALLEST and max(x1 - x0, y1 - y0) < _NARROWEST * len(line.text):
        return None
    is_inside = x0 >= 0 and y0 >= 0 and x1 <= size[0] and y1 <= size[1]
    if is_inside and line.text.isascii() and line.text.isprintable():
        return line
    words = [
        word if word.text.isascii() and word.text.isprintable() else _printable(word)
        for word in line.words
        if _is_visible(word.box, size)
    ]
    words = [word for word in words if word.text]
    return replace(line, words=tuple(words)) if words else None


def _is_visible(box: Box, size: tuple[float, float]) -> bool:
    x0, y0, x1, y1 = _cut(box, size)
    return x1 - x0 > _LEAST_SEEN * (box[2] - box[0]) and y1 - y0 > _LEAST_SEEN * (box[3] - box[1])


def _printable(word: PDFWord) -> PDFWord:
    return PDFWord("".join(printable(word.text).split()), word.box)


def _cut(box: Box, size: tuple[float, float]) -> Box:
    return max(0.0, box[0]), max(0.0, box[1]), min(size[0], box[2]), min(size[1], box[3])


def _rotation(page: RawPage) -> int:
    """The rotation of the page that makes most of its text upright."""
    letters: Counter[Direction] = Counter()
    for line in page.lines:
        letters[line.direction] += len(line.text)
    main = max(letters, key=lambda key: letters[key], default=(1, 0))
    is_sure = main in _UPRIGHT_ROTATION and letters[main] > _FEWEST_UPRIGHT_LETTERS
    return _UPRIGHT_ROTATION[main] if is_sure else page.rotation


def _zoom(size: tuple[float, float], max_pixels: int, most: float) -> float:
    fits = (max_pixels / (size[0] * size[1])) ** 0.5
    return min(fits, most, _MAX_SIDE / max(size))


def _has_one_colour(picture: Image.Image) -> bool:
    extrema = cast("tuple[tuple[int, int], ...]", picture.getextrema())
    return all(low == high for low, high in extrema)


def _whole_scan(page: RawPage, canvas: Canvas) -> tuple[Scan, ...]:
    zoom = _zoom(page.size, _SCAN_PIXELS, _SCAN_ZOOM)
    return (Scan(canvas.draw(page.rotation, (0.0, 0.0, *page.size), zoom), _WHOLE),)


def _scans(
    page: RawPage, canvas: Canvas, places: Sequence[tuple[PageImage, int]]
) -> tuple[Scan, ...]:
    width, height = page.size
    found: list[Scan] = []
    for region, after in places:
        x0, y0, x1, y1 = region.box
        sharpest = min(_MAX_SCAN_ZOOM, max(_SCAN_ZOOM, region.dots_per_point))
        zoom = _zoom((x1 - x0, y1 - y0), _SCAN_PIXELS, sharpest)
        picture = canvas.draw(page.rotation, region.box, zoom)
        if shows_drawing(picture):
            box = (x0 / width, y0 / height, x1 / width, y1 / height)
            found.append(Scan(picture, box, after))
    return tuple(found)


def is_unread(page: RawPage) -> bool:
    """Whether a whole page needs OCR: it has hardly any text, but pictures or drawn outlines.

    Args:
        page: An upright page without invisible parts.
    """
    letters = 0
    for line in page.lines:
        letters += _letters(line.text)
        if letters >= _FEWEST_LETTERS_ON_PICTURE:
            return False
    pictures = sum(area(picture.box) for picture in page.pictures)
    if pictures > _LARGE_PICTURE * page.size[0] * page.size[1]:
        return True
    has_outlines = page.outlines > _MANY_OUTLINES
    return letters < _FEWEST_LETTERS and (pictures > 0 or has_outlines or not page.lines)


def unread_regions(page: RawPage) -> list[PageImage]:
    """Up to three large pictures that need OCR, on a page with a text layer.

    Pictures with text over them are left out: scans with a text layer, backgrounds of slides.
    """
    merged = _merged(page.pictures)
    found = [
        picture
        for picture in merged
        if _is_large(picture.box, page.size) and not _has_text(picture.box, page)
    ]
    return sorted(found, key=lambda picture: -area(picture.box))[:_MOST_REGIONS]


def shows_drawing(picture: Image.Image) -> bool:
    """Whether much of a picture has the same brightness, as on paper and screens, unlike photos."""
    histogram = picture.convert("L").histogram()
    windows = (sum(histogram[at : at + _SHADES]) for at in range(256 - _SHADES + 1))
    return max(windows) > _LEAST_FLAT * picture.width * picture.height


def _is_large(box: Box, size: tuple[float, float]) -> bool:
    short, long = sorted((box[2] - box[0], box[3] - box[1]))
    is_readable = short >= _LEAST_SIDES[0] and long >= _LEAST_SIDES[1]
    return is_readable and area(box) >= _LEAST_AREA * size[0] * size[1]


def _has_text(box: Box, page: RawPage) -> bool:
    letters = 0
    for line in page.lines:
        for word in line.words:
            x, y = (word.box[0] + word.box[2]) / 2, (word.box[1] + word.box[3]) / 2
            if box[0] < x < box[2] and box[1] < y < box[3]:
                letters += _letters(word.text)
    return letters >= _FEWEST_LETTERS


def _merged(pictures: Sequence[PageImage]) -> list[PageImage]:
    """Merge pictures that touch or overlap."""
    found: list[PageImage] = []
    for picture in pictures:
        touching = [other for other in found if _touch(other.box, picture.box)]
        found = [other for other in found if other not in touching]
        box = around([picture.box, *(other.box for other in touching)])
        dots = max(picture.dots_per_point, *(other.dots_per_point for other in touching), 0.0)
        found.append(PageImage(box, dots))
    return found


def _touch(a: Box, b: Box) -> bool:
    across = min(a[2], b[2]) - max(a[0], b[0])
    down = min(a[3], b[3]) - max(a[1], b[1])
    return across > -_TOUCHING and down > -_TOUCHING


def _letters(text: str) -> int:
    return sum(map(str.isalnum, text))
