"""The OCR engine: RapidOCR with its ONNX models and the headless build of OpenCV."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from mm_rag._forking import leak, renew_after_fork
from mm_rag._optional import pip_install, require
from mm_rag.errors import MissingExtra

# Longest side, in pixels, that is read in one piece: an A4 page at 150 dpi has 1754. Memory and
# time of the detector grow with the area; 200 dpi gave up to 2% more words of dense pages.
MAX_SIDE = 2000
MIN_CONFIDENCE = 0.6
# Detector probability from which a pixel may be text: white has 0.50, black 0.37, letters 10 pixels
# high 0.999.
TEXT_PROBABILITY = 0.99
# The recogniser was trained on Chinese and misses spaces ("totalamount"). A column of its output in
# which "no letter" is most probable counts as a space from this probability of a space. On four
# dense English pages at 150 dpi recall of words rose from 0.78-0.92 to 0.89-0.96 and precision from
# 0.91-0.95 to 0.95-0.99; on a sparse slide with all words found before, precision fell from 0.84 to
# 0.77.
_SPACE_PROBABILITY = 0.03

Corners: TypeAlias = list[list[float]]
"""The four corners of a line, each as x and y in pixels."""

_FEATURE = "Reading text on pictures"
_Result = TypeVar("_Result")
_Pixels: TypeAlias = npt.NDArray[np.uint8]
_Inputs: TypeAlias = npt.NDArray[np.float32]

_Floats: TypeAlias = npt.NDArray[np.float32]

# Total width of the lines of a batch, in pixels at the recogniser's height of 48. Six usual lines
# have about 4,000; the lines of wider batches are recognised one by one.
_MOST_WIDTH = 12_000


@dataclass(frozen=True)
class Engine:
    """The OCR engine. Pixels have shape (height, width, 3): blue, green, red.

    Attributes:
        read: Reads the lines on a picture, with their confidence from 0 to 1.
        surest: Highest text probability of any pixel, from 0 to 1; the sides of the picture must be
            multiples of 32.
        recogniser: Reads lines within a time limit.
    """

    read: Callable[[_Pixels], list[tuple[Corners, str, float]]]
    surest: Callable[[_Pixels], float]
    recogniser: BoundedRecogniser


@cache
def engine() -> Engine:
    """The engine of this process, for one thread at a time.

    Raises:
        MissingExtra: It is not installed, or cannot be started.
    """
    module = require("rapidocr", extra="offline", feature=_FEATURE)
    require("onnxruntime", extra="offline", feature=_FEATURE)  # imported by rapidocr when it starts
    try:
        return _start(module)
    except Exception as error:  # models, OpenCV and onnxruntime have errors of their own
        raise MissingExtra(
            f"{_FEATURE} needs a release of 'rapidocr' that mm_rag knows, with its models; the "
            f"installed one could not be started ({error}). "
            f"Install it anew with: {pip_install('--force-reinstall', '--no-deps', 'rapidocr')}"
        ) from error


class _EngineOfParent:
    """Drops the engine in a forked child, which lacks the engine's threads."""

    def after_fork(self) -> None:
        """Forget the engine without closing it."""
        if engine.cache_info().currsize:
            leak(engine())
            engine.cache_clear()


_engine_of_parent = _EngineOfParent()
renew_after_fork(_engine_of_parent)


def _start(module: Any) -> Engine:
    made = module.RapidOCR(
        params={
            "Global.max_side_len": MAX_SIDE,
            "Global.text_score": MIN_CONFIDENCE,
            "Global.log_level": "critical",
            "EngineConfig.onnxruntime.intra_op_num_threads": _threads(),
        }
    )
    # Models are loaded when first used, and the recogniser only if there are lines.
    blank = np.full((48, 48, 3), 255, np.uint8)
    made(blank, use_det=True, use_cls=False, use_rec=False)
    made(blank, use_det=False, use_cls=False, use_rec=True)
    recogniser = BoundedRecogniser(made.text_rec.session, _letters(made.text_rec))
    _see_spaces(made.text_rec)
    made.text_rec.session = recogniser

    def read(pixels: _Pixels) -> list[tuple[Corners, str, float]]:
        # The settings of the last call would be used otherwise.
        found = made(pixels, use_det=True, use_cls=True, use_rec=True)
        if found.boxes is None or found.txts is None:
            return []
        return list(zip(found.boxes.tolist(), found.txts, found.scores, strict=True))

    look = _surest(made.text_det, made.text_det.session)
    return Engine(lambda pixels: _run(read, pixels), lambda pixels: _run(look, pixels), recogniser)


def _run(step: Callable[[_Pixels], _Result], pixels: _Pixels) -> _Result:
    """Run a step of the engine. Errors become MissingExtra: the file is kept without the words."""
    try:
        return step(pixels)
    except MemoryError:
        raise
    except Exception as error:  # OpenCV and onnxruntime have errors of their own
        height, width = pixels.shape[:2]
        raise MissingExtra(
            f"{_FEATURE} with 'rapidocr' failed on one of {width} x {height} pixels: "
            f"{type(error).__name__}: {error}"
        ) from error


def _threads() -> int:
    """Number of threads: OMP_NUM_THREADS, which worker processes set, or that of processors."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdecimal() and given != "0" else min(8, os.cpu_count() or 1)


def _surest(detector: Any, run: Callable[[_Inputs], _Inputs]) -> Callable[[_Pixels], float]:
    given = (detector.mean, detector.std)  # one number per colour, or None
    mean, std = (np.array(value or [0.5] * 3, np.float32) for value in given)

    def surest(pixels: _Pixels) -> float:
        levels = (pixels / np.float32(255) - mean) / std
        return float(run(levels.astype(np.float32).transpose(2, 0, 1)[None]).max())

    return surest


def _letters(recogniser: Any) -> int:
    return len(recogniser.postprocess_op.character)


def _see_spaces(recogniser: Any) -> None:
    """Make the recogniser's decoder accept spaces of low probability."""
    decode = recogniser.postprocess_op
    # The space is the last character; another one of the model may look like it.
    space = len(decode.character) - 1

    def with_spaces(preds: npt.NDArray[np.float32], *args: Any, **options: Any) -> Any:
        unsure = (preds.argmax(axis=2) == 0) & (preds[:, :, space] >= _SPACE_PROBABILITY)
        preds[:, :, space] = np.where(unsure, preds[:, :, 0], preds[:, :, space])
        preds[:, :, 0] = np.where(unsure, 0.0, preds[:, :, 0])
        return decode(preds, *args, **options)

    recogniser.postprocess_op = with_spaces


class BoundedRecogniser:
    """The model that recognises lines, with limits on time and memory.

    Args:
        run: The model: from lines of shape (lines, 3, height, width) to probabilities of letters of
            shape (lines, places, letters), where the first letter means "no letter".
        letters: Number of letters of the model.

    Attributes:
        deadline: Time, by `time.monotonic`, after which lines come out empty.
        is_late: Whether lines were left out since the deadline was set.
    """

    def __init__(self, run: Callable[[_Floats], _Floats], letters: int) -> None:
        self._run, self._letters = run, letters
        self.deadline = math.inf
        self.is_late = False

    def until(self, deadline: float) -> None:
        """Set a new deadline."""
        self.deadline, self.is_late = deadline, False

    def __call__(self, lines: _Floats) -> _Floats:
        """The letters of a batch of lines; empty lines after the deadline."""
        if time.monotonic() > self.deadline:
            self.is_late = True
            blank = np.zeros((len(lines), 1, self._letters), np.float32)
            blank[:, :, 0] = 1.0
            return blank
        if len(lines) * lines.shape[3] <= _MOST_WIDTH:
            return self._run(lines)
        return np.concatenate([self._run(lines[at : at + 1]) for at in range(len(lines))])
