"""Find out the script of a line from what the OCR model makes of it.

The model of the OCR engine reads Latin, Chinese and Japanese. Of letters in other scripts it makes
others in a way that is typical of each script: the probabilities that it gives to 600 letters,
averaged over a line, tell 22 scripts apart, and lines that stand upside down. This costs nothing
besides the model, needs no other program, and also tells rubbish from text.

`tools/train_scripts.py` computes the weights of this logistic regression. Of 5,825 single lines in
fonts and noise like those that it was trained on, 94% came out right.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]

TURNED = "turned"
NO_TEXT = "none"
VIETNAMESE = "Vietnamese"
READABLE = frozenset({"Latin", "Han"})  # by the OCR engine alone; Han includes Japanese
# Kinds of letters of the engine's model, by the beginning of their Unicode names.
_KINDS = (("CJK",), ("HIRAGANA", "KATAKANA"), (), ("LATIN",), ("GREEK",))
_ASCII, _DIGIT, _OTHER = 3, 6, 7
_SCALE = 300.0  # of probabilities of letters, before the logarithm


@dataclass(frozen=True)
class Evidence:
    """The output of the engine's model for a line, in short.

    Attributes:
        letters: The mean probability of each letter, of shape (letters,).
        sureness: The mean probability of the most probable letters.
        filled: The share of places at which there is a letter.
    """

    letters: Floats
    sureness: float
    filled: float

    def inputs(self, chosen: npt.NDArray[Any], kinds: npt.NDArray[np.intp]) -> Floats:
        """The inputs of the regression.

        Args:
            chosen: Numbers of the letters that the regression looks at.
            kinds: The kind of each letter.
        """
        by_kind = np.bincount(kinds, self.letters, minlength=_OTHER + 1)[1:]
        chances = np.log1p(_SCALE * np.concatenate([self.letters[chosen], by_kind]))
        rest = [self.letters[0], self.sureness, self.filled]
        return np.concatenate([chances[: len(chosen)], rest, chances[len(chosen) :]])


@dataclass(frozen=True)
class ScriptModel:
    """Tells the script of a line.

    Attributes:
        names: Names of the scripts, and `TURNED` and `NO_TEXT`.
    """

    names: tuple[str, ...]
    _letters: npt.NDArray[np.int32]
    _kinds: npt.NDArray[np.intp]
    _weights: Floats
    _bias: Floats

    @classmethod
    def of(cls, letters: Sequence[str]) -> ScriptModel:
        """The model for an engine.

        Args:
            letters: The letters of the engine's model, in the order of its output.
        """
        data = files("mm_rag.extraction").joinpath("script_weights.npz")
        with data.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return cls(
                tuple(str(name) for name in stored["classes"]),
                stored["letters"],
                letter_kinds(letters),
                stored["weights"].astype(np.float32),
                stored["bias"],
            )

    def shares(self, columns: Floats) -> dict[str, float]:
        """The probability of each script, from the engine's output for a line.

        Args:
            columns: Probabilities of letters, of shape (places, letters).
        """
        given = mean_of(columns).inputs(self._letters, self._kinds)
        scores = given @ self._weights + self._bias
        shares = np.exp(scores - scores.max())
        shares /= shares.sum()
        return dict(zip(self.names, shares.tolist(), strict=True))


def mean_of(columns: Floats) -> Evidence:
    """The evidence of a line, from probabilities of shape (places, letters)."""
    filled = float((columns.argmax(axis=1) != 0).mean())
    return Evidence(columns.mean(axis=0), float(columns.max(axis=1).mean()), filled)


def letter_kinds(letters: Sequence[str]) -> npt.NDArray[np.intp]:
    """The kind of each letter of the engine's model."""
    return np.array([_kind(letter) for letter in letters])


def _kind(letter: str) -> int:
    if not letter.strip() or letter == "blank":
        return 0
    name = unicodedata.name(letter[0], "")
    if letter.isascii() and letter.isalpha():
        return _ASCII
    for number, begins in enumerate(_KINDS, start=1):
        if begins and name.startswith(begins):
            return number
    return _DIGIT if letter[0].isdigit() else _OTHER
