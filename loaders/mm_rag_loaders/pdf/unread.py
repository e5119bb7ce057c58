"""Which parts of a page are likely to show text that its text layer lacks."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from mm_rag.boxes import Box
from mm_rag_loaders.pdf.raw import Picture, RawPage, area, around

_FEWEST_LETTERS = 20
# A scan may come with a stamp or a page number as text, a slide of pictures with its title.
_FEWEST_LETTERS_ON_PICTURE = 100
_LARGE_PICTURE = 0.4  # of the page's area
_MANY_OUTLINES = 50  # letters may be drawn as outlines

_MOST_REGIONS = 3
_LEAST_AREA = 0.06  # of the page's area: about 6 x 5 cm of an A4 page
_LEAST_SIDES = (60.0, 120.0)  # points
_SHADES = 16  # of 256
_LEAST_FLAT = 0.3  # of the picture
_TOUCHING = 2.0  # points between the strips in which a picture may be stored


def is_unread(page: RawPage) -> bool:
    """Whether a whole page is to be read: it has hardly any text, but pictures or outlines.

    Args:
        page: Upright, with nothing outside of its visible part.
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


def unread_regions(page: RawPage) -> list[Picture]:
    """Large pictures without text on them, of a page that has a text layer; at most three.

    A picture under a text layer (a scan that was read, the background of a slide) is none of them.
    """
    merged = _merged(page.pictures)
    found = [
        picture
        for picture in merged
        if _is_large(picture.box, page.size) and not _has_text(picture.box, page)
    ]
    return sorted(found, key=lambda picture: -area(picture.box))[:_MOST_REGIONS]


def shows_drawing(picture: Image.Image) -> bool:
    """Whether much of it has one brightness, as paper and screens have and few photos."""
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


def _merged(pictures: Sequence[Picture]) -> list[Picture]:
    """Pictures that touch or overlap as one."""
    found: list[Picture] = []
    for picture in pictures:
        touching = [other for other in found if _touch(other.box, picture.box)]
        found = [other for other in found if other not in touching]
        box = around([picture.box, *(other.box for other in touching)])
        dots = max(picture.dots_per_point, *(other.dots_per_point for other in touching), 0.0)
        found.append(Picture(box, dots))
    return found


def _touch(a: Box, b: Box) -> bool:
    across = min(a[2], b[2]) - max(a[0], b[0])
    down = min(a[3], b[3]) - max(a[1], b[1])
    return across > -_TOUCHING and down > -_TOUCHING


def _letters(text: str) -> int:
    return sum(map(str.isalnum, text))
