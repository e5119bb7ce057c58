"""A picture's bytes, as JPEG or WebP, no more of them than asked where that is possible."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from mm_rag.media.image import shrunk_to

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

PictureFormat: TypeAlias = Literal["jpeg", "webp"]

_HALF_COLOUR = 1  # 4:2:2, as Pillow numbers it
_LOWER_QUALITIES = (65, 45, 25)
_MOST_HALVINGS = 6


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How pictures are written.

    Attributes:
        name: Pillow's, of the format.
        mime_type: Of what is written.
        suffix: Of its file.
        quality: At which it is written, as Pillow counts it.
        max_side: The most pixels that one side may have.
        options: What else Pillow is told.
    """

    name: str
    mime_type: str
    suffix: str
    quality: int
    max_side: int
    options: Mapping[str, int] = field(default_factory=dict[str, int])


# Per page of 1.3 megapixels, the mean of 25 pages of papers, slides and forms: JPEG of quality 85
# takes 206 kB and 4 ms (PSNR 40.6 dB). WebP of quality 80 takes 125 kB and 22 ms with method 0,
# 122 kB and 28 ms with 1, 105 kB and 34 ms with 2 (41.4 dB), and with 4 no less room in twice the
# time; of quality 75 with method 0 it takes 115 kB and 21 ms (40.7 dB).
ENCODINGS: Mapping[PictureFormat, Encoding] = {
    "jpeg": Encoding(
        name="JPEG",
        mime_type="image/jpeg",
        suffix=".jpg",
        quality=85,
        max_side=65_500,
        options={"subsampling": _HALF_COLOUR},
    ),
    "webp": Encoding(
        name="WEBP",
        mime_type="image/webp",
        suffix=".webp",
        quality=80,
        max_side=16_383,
        options={"method": 2},
    ),
}


def encoded(picture: PILImage, encoding: Encoding, max_bytes: int | None = None) -> bytes:
    """The bytes of a picture.

    Args:
        picture: Of any mode; transparency is lost.
        encoding: How it is written.
        max_bytes: Upper bound. Quality is lowered first, then the sides are halved, down to what
            still shows something. Where that is not enough it is the smallest that was found.
    """
    rgb = picture if picture.mode == "RGB" else picture.convert("RGB")
    smallest = b""
    for attempt, quality in _attempts(_within_sides(rgb, encoding.max_side), encoding.quality):
        buffer = io.BytesIO()
        attempt.save(buffer, encoding.name, quality=quality, **encoding.options)
        if not smallest or buffer.tell() < len(smallest):
            smallest = buffer.getvalue()
        if max_bytes is None or len(smallest) <= max_bytes:
            break
    return smallest


def _attempts(picture: PILImage, quality: int) -> Iterator[tuple[PILImage, int]]:
    """The picture and a quality, from what is best to what is smallest."""
    for each in (quality, *_LOWER_QUALITIES):
        yield picture, each
    for _ in range(_MOST_HALVINGS):
        if min(picture.size) < 2:
            return
        picture = shrunk_to(picture, picture.width * picture.height / 4)
        yield picture, _LOWER_QUALITIES[-1]


def _within_sides(picture: PILImage, most: int) -> PILImage:
    """No format has room for a scan of a whole roll of paper at every size."""
    width, height = picture.size
    scale = most / max(width, height)
    return picture if scale >= 1 else shrunk_to(picture, width * height * scale**2)
