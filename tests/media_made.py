"""Material for tests, made on the spot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pymupdf
from PIL import Image, ImageDraw, ImageFont

_AES_256 = 5  # pymupdf.PDF_ENCRYPT_AES_256, which its annotations leave out


def make_pdf(path: Path, pages: Sequence[str], *, password: str | None = None) -> Path:
    """A PDF with a text layer, one page for each text."""
    with pymupdf.open() as document:
        for text in pages:
            page = document.new_page(width=400, height=300)
            page.insert_textbox((40, 40, 360, 260), text, fontsize=12)
        if password:
            document.save(path, encryption=_AES_256, user_pw=password)
        else:
            document.save(path)
    return path


def make_picture(path: Path, text: str) -> Path:
    """A picture with large, legible words on it; blank where there are none."""
    picture = Image.new("RGB", (900, 240), "white")
    font = ImageFont.load_default(40)
    ImageDraw.Draw(picture).multiline_text((40, 60), text, fill="black", font=font)
    picture.save(path)
    return path
