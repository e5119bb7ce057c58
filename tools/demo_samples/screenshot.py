"""A screenshot of the booking program, with a form and an error message."""

from __future__ import annotations

from pathlib import Path

import PIL.Image

from tools.demo_samples.canvas import BLUE, CORAL, GRID, INK, MIST, MUTED, NAVY, TEAL, Canvas

WIDTH, HEIGHT = 1120.0, 700.0


def write_screenshot(path: Path) -> None:
    """Write the screenshot as a PNG."""
    canvas = Canvas.single(WIDTH, HEIGHT, fill="#9fb6cc")
    canvas.box(32, 36, 1060, 640, fill="#7f97ae", radius=12)
    canvas.box(28, 28, 1064, 640, fill="#ffffff", radius=12)
    _title_bar(canvas)
    _sidebar(canvas)
    _form(canvas)
    _dialog(canvas)
    picture = canvas.picture(1.25).convert("P", palette=PIL.Image.Palette.ADAPTIVE, colors=128)
    picture.save(path, optimize=True)


def _title_bar(canvas: Canvas) -> None:
    canvas.box(28, 28, 1064, 44, fill="#e6ebf1", radius=12)
    canvas.box(28, 54, 1064, 18, fill="#e6ebf1")
    for i, color in enumerate((CORAL, "#f0b84a", "#4aaf6d")):
        canvas.disc(54 + 22 * i, 50, 7, fill=color)
    title = "Gull Harbor Booking Desk"
    canvas.text(WIDTH / 2, 55, title, size=14, font="hebo", color=MUTED, align="center")


def _sidebar(canvas: Canvas) -> None:
    canvas.box(28, 72, 204, 596, fill=NAVY, radius=12)
    canvas.box(28, 72, 204, 40, fill=NAVY)
    canvas.box(200, 72, 32, 596, fill=NAVY)
    for i, entry in enumerate(("Today", "Tickets", "Group bookings", "Season passes", "Reports")):
        y = 122 + 46 * i
        chosen = entry == "Group bookings"
        if chosen:
            canvas.box(40, y - 24, 180, 36, fill="#1e4272", radius=6)
        color = "#ffffff" if chosen else "#a9bbd3"
        canvas.disc(60, y - 5, 4, fill=TEAL if chosen else "#5a7396")
        canvas.text(76, y, entry, size=15, color=color, font="hebo" if chosen else "helv")
    canvas.text(60, 646, "Signed in: Dana Reyes", size=12, color="#a9bbd3")


def _form(canvas: Canvas) -> None:
    canvas.text(268, 124, "New group booking", size=26, font="hebo")
    for i, (label, value) in enumerate(_FIELDS):
        x, y = 268 + 404 * (i % 2), 170 + 84 * (i // 2)
        canvas.text(x, y, label, size=13, color=MUTED)
        canvas.box(x, y + 10, 376, 40, fill="#ffffff", stroke="#c3cedb", radius=6)
        canvas.text(x + 14, y + 35, value, size=15)
    canvas.box(940, 606, 108, 40, fill=BLUE, radius=6)
    canvas.text(994, 631, "Save", size=15, font="hebo", color="#ffffff", align="center")
    canvas.box(812, 606, 112, 40, fill=MIST, stroke=GRID, radius=6)
    canvas.text(868, 631, "Discard", size=15, align="center")


def _dialog(canvas: Canvas) -> None:
    x, y = 356.0, 372.0
    canvas.box(x + 5, y + 8, 560, 214, fill="#c9d2dd", radius=10)
    canvas.box(x, y, 560, 214, fill="#ffffff", stroke="#b9c4d1", radius=10)
    canvas.disc(x + 46, y + 52, 21, fill=CORAL)
    canvas.text(x + 46, y + 61, "!", size=26, font="hebo", color="#ffffff", align="center")
    canvas.text(x + 86, y + 60, "The booking was not saved", size=20, font="hebo")
    words = (
        "Only 31 seats are left on the 10:15 boat, and the group needs 48. Choose a later "
        "departure, or split the group over two boats."
    )
    below = canvas.paragraph(x + 86, y + 92, 440, words, size=15, color=INK)
    canvas.text(x + 86, below + 8, "Error GB-409", size=13, color=MUTED)
    canvas.box(x + 426, y + 158, 108, 38, fill=BLUE, radius=6)
    canvas.text(x + 480, y + 182, "OK", size=15, font="hebo", color="#ffffff", align="center")


_FIELDS = (
    ("Group", "Hillside Primary School, class 4"),
    ("Contact", "Ms. Ferraro, 555 0178"),
    ("Line", "Old Town to Lighthouse Point"),
    ("Date", "Thursday, November 12, 2026"),
    ("Departure", "10:15"),
    ("Return", "14:45"),
    ("Passengers", "44 children, 4 adults"),
    ("Wheelchairs", "1"),
)
