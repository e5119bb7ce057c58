"""Pictures for chat models: no larger than asked, in a format that every provider takes."""

from __future__ import annotations

import io
import math
from pathlib import Path

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
    scale = math.sqrt(max_pixels / (picture.width * picture.height))
    mime_type = _SENDABLE.get(image_format(path, policy)[0])
    if scale >= 1 and mime_type:
        with open_file(path, policy) as file:
            return file.read(), mime_type
    if scale < 1:
        size = (int(picture.width * scale) or 1, int(picture.height * scale) or 1)
        picture = picture.resize(size)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue(), "image/jpeg"
