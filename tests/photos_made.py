"""Drawings that the network for photos recognises, as no photo may be copied into the tests."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw

CLOCK_LABELS = "This picture probably shows analogue clock, clock, measuring instrument."
LIGHT_LABELS = "This picture probably shows traffic light."


def clock() -> Image.Image:
    """A clock on a wall, 400 x 400 pixels."""
    picture = Image.new("RGB", (400, 400), (214, 196, 170))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((50, 50, 350, 350), fill="white", outline="black", width=12)
    for hour in range(12):
        x, y = math.sin(hour * math.pi / 6), -math.cos(hour * math.pi / 6)
        ends = [(200 + far * x, 200 + far * y) for far in (112, 130)]
        draw.line(ends, fill="black", width=6)
    draw.line([(200, 200), (200, 105)], fill="black", width=7)
    draw.line([(200, 200), (258, 232)], fill="black", width=10)
    return picture


def traffic_light() -> Image.Image:
    """A traffic light before the sky, 400 x 400 pixels."""
    picture = Image.new("RGB", (400, 400), (150, 185, 220))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((190, 300, 210, 400), fill=(60, 60, 60))
    draw.rounded_rectangle((145, 60, 255, 310), 20, fill=(35, 35, 30))
    for top, colour in ((75, (255, 0, 0)), (152, (70, 60, 20)), (229, (20, 60, 30))):
        draw.ellipse((165, top, 235, top + 70), fill=colour)
    return picture
