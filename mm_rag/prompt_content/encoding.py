"""Encoding: pictures as the bytes of a file that every provider takes."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from PIL import Image

from mm_rag.media.access import open_bounded
from mm_rag.media.image import Outline, open_image
from mm_rag.media.policy import MediaPolicy
from mm_rag.prompt_content.block import Picture

Size: TypeAlias = tuple[int, int]

_SENDABLE = {"GIF": "image/gif", "JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
_QUALITIES = (85, 70, 50)
_HOPE = 1.5  # A smaller copy has fewer bytes by its pixels, or by a little more than that.


def file_as_picture(
    source: Path | bytes,
    outline: Outline,
    sizes: Sequence[Size],
    max_bytes: int,
    policy: MediaPolicy,
) -> Picture | None:
    """A file's own bytes where they will do, else a JPEG of what it shows.

    Args:
        source: The picture's file, or the file's bytes.
        outline: What its head says.
        sizes: Widths and heights that it may have, the largest first.
        max_bytes: What there is room for.
        policy: Whether it may be opened.

    Returns:
        None where it has no room.

    Raises:
        UnreadableMedia: The file is missing or damaged.
        MediaTooLarge: It is over a limit of the policy.
        SourceForbidden: The policy does not allow to open it.
    """
    # It is decoded in any case: a provider that meets a damaged file refuses the whole message.
    shown = open_image(source, policy)
    mime_type = _SENDABLE.get(outline.format)
    if mime_type and outline.is_plain and shown.size == sizes[0]:
        data = _bytes_within(source, max_bytes, policy)
        if data is not None:
            width, height = shown.size
            return Picture(data=data, mime_type=mime_type, width=width, height=height)
    return as_jpeg(shown, sizes, max_bytes)


def as_jpeg(picture: Image.Image, sizes: Sequence[Size], max_bytes: int) -> Picture | None:
    """A JPEG of lower quality, and then smaller, where the bytes demand it.

    Args:
        picture: Upright RGB.
        sizes: Widths and heights that it may have, the largest first.
        max_bytes: What there is room for.

    Returns:
        None where it has no room.
    """
    most = math.inf
    for width, height in sizes:
        if width * height > most:
            continue
        small = picture
        if picture.size != (width, height):
            small = picture.resize((width, height), Image.Resampling.LANCZOS)
        data = _jpeg_within(small, max_bytes)
        if len(data) <= max_bytes:
            return Picture(data=data, mime_type="image/jpeg", width=width, height=height)
        most = _HOPE * width * height * max_bytes / len(data)
    return None


def _jpeg_within(picture: Image.Image, max_bytes: int) -> bytes:
    """Of the highest quality that fits, or of the lowest that is legible."""
    data = b""
    for quality in _QUALITIES:
        data = _jpeg(picture, quality)
        if len(data) <= max_bytes:
            break
    return data


def _bytes_within(source: Path | bytes, max_bytes: int, policy: MediaPolicy) -> bytes | None:
    if isinstance(source, bytes):
        return source if len(source) <= max_bytes else None
    with open_bounded(source, policy) as file:
        return file.read() if os.fstat(file.fileno()).st_size <= max_bytes else None


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
