"""A manual of as many pages as wanted: columns of prose, charts, tables and pictures, all made up.

No two pages are alike, so that nothing is gained by remembering the last one.
"""

from __future__ import annotations

import io
import random
import re
from pathlib import Path

import pymupdf
from PIL import Image

_WIDTH, _HEIGHT, _MARGIN, _GUTTER = 595, 842, 48, 18
_TABLE_EVERY, _PICTURE_EVERY = 4, 9
_SYLLABLES = re.findall(
    r"\w+",
    "al an ar ba be con de di en er fa gen in is ka le lo ma men mi mo na ne no or pa pe per po "
    "pro ra re ri ro sa se so sta ta te ten ter ti tion to tra ul un ver vi",
)
_PICTURE_SIZE = (1200, 800)


def write_manual(path: Path, pages: int, seed: int = 1) -> Path:
    """Write a PDF of A4 pages; the same seed gives the same pages."""
    dice = random.Random(seed)
    words = ["".join(dice.choices(_SYLLABLES, k=dice.randint(1, 4))) for _ in range(3000)]
    with pymupdf.open() as document:
        for number in range(1, pages + 1):
            _page(document.new_page(width=_WIDTH, height=_HEIGHT), number, words, dice)
        document.set_metadata({"title": "A manual of everything"})
        document.save(path, deflate=True, garbage=1)
    return path


def _page(page: pymupdf.Page, number: int, words: list[str], dice: random.Random) -> None:
    heading = " ".join(dice.choices(words, k=4)).capitalize()
    page.insert_text((_MARGIN, 64), f"{number}. {heading}", fontsize=15, fontname="tibo")
    top = 88.0
    for extra, every in ((_table, _TABLE_EVERY), (_picture, _PICTURE_EVERY), (_chart, 2)):
        if number % every == 0:
            top = extra(page, top, words, dice)
    column = (_WIDTH - 2 * _MARGIN - _GUTTER) / 2
    for left in (_MARGIN, _MARGIN + column + _GUTTER):
        room = pymupdf.Rect(left, top, left + column, _HEIGHT - 60)
        _prose(page, room, words, dice)
    page.insert_text((_WIDTH / 2, _HEIGHT - 30), str(number), fontsize=9)


def _prose(page: pymupdf.Page, room: pymupdf.Rect, words: list[str], dice: random.Random) -> None:
    top = room.y0
    while top + 60 < room.y1:
        sentences = (
            " ".join(dice.choices(words, k=dice.randint(6, 18))).capitalize() + "." for _ in "1234"
        )
        part = pymupdf.Rect(room.x0, top, room.x1, room.y1)
        left = page.insert_textbox(part, " ".join(sentences), fontsize=9.5, fontname="tiro")
        if left < 0:
            return
        top = room.y1 - left + 8


def _chart(page: pymupdf.Page, top: float, words: list[str], dice: random.Random) -> float:
    """A curve of many points, and bars; beneath them a caption."""
    left, right, bottom = _MARGIN, _WIDTH - _MARGIN, top + 130
    shape = page.new_shape()
    height = 60.0
    points = [(float(left), bottom - height)]
    for step in range(1, 121):
        height = min(max(height + dice.uniform(-9, 9), 4), 124)
        points.append((left + step * (right - left) / 120, bottom - height))
    shape.draw_polyline(points)
    shape.finish(color=(0.7, 0.1, 0.1), width=1.2)
    for bar in range(24):
        x = left + bar * (right - left) / 24
        shape.draw_rect(pymupdf.Rect(x, bottom - dice.uniform(5, 70), x + 12, bottom))
        shape.finish(color=(0.2, 0.3, 0.6), fill=(0.6, 0.7, 0.9), width=0.5)
    shape.commit()
    caption = " ".join(dice.choices(words, k=8))
    page.insert_text((left, bottom + 14), f"Figure: {caption}", fontsize=8, fontname="tiit")
    return bottom + 28


def _table(page: pymupdf.Page, top: float, words: list[str], dice: random.Random) -> float:
    """Ruled, with a name and three numbers to each row."""
    rows, width, height = dice.randint(5, 9), (_WIDTH - 2 * _MARGIN) / 4, 16
    for row in range(rows):
        for column in range(4):
            cell = (
                pymupdf.Rect(0, 0, width, height)
                + (
                    _MARGIN + column * width,
                    top + row * height,
                )
                * 2
            )
            page.draw_rect(cell, color=(0, 0, 0), width=0.6)
            text = dice.choice(words) if column == 0 or row == 0 else f"{dice.uniform(0, 999):.1f}"
            page.insert_text((cell.x0 + 4, cell.y1 - 5), text, fontsize=8)
    return top + rows * height + 16


def _picture(page: pymupdf.Page, top: float, words: list[str], dice: random.Random) -> float:
    """Something like a photo: soft colours with grain, as a JPEG."""
    small = Image.frombytes("RGB", (24, 16), dice.randbytes(24 * 16 * 3))
    soft = small.resize(_PICTURE_SIZE, Image.Resampling.BICUBIC)
    grain = Image.effect_noise(_PICTURE_SIZE, 24).convert("RGB")
    buffer = io.BytesIO()
    Image.blend(soft, grain, 0.2).save(buffer, "JPEG", quality=85)
    page.insert_image(
        pymupdf.Rect(_MARGIN, top, _MARGIN + 300, top + 200), stream=buffer.getvalue()
    )
    page.insert_text((_MARGIN, top + 214), f"Picture: {dice.choice(words)}", fontsize=8)
    return top + 228
