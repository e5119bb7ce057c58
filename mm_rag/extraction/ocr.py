"""OCR: the text on a picture as lines in reading order and as words with boxes. Runs offline."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops

from mm_rag._forking import ForkableLock
from mm_rag.boxes import Box, WordBox
from mm_rag.extraction.layout import TextLine, rows, text_of
from mm_rag.extraction.ocr_engine import MAX_SIDE, MIN_CONFIDENCE, TEXT_PROBABILITY, Corners, engine
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.words import is_ideograph, normalized, pieces

# Smaller pictures are enlarged up to twice: letters of a screenshot may be 8 pixels high.
_SMALL_SIDE = 1000
# Short side, in pixels, at which `may_show_text` runs the detector. At a third of the cost it found
# every line of 12 pixels or more on frames of 720 lines that is found at full size.
_QUICK_SIDE = 448
# The engine enlarges the short side of a picture to this, whatever the long side becomes. It pads
# pictures wider than 8 times their height, but no tall ones.
_DETECTED_SIDE = 736
_MOST_TALL, _MOST_WIDE = 3.0, 8.0
# Memory of the detector per pixel: 3.3 GB were measured for 17 million pixels.
_BYTES_A_PIXEL = 190
# The engine's boxes are larger than the letters, on each side by this share of a line's height.
# They are shrunk, otherwise lines of two paragraphs would touch.
_BOX_MARGIN = 0.1
# Blank margins: levels by which noise may differ from the colour of a corner, and pixels of margin
# that are kept.
_NOISE, _ROOM = 8, 16
_lock = ForkableLock()

logger = logging.getLogger(__name__)

_USUAL_ASPECT = 3.0
_MOST_TILES = 24  # 48,000 pixels at full size; longer pictures are shrunk
_STEP = 0.8  # of a tile's length, from one cut to the next
_TILE_MARGIN = 0.06  # of a tile's length: how far it sees beyond its cuts
_MISREAD = 3  # letters by which two readings of the same stretch may differ in length

_Size: TypeAlias = tuple[int, int]

# The engine turns lines that are this much taller than wide, and reads them from top to bottom.
_UPRIGHT_ASPECT = 1.5

# Widths of letters in Helvetica, in em. Other text fonts are similar.
_KNOWN = (
    dict.fromkeys("iljI.,;:'|!` tf", 0.28)
    | dict.fromkeys('r()[]{}-/\\"', 0.34)
    | dict.fromkeys("cksvxyzJ", 0.5)
    | dict.fromkeys("mwMW@%\u2014\u2026", 0.86)
)
_EM, _CAPITAL, _OTHER = 1.0, 0.68, 0.56


@dataclass(frozen=True)
class OCRResult:
    """The text on a picture.

    Attributes:
        lines: Lines in reading order, with boxes in pixels of the picture.
        text: The text, with one line for each row of the picture.
    """

    lines: tuple[TextLine, ...] = ()
    text: str = ""


def read_image(picture: Image.Image, policy: MediaPolicy = DEFAULT_POLICY) -> OCRResult:
    """Read the text on a picture; the result is empty for a picture without text.

    Safe to call from several threads, which take turns.

    Args:
        picture: A picture of any size and shape.
        policy: Text that is not read within its `max_load_seconds` is left out, with a warning. The
            picture is shrunk if the engine would need more than half of its `max_memory`.

    Raises:
        MissingExtra: The OCR engine is not installed, or fails.
    """
    if min(picture.size) < 8:
        return OCRResult()
    left = policy.max_load_seconds
    most = max(_DETECTED_SIDE**2, policy.max_memory // 2 // _BYTES_A_PIXEL)
    used = _without_margins(picture)
    seen = picture.crop(used.box)
    parts = tiles(seen, MAX_SIDE)
    lines: list[TextLine] = []
    for number, tile in enumerate(parts, start=1):
        found, taken, is_late = _lines(seen.crop(tile.box), most, left)
        lines += tile.own(found)
        left -= taken
        if is_late or (left <= 0 and number < len(parts)):
            logger.warning(
                "Left out some of the text on a picture of %d x %d pixels: reading it takes longer "
                "than %g s (MediaPolicy.max_load_seconds).",
                *(*picture.size, policy.max_load_seconds),
            )
            break
    found = used.own(joined(lines) if len(parts) > 1 else lines)
    ordered = rows([replace(line, box=_clipped(line.box, used.box)) for line in found])
    return OCRResult(tuple(line for row in ordered for line in row), text_of(ordered))


def may_show_text(picture: Image.Image) -> bool:
    """Whether a picture, such as a frame of a video, may contain text.

    Only text smaller than 1.5% of the picture's height may be overlooked.

    Raises:
        MissingExtra: The OCR engine is not installed, or fails.
    """
    scale = _QUICK_SIDE / min(picture.size)
    if scale * max(picture.size) > MAX_SIDE:  # very long and narrow
        return True
    # The detector takes sides that are multiples of 32.
    width, height = (max(32, round(side * scale / 32) * 32) for side in picture.size)
    quality = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    pixels = _pixels(picture.convert("RGB").resize((width, height), quality))
    with _lock:
        return engine().surest(pixels) >= TEXT_PROBABILITY


def _without_margins(picture: Image.Image) -> Tile:
    """The part of a large picture within blank margins; all of a small or blank picture.

    The detector overlooks few words on a large sheet: it found none of two lines of 36 pixels on
    1900 x 1900. The part is never so small that it would be enlarged.
    """
    colours = picture.convert("RGB")
    corner = Image.new("RGB", (1, 1), colours.getpixel((0, 0)))  # pyright: ignore[reportArgumentType]
    differs = ImageChops.difference(colours, corner.resize(picture.size))
    box = differs.point(([0] * _NOISE + [255] * (256 - _NOISE)) * 3).getbbox()
    if box is None or max(picture.size) < _SMALL_SIDE:
        return Tile((0, 0, *picture.size))
    width, height = picture.size
    least = (_SMALL_SIDE, 0) if width >= height else (0, _SMALL_SIDE)
    left, right = _stretch(box[0], box[2], width, least[0])
    top, bottom = _stretch(box[1], box[3], height, least[1])
    return Tile((left, top, right, bottom))


def _clipped(box: Box, part: tuple[int, int, int, int]) -> Box:
    """The box, clipped to a part of the picture."""
    left, top, right, bottom = part
    return (max(box[0], left), max(box[1], top), min(box[2], right), min(box[3], bottom))


def _stretch(start: int, end: int, side: int, least: int) -> tuple[int, int]:
    """An interval of a side, extended by a margin and to at least `least` pixels."""
    start, end = max(0, start - _ROOM), min(side, end + _ROOM)
    end = min(side, max(end, start + least))
    return max(0, min(start, end - least)), end


def _pixels(picture: Image.Image) -> npt.NDArray[np.uint8]:
    """The pixels as the engine expects them: blue, green, red."""
    return np.ascontiguousarray(np.asarray(picture)[:, :, ::-1])


def _lines(
    picture: Image.Image, most_pixels: int, seconds: float
) -> tuple[list[TextLine], float, bool]:
    """The lines on a picture, the seconds used, and whether time ran out before the last line."""
    scale = _scale(picture.size, most_pixels)
    pixels = _pixels(_padded(_scaled(picture.convert("RGB"), scale), most_pixels))
    with _lock:
        reader = engine()
        # Starting the engine and waiting for other threads do not count.
        start = time.monotonic()
        reader.recogniser.until(start + seconds)
        found = reader.read(pixels)
        taken, is_late = time.monotonic() - start, reader.recogniser.is_late
    lines = [_line(box, text, score, scale) for box, text, score in found]
    read = [line for line in lines if line.text and line.confidence >= MIN_CONFIDENCE]
    return read, taken, is_late


def _scale(size: tuple[int, int], most_pixels: int) -> float:
    longest = max(size)
    if longest > MAX_SIDE:
        scale = MAX_SIDE / longest
    else:
        scale = min(2.0, _SMALL_SIDE / longest) if longest < _SMALL_SIDE else 1.0
    short, area = min(size) * scale, size[0] * size[1] * scale**2
    if area <= most_pixels or short <= _DETECTED_SIDE:
        return scale
    return scale * max(math.sqrt(most_pixels / area), _DETECTED_SIDE / short)


def _padded(picture: Image.Image, most_pixels: int) -> Image.Image:
    """A picture padded so that it is not too narrow: the engine would enlarge it beyond bounds."""
    width, height = picture.size
    most = most_pixels / _DETECTED_SIDE**2
    sheet = (
        max(width, math.ceil(height / min(_MOST_TALL, most))),
        max(height, math.ceil(width / min(_MOST_WIDE, most))),
    )
    # The engine itself pads wider pictures.
    if sheet == (width, height) or (width > height and most >= _MOST_WIDE):
        return picture
    edge = (width - 1, 0, width, height) if height > width else (0, height - 1, width, height)
    colour = picture.crop(edge).resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    padded = Image.new("RGB", sheet, colour)  # pyright: ignore[reportArgumentType]
    padded.paste(picture)
    return padded


def _scaled(picture: Image.Image, scale: float) -> Image.Image:
    if scale == 1.0:
        return picture
    width, height = (max(8, round(side * scale)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def _line(box: Corners, text: str, score: float, scale: float) -> TextLine:
    xs, ys = ([point[axis] / scale for point in box] for axis in (0, 1))
    # The models were trained on Chinese and sometimes read Latin punctuation as full-width.
    words = " ".join(normalized("NFKC", text).split())
    left, top, right, bottom = min(xs), min(ys), max(xs), max(ys)
    margin = _BOX_MARGIN * min(right - left, bottom - top)
    inner = (left + margin, top + margin, right - margin, bottom - margin)
    return TextLine(words, inner, float(score))


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


def word_boxes(result: OCRResult, size: tuple[int, int]) -> list[WordBox]:
    """The words of an OCR result with their boxes, in its order. Every ideograph is a word.

    The engine finds lines. The box of a line is divided among its words by the usual widths of
    letters, which is correct to about one letter.

    Args:
        result: The result of `read_image`.
        size: Width and height of its picture, in pixels.
    """
    return [word for line in result.lines for word in _words(line, size)]


def _words(line: TextLine, size: _Size) -> Iterator[WordBox]:
    edges = [0.0]
    for letter in line.text:
        edges.append(edges[-1] + _width(letter))
    for start, end in pieces(line.text):
        span = (edges[start] / edges[-1], edges[end] / edges[-1])
        yield WordBox(line.text[start:end], _share(_part(line, span), size))


def _width(letter: str) -> float:
    if letter in _KNOWN:
        return _KNOWN[letter]
    if is_ideograph(letter):
        return _EM
    return _CAPITAL if letter.isupper() else _OTHER


def _part(line: TextLine, span: tuple[float, float]) -> Box:
    left, top, right, bottom = line.box
    start, end = span
    width, height = right - left, bottom - top
    if height > _UPRIGHT_ASPECT * width and len(line.text) > 1:
        return (left, top + start * height, right, top + end * height)
    return (left + start * width, top, left + end * width, bottom)


def _share(box: Box, size: _Size) -> Box:
    left, top, right, bottom = (
        min(1.0, max(0.0, edge / size[axis % 2])) for axis, edge in enumerate(box)
    )
    return (left, top, right, bottom)
