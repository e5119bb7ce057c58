"""Pictures no larger than asked; for chat models, in a format that every provider takes."""

from __future__ import annotations

import io
import math
from pathlib import Path

from PIL import Image

from mm_rag.media.access import open_file
from mm_rag.media.image import image_format, open_image
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy

_SENDABLE = {"GIF": "image/gif", "JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}


def bounded_picture(
    path: Path, *, max_pixels: int, policy: MediaPolicy = DEFAULT_POLICY
) -> tuple[bytes, str]:
    """The bytes of a picture and their mime type.

    Args:
        path: The picture. Its own bytes are returned where it is small enough and of a format that
            chat models take; else it becomes a JPEG.
        max_pixels: Upper bound of width times height.
        policy: Whether it may be opened, and how large it may be.

    Raises:
        SourceForbidden: The policy does not allow to open it.
        UnreadableMedia: The file is missing or damaged.
        MediaTooLarge: It is over a limit of the MediaPolicy.
    """
    picture = open_image(path, policy)
    mime_type = _SENDABLE.get(image_format(path, policy)[0])
    if picture.width * picture.height <= max_pixels and mime_type:
        with open_file(path, policy) as file:
            return file.read(), mime_type
    picture = shrunk_to(picture, max_pixels)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue(), "image/jpeg"


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
