"""OCR: the text on a picture as lines in reading order and as words with boxes. Runs offline."""

from __future__ import annotations

import logging
import math
import time
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops

from mm_rag._forking import ForkableLock
from mm_rag.boxes import Box, WordBox
from mm_rag.extraction import tesseract
from mm_rag.extraction.layout import TextLine, is_right_to_left, rows, text_of
from mm_rag.extraction.line_readers import ReadText, read_by_script, turn_of
from mm_rag.extraction.ocr_engine import MAX_SIDE, TEXT_PROBABILITY, Turn, engine
from mm_rag.extraction.tiles import Tile, joined, tiles
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.words import is_ideograph, pieces

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

# Pillow turns against the clock.
_TRANSPOSE = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}
_BACK: dict[Turn, Turn] = {0: 0, 90: 270, 180: 180, 270: 90}
# A turned picture should give at least this share of the letters that it gave before.
_AS_MUCH = 0.8


@dataclass(frozen=True)
class UnreadScript:
    """A script on a picture that could not be read, or not in full.

    Attributes:
        name: Name of the script; `Vietnamese` for Latin letters with its accents.
        is_partly_read: Whether its words were read without some of their accents.
    """

    name: str
    is_partly_read: bool = False

    def __str__(self) -> str:
        """Tell the loss, and the program that is needed."""
        what = (
            f"{self.name} text was read without some of its accents"
            if self.is_partly_read
            else f"text in {self.name} script was left out"
        )
        return f"{what}: reading it needs {tesseract.needed_for(self.name)}"


@dataclass(frozen=True)
class OCRResult:
    """The text on a picture.

    Attributes:
        lines: Lines in reading order, with boxes in pixels of the picture.
        text: The text, with one line for each row of the picture.
        turn: Degrees by which the text is turned clockwise: 0, 90, 180 or 270.
        unread: Scripts that no installed program reads.
    """

    lines: tuple[TextLine, ...] = ()
    text: str = ""
    turn: Turn = 0
    unread: tuple[UnreadScript, ...] = ()


@dataclass
class _Found:
    """The text found on a picture, and the time left for the rest of it."""

    left: float
    lines: list[TextLine] = field(default_factory=list[TextLine])
    unread: set[UnreadScript] = field(default_factory=set[UnreadScript])
    turns: dict[Turn, float] = field(default_factory=dict[Turn, float])
    is_late: bool = False

    @property
    def letters(self) -> int:
        return sum(len(line.text) for line in self.lines)


def read_image(picture: Image.Image, policy: MediaPolicy = DEFAULT_POLICY) -> OCRResult:
    """Read the text on a picture; the result is empty for a picture without text.

    The script of each line is found out: Latin, Chinese and Japanese are read by the OCR engine,
    others by Tesseract if it is installed with their data. A picture that is upside down or on its
    side is turned.

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
    found = _read(picture, policy, policy.max_load_seconds)
    turn = turn_of(found.turns)
    if turn and found.left > 0:
        upright = picture.transpose(_TRANSPOSE[turn])
        again = _read(upright, policy, found.left)
        if again.letters >= _AS_MUCH * found.letters:
            return _result(again, upright.size, turn)
    return _result(found, picture.size, 0)


def _result(found: _Found, size: _Size, turn: Turn) -> OCRResult:
    """The lines in reading order, with boxes on the picture before it was turned upright."""
    ordered = rows(found.lines)
    lines = [replace(line, box=_turned(line.box, size, turn)) for row in ordered for line in row]
    unread = sorted(found.unread, key=lambda one: one.name)
    return OCRResult(tuple(lines), text_of(ordered), turn, tuple(unread))


def _read(picture: Image.Image, policy: MediaPolicy, seconds: float) -> _Found:
    """Read a picture as it stands."""
    most = max(_DETECTED_SIDE**2, policy.max_memory // 2 // _BYTES_A_PIXEL)
    used = _without_margins(picture)
    seen = picture.crop(used.box)
    parts = tiles(seen, MAX_SIDE)
    found = _Found(seconds)
    lines: list[TextLine] = []
    for number, tile in enumerate(parts, start=1):
        lines += tile.own(_lines(seen.crop(tile.box), most, found))
        if found.is_late or (found.left <= 0 and number < len(parts)):
            logger.warning(
                "Left out some of the text on a picture of %d x %d pixels: reading it takes longer "
                "than %g s (MediaPolicy.max_load_seconds).",
                *(*picture.size, policy.max_load_seconds),
            )
            break
    whole = used.own(joined(lines) if len(parts) > 1 else lines)
    found.lines = [replace(line, box=_clipped(line.box, used.box)) for line in whole]
    return found


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


def _lines(picture: Image.Image, most_pixels: int, found: _Found) -> list[TextLine]:
    """The lines on a picture. What else was found goes to `found`."""
    scale = _scale(picture.size, most_pixels)
    pixels = _pixels(_padded(_scaled(picture.convert("RGB"), scale), most_pixels))
    with _lock:
        reader = engine()
        # Starting the engine and waiting for other threads do not count.
        start = time.monotonic()
        reader.recogniser.until(start + found.left)
        lines = reader.read(pixels)
        found.is_late = reader.recogniser.is_late
    text = read_by_script(lines, found.left - (time.monotonic() - start))
    found.left -= time.monotonic() - start
    for turn, length in text.turns.items():
        found.turns[turn] = found.turns.get(turn, 0.0) + length
    found.unread |= {UnreadScript(name) for name in text.unread}
    found.unread |= {UnreadScript(name, is_partly_read=True) for name in text.partly}
    return [_line(line, scale) for line in text.lines]


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


def _line(line: ReadText, scale: float) -> TextLine:
    xs, ys = ([point[axis] / scale for point in line.corners] for axis in (0, 1))
    left, top, right, bottom = min(xs), min(ys), max(xs), max(ys)
    margin = _BOX_MARGIN * min(right - left, bottom - top)
    inner = (left + margin, top + margin, right - margin, bottom - margin)
    return TextLine(line.text, inner, line.confidence)


def word_boxes(result: OCRResult, size: tuple[int, int]) -> list[WordBox]:
    """The words of an OCR result with their boxes, in its order. Every ideograph is a word.

    The engine finds lines. The box of a line is divided among its words by the usual widths of
    letters, which is correct to about one letter.

    Args:
        result: The result of `read_image`.
        size: Width and height of its picture, in pixels.
    """
    return [word for line in result.lines for word in _words(line, size, result.turn)]


def _words(line: TextLine, size: _Size, turn: Turn) -> Iterator[WordBox]:
    edges = [0.0]
    for letter in line.text:
        edges.append(edges[-1] + _width(letter))
    back: Turn = _BACK[turn]
    upright = size if turn in (0, 180) else (size[1], size[0])
    box = _turned(line.box, size, back)
    for start, end in pieces(line.text):
        span = (edges[start] / edges[-1], edges[end] / edges[-1])
        part = _part(replace(line, box=box), span)
        yield WordBox(line.text[start:end], _share(_turned(part, upright, turn), size))


def _turned(box: Box, size: _Size, turn: Turn) -> Box:
    """A box on an upright picture of some size, after that was turned clockwise."""
    left, top, right, bottom = box
    width, height = size
    match turn:
        case 0:
            return box
        case 90:
            return (height - bottom, left, height - top, right)
        case 180:
            return (width - right, height - bottom, width - left, height - top)
        case 270:
            return (top, width - right, bottom, width - left)


def _width(letter: str) -> float:
    if letter in _KNOWN:
        return _KNOWN[letter]
    if is_ideograph(letter):
        return _EM
    if unicodedata.category(letter) in ("Mn", "Cf"):
        return 0.0
    return _CAPITAL if letter.isupper() else _OTHER


def _part(line: TextLine, span: tuple[float, float]) -> Box:
    left, top, right, bottom = line.box
    start, end = span
    width, height = right - left, bottom - top
    if height > _UPRIGHT_ASPECT * width and len(line.text) > 1:
        return (left, top + start * height, right, top + end * height)
    if is_right_to_left(line.text):
        start, end = 1 - end, 1 - start
    return (left + start * width, top, left + end * width, bottom)


def _share(box: Box, size: _Size) -> Box:
    left, top, right, bottom = (
        min(1.0, max(0.0, edge / size[axis % 2])) for axis, edge in enumerate(box)
    )
    return (left, top, right, bottom)
