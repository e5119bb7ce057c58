"""The OCR engine: RapidOCR with its ONNX models and the headless build of OpenCV."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from mm_rag._forking import leak, renew_after_fork
from mm_rag._optional import pip_install, require
from mm_rag._threads import model_threads
from mm_rag.errors import MissingExtra
from mm_rag.extraction.scripts import TURNED, ScriptModel

# Longest side, in pixels, that is read in one piece: an A4 page at 150 dpi has 1754. Memory and
# time of the detector grow with the area; 200 dpi gave up to 2% more words of dense pages.
MAX_SIDE = 2000
# Detector probability from which a pixel may be text: white has 0.50, black 0.37, letters 10 pixels
# high 0.999.
TEXT_PROBABILITY = 0.99
# The recogniser misses a few spaces ("totalamount"). A column of its output in which "no letter" is
# most probable counts as a space from this probability of a space. PP-OCRv4 needed 0.03, at which
# words in typewriter type come apart now ("a lias"). F1 of the words of 11 pages and screens on
# which 0.4 was not chosen: 0.9776 without spaces made certain, 0.9782 at 0.03, 0.9785 at 0.4.
_SPACE_PROBABILITY = 0.4
# Lines this probably upside down are read the other way too.
_MAYBE_TURNED = 0.3
_UPRIGHT_ASPECT = 1.5  # lines that are this much taller than wide are turned by the engine
# Lines are recognised one by one, at their own width, but at least this, in heights. Next to
# batches of 6 that are at least 6.7 heights wide, as in RapidOCR, the model gets 0.78 [0.68, 0.89]
# of the columns on 11 pictures; on 8 others, by which this was chosen, 0.70 [0.61, 0.75] of the CPU
# time. Words right: F1 +0.0007 [0, 0.0022] on those 8, equal on 3 that it was not chosen on.
_SHORTEST = 3.0
# Letters for each height of a line: Latin has about 2, Chinese 1.
_DENSE, _LEGIBLE, _GREEK = 0.8, 0.9, 0.25
_WORTH = 0.6

Corners: TypeAlias = list[list[float]]
"""The four corners of a line, each as x and y in pixels."""
Turn: TypeAlias = Literal[0, 90, 180, 270]
"""Degrees clockwise."""

_FEATURE = "Reading text on pictures"
_Result = TypeVar("_Result")
Pixels: TypeAlias = npt.NDArray[np.uint8]
_Floats: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FoundLine:
    """A line that the engine found on a picture.

    Attributes:
        corners: In pixels of the picture.
        text: The engine's reading; rubbish if it does not know the script.
        confidence: From 0 to 1.
        scripts: The probability of each script.
        turn: Degrees by which the line is turned.
        pixels: The line, upright.
    """

    corners: Corners
    text: str
    confidence: float
    scripts: Mapping[str, float]
    turn: Turn
    pixels: Pixels

    @property
    def length(self) -> float:
        """Length in heights of the line: about half the number of its letters."""
        height, width = self.pixels.shape[:2]
        return width / max(1, height)

    @property
    def worth(self) -> float:
        """The confidence of a line with as many letters as its length can hold, otherwise 0.

        In scripts that it does not know the engine finds mostly spaces, and is sure of them.
        """
        return self.confidence if len(self.text.replace(" ", "")) >= _DENSE * self.length else 0.0

    @property
    def is_legible(self) -> bool:
        """Whether the engine surely reads the line right.

        That held for 96% to 100% of lines in Latin, Chinese and Japanese, and for 1 of 430 in nine
        other scripts. Greek is excepted: the engine reads it without accents.
        """
        greek = sum("\u0370" <= letter <= "\u03ff" for letter in self.text)
        return self.worth >= _LEGIBLE and greek < _GREEK * len(self.text)


@dataclass(frozen=True)
class Engine:
    """The OCR engine. Pixels have shape (height, width, 3): blue, green, red.

    Attributes:
        read: Reads the lines on a picture.
        surest: Highest text probability of any pixel, from 0 to 1; the sides of the picture must be
            multiples of 32.
        recogniser: Reads lines within a time limit.
        columns: The recogniser's output for one line, of shape (places, letters).
        letters: The recogniser's letters.
    """

    read: Callable[[Pixels], list[FoundLine]]
    surest: Callable[[Pixels], float]
    recogniser: BoundedRecogniser
    columns: Callable[[Pixels], _Floats]
    letters: Sequence[str]


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
            "Global.log_level": "critical",
            "EngineConfig.onnxruntime.intra_op_num_threads": model_threads(),
        }
    )
    # Models are loaded when first used, and the recogniser only if there are lines.
    blank = np.full((48, 48, 3), 255, np.uint8)
    made(blank, use_det=True, use_cls=False, use_rec=False)
    made(blank, use_det=False, use_cls=False, use_rec=True)
    letters = made.text_rec.postprocess_op.character
    recogniser = BoundedRecogniser(made.text_rec.session, len(letters))
    reader = _LineReader(made.text_rec, recogniser, ScriptModel.of(letters))

    def read(pixels: Pixels) -> list[FoundLine]:
        # The settings of the last call would be used otherwise.
        found = made(pixels, use_det=True, use_cls=False, use_rec=False)
        if found.boxes is None:
            return []
        return reader.read(
            found.boxes.tolist(), made.crop_text_regions(pixels, found.boxes.astype(np.float32))
        )

    look = _surest(made.text_det, made.text_det.session)
    return Engine(
        lambda pixels: _run(read, pixels),
        lambda pixels: _run(look, pixels),
        recogniser,
        reader.columns,
        letters,
    )


def _run(step: Callable[[Pixels], _Result], pixels: Pixels) -> _Result:
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


def _surest(detector: Any, run: Callable[[_Floats], _Floats]) -> Callable[[Pixels], float]:
    given = (detector.mean, detector.std)  # one number per colour, or None
    mean, std = (np.array(value or [0.5] * 3, np.float32) for value in given)

    def surest(pixels: Pixels) -> float:
        levels = (pixels / np.float32(255) - mean) / std
        return float(run(levels.astype(np.float32).transpose(2, 0, 1)[None]).max())

    return surest


class _LineReader:
    """Reads the lines that the detector found.

    RapidOCR's own model for lines that are upside down is not used: it turned some upright lines
    over, of which nothing could be read then. `TURNED` of `ScriptModel` tells them without it.

    Args:
        model: RapidOCR's recogniser, with the size of its input and its decoder.
        run: The model itself.
        scripts: Tells the script of a line.
    """

    def __init__(self, model: Any, run: BoundedRecogniser, scripts: ScriptModel) -> None:
        self._model, self._run, self._scripts = model, run, scripts
        # The space is the last letter; another one of the model may look like it.
        self._space = len(model.postprocess_op.character) - 1

    def read(self, corners: Sequence[Corners], crops: Sequence[Pixels]) -> list[FoundLine]:
        """Read lines in any direction.

        Args:
            corners: The corners of each line.
            crops: Its pixels, turned to lie if it stood.
        """
        lines = [
            FoundLine(corner, "", 0.0, {}, 90 if _stands(corner) else 0, crop)
            for corner, crop in zip(corners, crops, strict=True)
        ]
        found = self._recognised(lines)
        doubtful = [
            at
            for at, line in enumerate(found)
            if line.scripts[TURNED] > _MAYBE_TURNED and not line.is_legible
        ]
        others = self._recognised([_turned_over(found[at]) for at in doubtful])
        for at, other in zip(doubtful, others, strict=True):
            if _is_better(other, found[at]):
                found[at] = other
        return found

    def _recognised(self, lines: Sequence[FoundLine]) -> list[FoundLine]:
        return [self._recognise(line) for line in lines]

    def columns(self, pixels: Pixels) -> _Floats:
        """The model's output for one line, of shape (places, letters)."""
        line = FoundLine([], "", 0.0, {}, 0, pixels)
        return self._own(self._output(line), line)

    def _recognise(self, line: FoundLine) -> FoundLine:
        output = self._output(line)
        shares = self._scripts.shares(self._own(output, line))
        [(text, score)], _ = self._model.postprocess_op(self._with_spaces(output)[None])
        return replace(line, text=text, confidence=float(score), scripts=shares)

    def _output(self, line: FoundLine) -> _Floats:
        pixels = self._model.resize_norm_img(line.pixels, max(_SHORTEST, line.length))
        return self._run(pixels[None].astype(np.float32))[0]

    def _own(self, columns: _Floats, line: FoundLine) -> _Floats:
        """The output without that for the blank to the right of a short line."""
        share = line.length / max(_SHORTEST, line.length)
        return columns[: max(1, math.ceil(len(columns) * share))]

    def _with_spaces(self, columns: _Floats) -> _Floats:
        """The output with spaces of low probability made certain."""
        spaces = columns[:, self._space]
        unsure = (columns.argmax(axis=1) == 0) & (spaces >= _SPACE_PROBABILITY)
        columns[:, self._space] = np.where(unsure, columns[:, 0], spaces)
        columns[:, 0] = np.where(unsure, 0.0, columns[:, 0])
        return columns


def _is_better(line: FoundLine, before: FoundLine) -> bool:
    """Whether a line reads better than before it was turned over."""
    if max(line.worth, before.worth) >= _WORTH:
        return line.worth > before.worth
    return line.scripts[TURNED] < before.scripts[TURNED]


def _stands(corners: Corners) -> bool:
    """Whether a line is so much taller than wide that the engine turns it."""
    top_left, top_right, bottom_right, bottom_left = (np.array(corner) for corner in corners)
    width = max(np.linalg.norm(top_left - top_right), np.linalg.norm(bottom_left - bottom_right))
    height = max(np.linalg.norm(top_left - bottom_left), np.linalg.norm(top_right - bottom_right))
    return int(height) >= _UPRIGHT_ASPECT * int(width)


def _turned_over(line: FoundLine) -> FoundLine:
    turn: Turn = 180 if line.turn == 0 else 270
    return replace(line, turn=turn, pixels=np.ascontiguousarray(line.pixels[::-1, ::-1]))


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
        return self._run(lines)
