"""Canvas: a page to draw on, in points, which becomes a PDF page or a picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias, cast

import PIL.Image
import pymupdf

Point: TypeAlias = tuple[float, float]
Font: TypeAlias = Literal["helv", "hebo", "heit", "cour", "cobo", "tiro", "tibo"]

INK, MUTED, GRID, PAPER = "#14213d", "#5b6b82", "#dde4ec", "#ffffff"
NAVY, BLUE, TEAL, AMBER, CORAL, MIST = (
    "#0b2545", "#2563a8", "#0e9f9a", "#f0a02c", "#dd5138", "#f3f6fa",
)  # fmt: skip
SERIES = (BLUE, TEAL, AMBER, CORAL, "#8792a6")


def new_document() -> Any:
    """An empty PyMuPDF document."""
    return pymupdf.open()


class Canvas:
    """One page of a document. Fonts are the PDF standard ones, so no font file is needed."""

    def __init__(self, document: Any, width: float, height: float, *, fill: str = PAPER) -> None:
        self.width, self.height = width, height
        self._page: Any = document.new_page(width=width, height=height)
        self._shape: Any = self._page.new_shape()
        self._has_text = False
        self.box(0, 0, width, height, fill=fill)

    @classmethod
    def single(cls, width: float, height: float, *, fill: str = PAPER) -> Canvas:
        """A canvas that is not part of a longer document."""
        return cls(new_document(), width, height, fill=fill)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float = 14,
        color: str = INK,
        font: Font = "helv",
        align: Literal["left", "center", "right"] = "left",
    ) -> None:
        """Write one line whose baseline is at `y`; `x` is its left end, middle or right end."""
        shift = {"left": 0.0, "center": 0.5, "right": 1.0}[align]
        x -= shift * text_width(words, size=size, font=font)
        self._shape.insert_text((x, y), words, fontsize=size, fontname=font, color=_rgb(color))
        self._has_text = True

    def paragraph(
        self,
        x: float,
        y: float,
        width: float,
        words: str,
        *,
        size: float = 14,
        color: str = INK,
        font: Font = "helv",
    ) -> float:
        """Write lines of at most `width`; returns the baseline of the line that would follow."""
        for line in _wrap(words, width, size, font):
            self.text(x, y, line, size=size, color=color, font=font)
            y += size * 1.4
        return y

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        fill: str | None = None,
        stroke: str | None = None,
        radius: float = 0,
        line: float = 1,
    ) -> None:
        """A rectangle; `radius` rounds its corners, in points."""
        rounding = min(radius / min(width, height), 0.5) if radius else None
        self._drawing().draw_rect((x, y, x + width, y + height), radius=rounding)
        self._shape.finish(
            fill=_rgb(fill) if fill else None,
            color=_rgb(stroke) if stroke else None,
            width=line if stroke else 0,
        )

    def line(
        self, points: Iterable[Point], *, color: str = GRID, width: float = 1, dashed: bool = False
    ) -> None:
        """Straight lines from point to point."""
        self._drawing().draw_polyline(list(points))
        self._shape.finish(
            color=_rgb(color),
            width=width,
            dashes="[5 4] 0" if dashed else None,
            lineCap=1,
            lineJoin=1,
            closePath=False,
        )

    def polygon(self, points: Iterable[Point], *, fill: str) -> None:
        """A filled area."""
        self._drawing().draw_polyline(list(points))
        self._shape.finish(fill=_rgb(fill), color=None, width=0, closePath=True)

    def disc(self, x: float, y: float, radius: float, *, fill: str) -> None:
        """A filled circle."""
        self._drawing().draw_circle((x, y), radius)
        self._shape.finish(fill=_rgb(fill), color=None, width=0)

    def finish(self) -> None:
        """Put what was drawn so far on the page."""
        self._shape.commit()
        self._shape, self._has_text = self._page.new_shape(), False

    def _drawing(self) -> Any:
        # A shape puts its text above all of its drawings, whatever came first.
        if self._has_text:
            self.finish()
        return self._shape

    def picture(self, zoom: float = 1.0) -> PIL.Image.Image:
        """The page as pixels, `zoom` to a point."""
        self.finish()
        pixels = self._page.get_pixmap(matrix=pymupdf.Matrix(zoom, zoom), alpha=False)
        size = (cast(int, pixels.width), cast(int, pixels.height))
        return PIL.Image.frombytes("RGB", size, cast(bytes, pixels.samples))


def text_width(words: str, *, size: float, font: Font = "helv") -> float:
    """Width of a line in points."""
    return pymupdf.get_text_length(words, fontname=font, fontsize=size)


def arc(x: float, y: float, radius: float, start: float, end: float) -> list[Point]:
    """Points on a circle from angle `start` to `end`, in turns, clockwise from the top."""
    steps = max(2, math.ceil(abs(end - start) * 180))
    angles = (start + (end - start) * i / steps for i in range(steps + 1))
    return [
        (x + radius * math.sin(math.tau * turn), y - radius * math.cos(math.tau * turn))
        for turn in angles
    ]


def draw_ferry(canvas: Canvas, x: float, waterline: float, length: float) -> None:
    """A ferry seen from the side, its bow to the right; `x` is its stern."""

    def at(along: float, up: float) -> tuple[float, float]:
        return x + length * along, waterline - length * up

    hull = [at(0, 0.15), at(1.06, 0.15), at(0.96, -0.04), at(0.05, -0.04)]
    canvas.polygon(hull, fill="#f4f7fb")
    canvas.polygon([at(0.015, 0.05), at(1.005, 0.05), at(0.96, -0.04), at(0.05, -0.04)], fill=CORAL)
    canvas.polygon([at(0.08, 0.15), at(0.08, 0.27), at(0.82, 0.27), at(0.87, 0.15)], fill="#dfe7f1")
    canvas.polygon([at(0.5, 0.27), at(0.5, 0.37), at(0.7, 0.37), at(0.75, 0.27)], fill="#f4f7fb")
    canvas.polygon([at(0.25, 0.27), at(0.27, 0.43), at(0.36, 0.43), at(0.38, 0.27)], fill=AMBER)
    for i in range(7):
        left, top = at(0.12 + i * 0.095, 0.235)
        canvas.box(left, top, length * 0.062, length * 0.045, fill=NAVY, radius=2)
    left, top = at(0.55, 0.345)
    canvas.box(left, top, length * 0.13, length * 0.04, fill=NAVY, radius=2)


def _wrap(words: str, width: float, size: float, font: Font) -> Sequence[str]:
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if text_width(longer, size=size, font=font) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _rgb(color: str) -> tuple[float, float, float]:
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red / 255, green / 255, blue / 255
