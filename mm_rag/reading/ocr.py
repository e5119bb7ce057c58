"""Reading the text on a picture, offline, with RapidOCR's ONNX models."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from mm_rag.reading.layout import TextLine, rows, text_of
from mm_rag.reading.ocr_engine import MAX_SIDE, MIN_CONFIDENCE, Corners, engine
from mm_rag.reading.tiles import joined, tiles
from mm_rag.words import normalized

# Letters of a screenshot that are 8 pixels high are read at twice the size.
_SMALL_SIDE = 1000
# A quick look for text is taken at this length of the short side, in pixels, and finds some where
# the detector says so of a single pixel. At a third of the cost it found every line of 12 pixels or
# more on frames of 720 lines that is found at full size.
_QUICK_SIDE = 448
_lock = threading.Lock()


@dataclass(frozen=True)
class Reading:
    """What was read on a picture.

    Attributes:
        lines: In reading order; boxes in pixels of the picture.
        text: The lines' text, one row of the picture per line.
    """

    lines: tuple[TextLine, ...] = ()
    text: str = ""


def read_image(picture: Image.Image) -> Reading:
    """Read the text on a picture; a picture without text gives an empty Reading.

    Safe to call from several threads; they take turns.

    Raises:
        MissingExtra: The OCR engine is not installed.
    """
    if min(picture.size) < 8:
        return Reading()
    parts = tiles(picture, MAX_SIDE)
    lines = [line for tile in parts for line in tile.own(_lines(picture.crop(tile.box)))]
    ordered = rows(joined(lines) if len(parts) > 1 else lines)
    return Reading(tuple(line for row in ordered for line in row), text_of(ordered))


def may_show_text(picture: Image.Image) -> bool:
    """Whether it is worth the time to read a picture, such as a frame of a video.

    In doubt it is: only text that is less than 1.5% as high as the picture may be overlooked.

    Raises:
        MissingExtra: The OCR engine is not installed.
    """
    scale = _QUICK_SIDE / min(picture.size)
    if scale * max(picture.size) > MAX_SIDE:  # no frame is so long and narrow
        return True
    # The detector takes sides that are multiples of 32.
    width, height = (max(32, round(side * scale / 32) * 32) for side in picture.size)
    quality = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    pixels = _pixels(picture.convert("RGB").resize((width, height), quality))
    with _lock:
        found = engine()
        return found.surest(pixels) >= found.doubt


def _pixels(picture: Image.Image) -> npt.NDArray[np.uint8]:
    """Blue, green, red, as the engine takes them."""
    return np.ascontiguousarray(np.asarray(picture)[:, :, ::-1])


def _lines(picture: Image.Image) -> list[TextLine]:
    scale = _scale(picture.size)
    pixels = _pixels(_scaled(picture.convert("RGB"), scale))
    with _lock:
        found = engine().read(pixels)
    lines = [_line(box, text, score, scale) for box, text, score in found]
    return [line for line in lines if line.text and line.confidence >= MIN_CONFIDENCE]


def _scale(size: tuple[int, int]) -> float:
    longest = max(size)
    if longest > MAX_SIDE:
        return MAX_SIDE / longest
    return min(2.0, _SMALL_SIDE / longest) if longest < _SMALL_SIDE else 1.0


def _scaled(picture: Image.Image, scale: float) -> Image.Image:
    if scale == 1.0:
        return picture
    width, height = (max(8, round(side * scale)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def _line(box: Corners, text: str, score: float, scale: float) -> TextLine:
    xs, ys = ([point[axis] / scale for point in box] for axis in (0, 1))
    # The models were trained on Chinese: full-width punctuation creeps into Latin text.
    words = " ".join(normalized("NFKC", text).split())
    return TextLine(words, (min(xs), min(ys), max(xs), max(ys)), float(score))
