"""Cut a very tall or wide picture into tiles, and join the lines of neighbouring tiles."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import pairwise

import numpy as np
from PIL import Image

from mm_rag.boxes import Box
from mm_rag.extraction.layout import TextLine

_USUAL_ASPECT = 3.0
_MOST_TILES = 24  # 48,000 pixels at full size; longer pictures are shrunk
_STEP = 0.8  # of a tile's length, from one cut to the next
_TILE_MARGIN = 0.06  # of a tile's length: how far it sees beyond its cuts
_MISREAD = 3  # letters by which two readings of the same stretch may differ in length


@dataclass(frozen=True)
class Tile:
    """A part of a long picture. Neighbours overlap; a line belongs to the tile with its middle.

    Attributes:
        box: The part that is read: left, top, right, bottom in pixels of the picture.
        start: Start of its own part along the picture's long side, in pixels.
        end: End of its own part.
        axis: 0 for tiles side by side, 1 for tiles one below the other.
    """

    box: tuple[int, int, int, int]
    start: float = -math.inf
    end: float = math.inf
    axis: int = 1

    def own(self, lines: Iterable[TextLine]) -> Iterator[TextLine]:
        """The lines of its own part, with boxes in pixels of the picture."""
        x, y = self.box[:2]
        for line in lines:
            left, top, right, bottom = line.box
            moved: Box = (left + x, top + y, right + x, bottom + y)
            if self.start <= (moved[self.axis] + moved[self.axis + 2]) / 2 < self.end:
                yield replace(line, box=moved)


def tiles(picture: Image.Image, longest: int) -> list[Tile]:
    """One tile for a picture of a usual shape, up to 24 for a very tall or wide one.

    Args:
        picture: The picture.
        longest: Longest side of a tile, in pixels.
    """
    width, height = picture.size
    short, long = sorted(picture.size)
    if long <= longest or long <= _USUAL_ASPECT * short:
        return [Tile((0, 0, width, height))]
    axis = int(height > width)
    size = max(longest, short, long / _MOST_TILES / _STEP)
    count, margin = math.ceil(long / (_STEP * size)), round(_TILE_MARGIN * size)
    cuts = [_quietest(picture, axis, round(k * long / count), margin) for k in range(1, count)]
    bounds = [0, *cuts, long]
    return [_tile(picture.size, axis, a, b, margin) for a, b in pairwise(bounds)]


def joined(lines: Sequence[TextLine]) -> list[TextLine]:
    """Join lines that continue in the tile to the right, without repeating common letters."""
    found: list[TextLine] = []
    for line in sorted(lines, key=lambda line: line.box[0]):
        at = next((n for n, left in enumerate(found) if _goes_on(left, line)), None)
        if at is None:
            found.append(line)
        else:
            found[at] = _join(found[at], line)
    return found


def _tile(size: tuple[int, int], axis: int, start: int, end: int, margin: int) -> Tile:
    long = size[axis]
    first, last = max(0, start - margin), min(long, end + margin)
    box = (0, first, size[0], last) if axis else (first, 0, last, size[1])
    return Tile(box, -math.inf if start == 0 else start, math.inf if end == long else end, axis)


def _quietest(picture: Image.Image, axis: int, near: int, reach: int) -> int:
    """The row or column just before `near` with the least contrast, so that no line is cut."""
    start = near - reach
    box = (0, start, picture.width, near) if axis else (start, 0, near, picture.height)
    grey = np.asarray(picture.crop(box).convert("L"), np.float32)
    return start + int(np.argmin(grey.std(axis=axis)))


def _goes_on(left: TextLine, right: TextLine) -> bool:
    shared = min(left.box[3], right.box[3]) - max(left.box[1], right.box[1])
    overlaps = left.box[0] < right.box[0] < left.box[2] < right.box[2]
    return overlaps and shared > 0.5 * min(left.height, right.height)


def _join(left: TextLine, right: TextLine) -> TextLine:
    share = (left.box[2] - right.box[0]) / (left.box[2] - left.box[0])
    letters = round(share * len(left.text)) + _MISREAD
    before, tail, head = left.text[:-letters], left.text[-letters:], right.text[:letters]
    same = SequenceMatcher(None, tail, head, autojunk=False).find_longest_match()
    text = f"{left.text} {right.text}"
    if same.size:
        text = before + tail[: same.a] + right.text[same.b :]
    (x0, y0, _, y1), (_, top, x1, bottom) = left.box, right.box
    box = (x0, min(y0, top), x1, max(y1, bottom))
    return TextLine(text, box, min(left.confidence, right.confidence))
