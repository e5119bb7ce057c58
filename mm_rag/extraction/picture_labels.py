"""Labels of photos: words for what a picture without words shows, such as "pelican, bird, animal".

They come from EfficientNet-Lite2, which knows ImageNet's 1,000 classes: animals, plants, food,
vehicles, buildings, tools, clothes, instruments, household things and landscapes. It knows no
actions, colours, places and persons. The loaders put the labels into the text of a segment, where
keyword search, text models of any language, rerankers and chat models find them.

Measured on 565 photos and cut-outs of two educational programs, half of which chose the thresholds;
the figures of the other half stand beside these.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt
from PIL import Image

from mm_rag.errors import MissingExtra
from mm_rag.extraction.efficientnet import CLASSES, Box, centre, recognise, view

logger = logging.getLogger(__name__)

# Probability from which a class or the sum over a group is named.
THING, GROUP = 0.3, 0.4
_MOST_THINGS = 2
# A picture with more words is a page, a chart or a screenshot, and not labelled. The photos of
# signs and packages that were looked at have up to 8.
MOST_WORDS = 8
_BEGINNING = "This picture probably shows "


@dataclass(frozen=True)
class PictureLabels:
    """Words for what a photo shows; all empty if nothing is sure.

    Attributes:
        things: Names of the most probable classes: `"pelican"`, `"taxi, cab"`.
        groups: Broader words, from narrow to broad: `"seabird"`, `"bird"`, `"animal"`.
    """

    things: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """One sentence for the text of a segment; empty without labels.

        With 165 cut-outs that did not choose the wording, found by their names in six languages,
        nDCG@10 with multilingual-e5-small was 0.26 for this sentence, 0.21 for "Looks like: ...",
        and 0.25 for vectors of the classes' descriptions, weighted by their probabilities.
        """
        names = [name for thing in self.things for name in thing.split(", ")]
        words = ", ".join(dict.fromkeys([*names, *self.groups]))
        return f"{_BEGINNING}{words}." if words else ""


def labels(picture: Image.Image) -> PictureLabels:
    """Label what a photo shows.

    Args:
        picture: A picture of any size.

    Raises:
        MissingExtra: The weights, onnx or onnxruntime are not installed, damaged, or fail.
    """
    seen = recognise([view(picture, box) for box in _boxes(picture.size)])
    return _named(seen.probabilities.mean(axis=0))


def label_line(
    picture: Image.Image, text: str, on_missing: Callable[[MissingExtra], None] | None = None
) -> str:
    """The labels of a picture as one line; empty if nothing is sure or it shows much text.

    Args:
        picture: A picture of any size.
        text: The text on it.
        on_missing: Called, each time, if the weights, onnx or onnxruntime are not installed,
            damaged, or fail; by default a warning is logged, once.
    """
    if len(text.split()) > MOST_WORDS:
        return ""
    try:
        return labels(picture).text
    except MissingExtra as error:
        (on_missing or _warn_once)(error)
        return ""


def without_labels(text: str) -> str:
    """The text of a picture without the line of its labels."""
    return "\n".join(line for line in text.splitlines() if not line.startswith(_BEGINNING))


class _Warning:
    """Logs that photos are not labelled, the first time."""

    def __init__(self) -> None:
        self._is_logged = False

    def __call__(self, error: MissingExtra) -> None:
        if not self._is_logged:
            logger.warning("Photos are not labelled: %s", error)
        self._is_logged = True


_warn_once = _Warning()


def _boxes(size: tuple[int, int]) -> list[Box]:
    """The views that are averaged: the middle, and the whole picture, squeezed into a square.

    The true class was the most probable for 55% of 419 photos by the middle, 60% by the whole and
    60% by both; mirrored and further crops added 1%.
    """
    return [centre(size), (0.0, 0.0, float(size[0]), float(size[1]))]


def _named(probabilities: npt.NDArray[np.float32]) -> PictureLabels:
    names = _vocabulary()
    certain = np.where(names.is_named, probabilities, 0.0)
    best = np.argsort(-certain, kind="stable")[:_MOST_THINGS]
    things = [names.things[at] for at in best if certain[at] >= THING]
    sums = certain @ names.members
    groups = [name for name, total in zip(names.groups, sums, strict=True) if total >= GROUP]
    return PictureLabels(tuple(things), tuple(groups))


@dataclass(frozen=True)
class _Vocabulary:
    """The words for the network's classes.

    Attributes:
        things: Names of each class.
        is_named: Whether each class is ever named; shape (1000,).
        groups: Names of all groups, those with most broader ones first.
        members: 1.0 where a class belongs to a group; shape (1000, groups).
    """

    things: list[str]
    is_named: npt.NDArray[np.bool_]
    groups: list[str]
    members: npt.NDArray[np.float32]


@cache
def _vocabulary() -> _Vocabulary:
    text = files("mm_rag.extraction").joinpath("imagenet_classes.txt").read_text("utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    broader = {
        name: parents.split(", ")
        for name, _, parents in (line.partition(": ") for line in lines)
        if parents
    }
    classes = [
        (names, group) for names, bar, group in (line.partition(" | ") for line in lines) if bar
    ]
    assert len(classes) == CLASSES
    chains = [[] if group == "-" else _chain(group, broader) for _, group in classes]
    groups = sorted(
        {name for chain in chains for name in chain},
        key=lambda name: (-len(_chain(name, broader)), name),
    )
    members = [[float(name in chain) for name in groups] for chain in chains]
    return _Vocabulary(
        [names for names, _ in classes],
        np.array([bool(chain) for chain in chains]),
        groups,
        np.array(members, np.float32),
    )


def _chain(group: str, broader: dict[str, list[str]]) -> list[str]:
    """A group and all broader ones."""
    found = [group]
    for name in found:
        found += [parent for parent in broader.get(name, ()) if parent not in found]
    return found
