"""A till receipt of the chandlery, photographed on a desk."""

from __future__ import annotations

from pathlib import Path

import PIL.Image

from tools.demo_samples.canvas import Canvas, Font

WIDTH, HEIGHT = 420.0, 660.0
LEFT, RIGHT, PRINT = 52.0, 368.0, "#26282e"


def write_receipt(path: Path) -> None:
    """Write the receipt as a PNG."""
    canvas = Canvas.single(WIDTH, HEIGHT, fill="#8d7357")
    for i in range(28):
        canvas.box(0, i * 24, WIDTH, 1.2, fill="#866c51" if i % 2 else "#947a5e")
    canvas.box(34, 22, 358, 622, fill="#6f583f", radius=4)
    _paper(canvas)
    _print(canvas)
    picture = canvas.picture(2).convert("P", palette=PIL.Image.Palette.ADAPTIVE, colors=64)
    picture.save(path, optimize=True)


def _paper(canvas: Canvas) -> None:
    teeth = [(28 + 8 * i, 636 - 6 * (i % 2)) for i in range(46)]
    canvas.polygon([(28, 16), (388, 16), *reversed(teeth)], fill="#fbfaf6")


def _print(canvas: Canvas) -> None:
    middle = WIDTH / 2
    for y, words, size, font in _HEAD:
        canvas.text(middle, y, words, size=size, font=font, color=PRINT, align="center")
    _rule(canvas, 150)
    canvas.text(LEFT, 172, "Oct 8, 2026  09:41", size=12, font="cour", color=PRINT)
    canvas.text(RIGHT, 172, "No. 20417", size=12, font="cour", color=PRINT, align="right")
    _rule(canvas, 184)
    for i, (item, detail, price) in enumerate(_ITEMS):
        y = 210 + 42 * i
        canvas.text(LEFT, y, item, size=13, font="cobo", color=PRINT)
        canvas.text(LEFT + 14, y + 16, detail, size=12, font="cour", color=PRINT)
        canvas.text(RIGHT, y + 16, price, size=13, font="cour", color=PRINT, align="right")
    _rule(canvas, 410)
    for y, label, amount, size in _SUMS:
        font: Font = "cobo" if size > 13 else "cour"
        canvas.text(LEFT, y, label, size=size, font=font, color=PRINT)
        canvas.text(RIGHT, y, amount, size=size, font=font, color=PRINT, align="right")
    _rule(canvas, 498)
    for y, words in _FOOT:
        canvas.text(middle, y, words, size=12, font="cour", color=PRINT, align="center")
    _bar_code(canvas)


def _rule(canvas: Canvas, y: float) -> None:
    canvas.line([(LEFT, y), (RIGHT, y)], color=PRINT, width=0.8, dashed=True)


def _bar_code(canvas: Canvas) -> None:
    widths = [1 + int(digit) % 4 for digit in str(20417**15)]
    x = WIDTH / 2 - (sum(widths) + 0.6 * len(widths)) / 2
    for i, width in enumerate(widths):
        if i % 2 == 0:
            canvas.box(x, 582, width, 32, fill=PRINT)
        x += width + 0.6


_HEAD: tuple[tuple[float, str, float, Font], ...] = (
    (62, "BAYSIDE CHANDLERY", 22, "cobo"),
    (86, "Rope, paint and everything for boats", 12, "cour"),
    (104, "14 Quay Street, Old Town", 12, "cour"),
    (122, "Phone 555 0142", 12, "cour"),
)
_ITEMS = (
    ("MOORING ROPE 24 MM, 30 M", "2 x $89.50", "$179.00"),
    ("FENDER, LARGE, WHITE", "4 x $42.00", "$168.00"),
    ("DECK PAINT, GREEN, 5 L", "1 x $74.90", "$74.90"),
    ("WORK GLOVES, SIZE 10", "6 x $8.25", "$49.50"),
    ("SHACKLE, STAINLESS", "3 x $12.40", "$37.20"),
)
_SUMS = (
    (430, "Subtotal", "$508.60", 13),
    (450, "Sales tax 6%", "$30.52", 13),
    (480, "TOTAL", "$539.12", 19),
)
_FOOT = (
    (520, "Paid by card, ending in 4471"),
    (540, "Account: Gull Harbor Ferries"),
    (562, "Returns within 30 days with this receipt"),
)
