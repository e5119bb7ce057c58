"""Reading the text on a picture, offline, with RapidOCR's ONNX models."""

from __future__ import annotations

import os
import sys
import threading
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from mm_rag._optional import require
from mm_rag.errors import MissingExtra
from mm_rag.reading.layout import TextLine, rows, text_of
from mm_rag.reading.tiles import joined, tiles

# Longest side in pixels that is looked at in one piece: an A4 page at 150 dpi has 1754. Memory and
# the time for finding the lines grow with the area; 200 dpi read up to 2% more of the words of
# dense pages.
_MAX_SIDE = 2000
# Letters of a screenshot that are 8 pixels high are read at twice the size.
_SMALL_SIDE = 1000
_MIN_CONFIDENCE = 0.6
# The recogniser was trained on Chinese and is shy of spaces ("totalamount"). A column of its output
# where nothing is more probable than this space is a space. On four dense English pages at 150 dpi
# recall of words rose from 0.78-0.92 to 0.89-0.96 and precision from 0.91-0.95 to 0.95-0.99; on a
# sparse slide, all of whose words were read before, precision fell from 0.84 to 0.77.
_SPACE_PROBABILITY = 0.03

_Box: TypeAlias = list[list[float]]
_Engine: TypeAlias = Callable[[npt.NDArray[np.uint8]], list[tuple[_Box, str, float]]]
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
    parts = tiles(picture, _MAX_SIDE)
    lines = [line for tile in parts for line in tile.own(_lines(picture.crop(tile.box)))]
    ordered = rows(joined(lines) if len(parts) > 1 else lines)
    return Reading(tuple(line for row in ordered for line in row), text_of(ordered))


def _lines(picture: Image.Image) -> list[TextLine]:
    scale = _scale(picture.size)
    pixels = np.asarray(_scaled(picture.convert("RGB"), scale))
    with _lock:
        found = _engine()(np.ascontiguousarray(pixels[:, :, ::-1]))
    lines = [_line(box, text, score, scale) for box, text, score in found]
    return [line for line in lines if line.text and line.confidence >= _MIN_CONFIDENCE]


def _package() -> str:
    # The package with the models inside has no release for newer Pythons; its successor has.
    return "rapidocr_onnxruntime" if sys.version_info < (3, 13) else "rapidocr"


def _scale(size: tuple[int, int]) -> float:
    longest = max(size)
    if longest > _MAX_SIDE:
        return _MAX_SIDE / longest
    return min(2.0, _SMALL_SIDE / longest) if longest < _SMALL_SIDE else 1.0


def _scaled(picture: Image.Image, scale: float) -> Image.Image:
    if scale == 1.0:
        return picture
    width, height = (max(8, round(side * scale)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def _line(box: _Box, text: str, score: float, scale: float) -> TextLine:
    xs, ys = ([point[axis] / scale for point in box] for axis in (0, 1))
    # The models were trained on Chinese: full-width punctuation creeps into Latin text.
    words = " ".join(unicodedata.normalize("NFKC", text).split())
    return TextLine(words, (min(xs), min(ys), max(xs), max(ys)), float(score))


@cache
def _engine() -> _Engine:
    package = _package()
    module = require(package, extra="offline", feature="Reading text on pictures")
    threads = max(1, min(8, os.cpu_count() or 1))
    make = _engine_1 if package == "rapidocr_onnxruntime" else _engine_3
    try:
        return make(module, threads)
    except (AttributeError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise MissingExtra(
            f"Reading text on pictures needs a release of '{package}' that mm_rag knows, with its "
            f"models; the installed one could not be started ({error}). "
            "Install it with: pip install --upgrade 'mm-rag[offline]'"
        ) from error


def _engine_1(module: Any, threads: int) -> _Engine:
    engine = module.RapidOCR(
        intra_op_num_threads=threads, max_side_len=_MAX_SIDE, text_score=_MIN_CONFIDENCE
    )
    _see_spaces(engine.text_rec)

    def read(pixels: npt.NDArray[np.uint8]) -> list[tuple[_Box, str, float]]:
        found, _ = engine(pixels)
        return [(box, text, score) for box, text, score in found or []]

    return read


def _engine_3(module: Any, threads: int) -> _Engine:
    engine = module.RapidOCR(
        params={
            "Global.max_side_len": _MAX_SIDE,
            "Global.text_score": _MIN_CONFIDENCE,
            "Global.log_level": "critical",
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
        }
    )
    # It loads each model when it is first needed, and the recogniser only where there are lines.
    engine(np.full((48, 48, 3), 255, np.uint8), use_det=False, use_cls=False, use_rec=True)
    _see_spaces(engine.text_rec)

    def read(pixels: npt.NDArray[np.uint8]) -> list[tuple[_Box, str, float]]:
        # It keeps the settings of the call before.
        found = engine(pixels, use_det=True, use_cls=True, use_rec=True)
        if found.boxes is None or found.txts is None:
            return []
        return list(zip(found.boxes.tolist(), found.txts, found.scores, strict=True))

    return read


def _see_spaces(recogniser: Any) -> None:
    """Let the recogniser's decoder see the spaces that it is not sure of."""
    decode = recogniser.postprocess_op
    # The space is appended to the characters of the model; one of those may look like it.
    space = len(decode.character) - 1

    def with_spaces(preds: npt.NDArray[np.float32], *args: Any, **options: Any) -> Any:
        unsure = (preds.argmax(axis=2) == 0) & (preds[:, :, space] >= _SPACE_PROBABILITY)
        preds[:, :, space] = np.where(unsure, preds[:, :, 0], preds[:, :, space])
        preds[:, :, 0] = np.where(unsure, 0.0, preds[:, :, 0])
        return decode(preds, *args, **options)

    recogniser.postprocess_op = with_spaces
