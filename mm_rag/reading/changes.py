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
    scale = _SIDE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    # In two steps: fast, and as good as one.
    rough = picture.reduce(reduction) if (reduction := int(1 / scale / 2)) > 1 else picture
    return np.asarray(rough.resize(size, Image.Resampling.BOX), np.int16)


def differs(one: Glance, other: Glance) -> bool:
    """Whether two pictures show different things."""
    if one.shape != other.shape:
        return True
    changed = np.abs(one - other).max(axis=2) > _CHANGED_PIXEL
    return float(changed.mean()) > _CHANGED_SHARE
