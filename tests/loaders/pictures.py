"""Pictures that loaders are given in tests."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont


def sign(text: str, size: tuple[int, int] = (700, 200)) -> Image.Image:
    """Large black words on white."""
    picture = Image.new("RGB", size, "white")
    ImageDraw.Draw(picture).text((40, 60), text, "black", ImageFont.load_default(40))
    return picture
