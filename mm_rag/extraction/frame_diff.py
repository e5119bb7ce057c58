"""Whether a picture shows something else than the one before: as many pixels as a line of text."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

Glance: TypeAlias = npt.NDArray[np.int16]
"""A small copy of a picture, shape (height, width, 3)."""

_SIDE = 160  # pixels
_CHANGED_PIXEL = 24  # of 255
_CHANGED_SHARE = 0.01  # of the picture: one short line of text that appears


def glance(picture: Image.Image) -> Glance:
    """What is remembered of an RGB picture to compare others with it."""
    rough = shrunk(picture)
    scale = _SIDE / max(rough.size)
    size = (max(1, round(rough.width * scale)), max(1, round(rough.height * scale)))
    return np.asarray(rough.resize(size, Image.Resampling.BOX), np.int16)


def shrunk(picture: Image.Image) -> Image.Image:
    """A copy of at least twice the size of a glance, made fast; small pictures stay as they are."""
    factor = max(picture.size) // (2 * _SIDE)
    return picture.reduce(factor) if factor > 1 else picture


def differs(one: Glance, other: Glance) -> bool:
    """Whether two pictures show different things."""
    if one.shape != other.shape:
        return True
    changed = np.abs(one - other).max(axis=2) > _CHANGED_PIXEL
    return float(changed.mean()) > _CHANGED_SHARE
