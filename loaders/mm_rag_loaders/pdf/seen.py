"""Words of a text layer that a reader of the page sees, each once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from mm_rag.boxes import Box
from mm_rag_loaders.pdf.page import Line, PDFWord, RawPage, area

_CELL = 3.0  # points
_MOST_SHIFT = 0.15  # of a word's height between two copies, which look like a bold or shadowed one
_FEWEST_COPIES = 3
_SHORTEST_TWICE = 4  # letters of a word that consists of two copies
# Levels of 255 by which a word differs from its ground: readers do not see less. White on white has
# 0, as have words under a black bar; the grey of a watermark has 20 and more.
_LEAST_CONTRAST = 8
_CORE = 0.25  # of a word's height is cut off above and below, where other lines reach into its box
_SQUARE = 4  # pixels
_LEAST_PIXELS = 4.0  # height of letters below which a picture may not show them
_LARGE_PICTURE = 0.4  # of the page's area: a scan, whose text layer is invisible


def without_copies(page: RawPage) -> RawPage:
    """The page with words once that were printed twice, slightly shifted."""
    seen: dict[tuple[str, int, int], list[Box]] = {}
    lines: list[Line] = []
    copies = 0
    for line in page.lines:
        words = [word for word in line.words if not _is_copy(word, seen)]
        copies += len(line.words) - len(words)
        if words:
            lines.append(line if len(words) == len(line.words) else replace(line, words=(*words,)))
    if not copies:
        return page
    if copies >= _FEWEST_COPIES:
        lines = [replace(line, words=tuple(map(_halved, line.words))) for line in lines]
    return replace(page, lines=tuple(lines))


def _is_copy(word: PDFWord, seen: dict[tuple[str, int, int], list[Box]]) -> bool:
    """Whether a word has been seen at the same place. Otherwise it is remembered."""
    x0, y0, x1, y1 = word.box
    if not all(abs(edge) < 1e6 for edge in word.box):
        return False
    most = min(_CELL, _MOST_SHIFT * max(0.0, min(y1 - y0, 3 * (x1 - x0))))
    column, row = int(x0 // _CELL), int(y0 // _CELL)
    for near in range(9):
        for other in seen.get((word.text, column + near % 3 - 1, row + near // 3 - 1), ()):
            if max(abs(x0 - other[0]), abs(y0 - other[1])) <= most:
                return True
    places = seen.setdefault((word.text, column, row), [])
    if not places:
        places.append(word.box)
    return False


def _halved(word: PDFWord) -> PDFWord:
    """The word once if it was printed twice in one place: `isis` on a page of such words."""
    half = len(word.text) // 2
    x0, y0, x1, y1 = word.box
    is_narrow = x1 - x0 < 0.3 * len(word.text) * (y1 - y0)
    if len(word.text) < _SHORTEST_TWICE or not is_narrow:
        return word
    return PDFWord(word.text[:half], word.box) if word.text[:half] * 2 == word.text else word


def without_unseen(page: RawPage, picture: Image.Image) -> RawPage:
    """The page without words that have the colour of their ground, or lie under something.

    A large picture may be a scan, whose text layer is invisible: such pages stay the same.

    Args:
        page: A page as it is drawn.
        picture: The drawn page.
    """
    size = page.size
    if sum(area(each.box) for each in page.pictures) > _LARGE_PICTURE * size[0] * size[1]:
        return page
    scale = picture.width / size[0]
    pixels = np.asarray(picture)
    edges = _Edges(picture)
    lines: list[Line] = []
    for line in page.lines:
        if line.size * scale < _LEAST_PIXELS:
            lines.append(line)
            continue
        words = [word for word in line.words if _is_seen(word, pixels, edges, scale)]
        if words:
            lines.append(line if len(words) == len(line.words) else replace(line, words=(*words,)))
    return replace(page, lines=tuple(lines))


class _Edges:
    """Squares of a picture in which the brightness changes, which letters do nearly everywhere."""

    def __init__(self, picture: Image.Image) -> None:
        grey = np.asarray(picture.convert("L"))
        left, right = grey[:, :-1], grey[:, 1:]
        changes = np.maximum(left, right) - np.minimum(left, right) >= _LEAST_CONTRAST
        rows, columns = changes.shape[0] // _SQUARE, changes.shape[1] // _SQUARE
        lines = (
            changes[: rows * _SQUARE, : columns * _SQUARE]
            .reshape(rows, _SQUARE, columns * _SQUARE)
            .any(1)
        )
        found = lines.reshape(rows, columns, _SQUARE).any(2)
        sums = np.pad(found.astype(np.int32), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
        self._sums: list[list[int]] = sums.tolist()
        self._rows, self._columns = rows, columns

    def in_box(self, left: float, top: float, right: float, bottom: float) -> bool:
        """Whether a square that lies wholly in a box, in pixels, has one."""
        x0, x1 = max(0, -int(-left // _SQUARE)), min(self._columns, int(right // _SQUARE))
        y0, y1 = max(0, -int(-top // _SQUARE)), min(self._rows, int(bottom // _SQUARE))
        if x0 >= x1 or y0 >= y1:
            return False
        low, high = self._sums[y0], self._sums[y1]
        return high[x1] - high[x0] - low[x1] + low[x0] > 0


def _is_seen(word: PDFWord, pixels: np.ndarray, edges: _Edges, scale: float) -> bool:
    if not any(map(str.isalnum, word.text)):
        return True
    x0, y0, x1, y1 = word.box
    # Text that runs up or down is cut at its sides instead.
    across, down = (_CORE, 0.0) if y1 - y0 > 2 * (x1 - x0) else (0.0, _CORE)
    left, right = (x0 + across * (x1 - x0)) * scale, (x1 - across * (x1 - x0)) * scale
    top, bottom = (y0 + down * (y1 - y0)) * scale, (y1 - down * (y1 - y0)) * scale
    if edges.in_box(left, top, right, bottom):
        return True
    part = pixels[max(0, int(top)) : int(bottom) + 1, max(0, int(left)) : int(right) + 1]
    if part.size == 0:
        return True
    flat = part.reshape(-1, part.shape[2])
    return bool((flat.max(axis=0).astype(int) - flat.min(axis=0)).max() >= _LEAST_CONTRAST)


def words_in(lines: Sequence[Line]) -> int:
    """Number of words with a letter or digit."""
    return sum(any(map(str.isalnum, word.text)) for line in lines for word in line.words)
