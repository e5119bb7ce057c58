"""Pictures no larger than asked."""

from __future__ import annotations

import math

from PIL import Image


def shrunk_to(picture: Image.Image, max_pixels: float) -> Image.Image:
    """The picture itself where it is small enough, else a smaller copy of the same shape.

    Args:
        picture: Of any mode.
        max_pixels: Upper bound of width times height, except that no side gets less than one.
    """
    scale = math.sqrt(max_pixels / (picture.width * picture.height))
    if scale >= 1:
        return picture
    # What is meant to be 1280 may come out as 1279.9999999999998.
    width, height = (max(1, int(side * scale + 1e-6)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)
