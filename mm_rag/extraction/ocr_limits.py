"""What recognising the lines of one picture may take: time and memory."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

_Floats: TypeAlias = npt.NDArray[np.float32]

# Width of all lines of a batch together, in pixels at the recogniser's height of 48. Six usual
# lines have some 4,000; of wider ones, each is recognised by itself.
_MOST_WIDTH = 12_000


class BoundedRecogniser:
    """The model that recognises lines, which gives nothing more when its time is over.

    Args:
        run: The model: from lines of shape (lines, 3, height, width) to the probabilities of
            letters, of shape (lines, places, letters), of which the first stands for no letter.
        letters: How many letters the model knows.

    Attributes:
        deadline: When its time is over, as `time.monotonic` has it.
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
        """The letters of a batch of lines; of none of them when it is too late."""
        if time.monotonic() > self.deadline:
            self.is_late = True
            blank = np.zeros((len(lines), 1, self._letters), np.float32)
            blank[:, :, 0] = 1.0
            return blank
        if len(lines) * lines.shape[3] <= _MOST_WIDTH:
            return self._run(lines)
        return np.concatenate([self._run(lines[at : at + 1]) for at in range(len(lines))])
