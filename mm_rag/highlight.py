"""Highlight the words of a query on the picture of a hit."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageColor, ImageDraw

from mm_rag.boxes import Box, find_words, read_boxes
from mm_rag.errors import InputError
from mm_rag.media.image import open_image
from mm_rag.media.policy import DEFAULT_POLICY, MediaPolicy
from mm_rag.segment import Segment

_STRENGTH = 0.45
_PADDING = 0.12  # of a box's height


def highlighted(
    segment: Segment,
    words: str,
    *,
    colour: str = "yellow",
    policy: MediaPolicy = DEFAULT_POLICY,
) -> Image.Image:
    """The page or picture of a hit as an RGB image, with the words of a query or passage marked.

    Args:
        segment: The segment of a hit. Without `boxes` nothing is marked.
        words: The query, or the text of a matching passage (`hit.matched[0].text`).
        colour: Colour of the marks: a name known to Pillow, or `"#ffee00"`.
        policy: Limits on the picture.

    Raises:
        InputError: The segment has no picture, or the colour is unknown.
        UnreadableMedia: Its picture or its boxes are missing or damaged.
    """
    path = segment.preview or (segment.media if segment.modality == "image" else None)
    if path is None:
        raise InputError(f"{segment.source} has no picture to show: Segment.preview is None.")
    try:
        ink = ImageColor.getrgb(colour)[:3]
    except ValueError as error:
        raise InputError(f"No colour is called {colour!r}; try 'yellow' or '#ffee00'.") from error
    picture = open_image(Path(path), policy)
    if segment.boxes is None:
        return picture
    found = [word.box for word in find_words(read_boxes(segment.boxes), words)]
    mask = Image.new("L", picture.size, 0)
    draw = ImageDraw.Draw(mask)
    for box in found:
        draw.rectangle(_pixels(box, picture.size), fill=round(255 * _STRENGTH))
    picture.paste(ink, (0, 0, *picture.size), mask)
    return picture


def _pixels(box: Box, size: tuple[int, int]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (edge * size[axis % 2] for axis, edge in enumerate(box))
    padding = _PADDING * (bottom - top)
    return (left - padding, top - padding, right + padding, bottom + padding)
