"""Charts and tables, drawn as vector shapes with their numbers written beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mm_rag.demo.canvas import CORAL, GRID, INK, MIST, MUTED, NAVY, SERIES, Canvas, Point, arc


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Where a chart stands: the rectangle inside its axes, in points."""

    x: float
    y: float
    width: float
    height: float

    @property
    def bottom(self) -> float:
        """The y of the horizontal axis."""
        return self.y + self.height


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A vertical axis.

    Attributes:
        low: Value at the bottom.
        high: Value at the top.
        step: Distance between grid lines.
        label: What is measured, and its unit.
        unit: Written behind each number.
    """

    low: float
    high: float
    step: float
    label: str
    unit: str = ""

    def y(self, frame: Frame, value: float) -> float:
        """Where a value is in the frame."""
        return frame.bottom - frame.height * (value - self.low) / (self.high - self.low)


def bar_chart(
    canvas: Canvas,
    frame: Frame,
    scale: Scale,
    groups: Sequence[str],
    series: Mapping[str, Sequence[float]],
) -> None:
    """Bars side by side: one group per label, one color per series."""
    _axes(canvas, frame, scale)
    pitch = frame.width / len(groups)
    bar = pitch * 0.72 / len(series)
    for i, (values, color) in enumerate(zip(series.values(), SERIES, strict=False)):
        for j, value in enumerate(values):
            x, y = frame.x + pitch * (j + 0.14) + bar * i, scale.y(frame, value)
            canvas.box(x + 2, y, bar - 4, frame.bottom - y, fill=color)
            canvas.text(x + bar / 2, y - 6, f"{value:g}", size=11, font="hebo", align="center")
    for j, group in enumerate(groups):
        x = frame.x + pitch * (j + 0.5)
        canvas.text(x, frame.bottom + 20, group, size=13, align="center")
    _legend(canvas, frame, list(series))


def line_chart(
    canvas: Canvas,
    frame: Frame,
    scale: Scale,
    labels: Sequence[str],
    series: Mapping[str, Sequence[float]],
    target: float,
) -> None:
    """A line per series, and a dashed one for the target; the lowest point is named."""
    _axes(canvas, frame, scale)
    pitch = frame.width / len(labels)
    xs = [frame.x + pitch * (j + 0.5) for j in range(len(labels))]
    y = scale.y(frame, target)
    canvas.line([(frame.x, y), (frame.x + frame.width, y)], color=MUTED, width=1.2, dashed=True)
    words = f"Target {target:g}{scale.unit}"
    canvas.text(frame.x + frame.width + 8, y + 4, words, size=11, color=MUTED)
    for values, color in zip(series.values(), SERIES, strict=False):
        points = [(x, scale.y(frame, value)) for x, value in zip(xs, values, strict=True)]
        _line_with_dots(canvas, points, color)
        lowest = min(range(len(values)), key=values.__getitem__)
        x, y = points[lowest]
        words = f"{values[lowest]:g}{scale.unit}"
        canvas.text(x, y + 20, words, size=12, color=color, font="hebo", align="center")
    for x, label in zip(xs, labels, strict=True):
        canvas.text(x, frame.bottom + 20, label, size=12, align="center")
    _legend(canvas, frame, list(series))


def row_chart(
    canvas: Canvas, frame: Frame, values: Mapping[str, float], *, unit: str, label: str
) -> None:
    """Bars that lie, longest value to the right, each with its number."""
    pitch, longest = frame.height / len(values), max(values.values())
    for i, (name, value) in enumerate(values.items()):
        y, width = frame.y + pitch * i, frame.width * value / longest
        canvas.box(frame.x, y + pitch * 0.16, width, pitch * 0.68, fill=SERIES[i], radius=3)
        canvas.text(frame.x - 14, y + pitch / 2 + 5, name, size=15, align="right")
        words = f"{unit}{value:.2f}"
        canvas.text(frame.x + width + 10, y + pitch / 2 + 5, words, size=15, font="hebo")
    canvas.line([(frame.x, frame.y), (frame.x, frame.bottom)], color=MUTED)
    canvas.text(frame.x, frame.bottom + 22, label, size=12, color=MUTED)


def donut_chart(
    canvas: Canvas, x: float, y: float, radius: float, shares: Mapping[str, float]
) -> None:
    """A ring cut by share (percent), with a legend to its right that states each."""
    turn = 0.0
    top = y - 22 * len(shares) + 22
    for i, (name, share) in enumerate(shares.items()):
        end = turn + share / 100
        ring = arc(x, y, radius, turn, end) + arc(x, y, radius * 0.58, end, turn)
        canvas.polygon(ring, fill=SERIES[i])
        canvas.line([ring[0], ring[-1]], color="#ffffff", width=2.5)
        row, left = top + 44 * i, x + radius + 70
        canvas.box(left, row - 13, 16, 16, fill=SERIES[i], radius=3)
        canvas.text(left + 30, row, name, size=17)
        canvas.text(left + 360, row, f"{share:g}%", size=17, font="hebo", align="right")
        turn = end


def table(
    canvas: Canvas,
    x: float,
    y: float,
    widths: Sequence[float],
    rows: Sequence[Sequence[str]],
    *,
    total: bool = False,
    height: float = 44,
) -> None:
    """A table; its first row is the head, and its first column is aligned to the left.

    Args:
        canvas: Where to draw.
        x: Left edge.
        y: Upper edge.
        widths: Of the columns.
        rows: Cells; one that starts with a minus sign is written in red.
        total: Whether the last row is a sum.
        height: Of a row.
    """
    for i, row in enumerate(rows):
        top, head, last = y + height * i, i == 0, total and i == len(rows) - 1
        fill = NAVY if head else MIST if i % 2 == 0 else "#ffffff"
        canvas.box(x, top, sum(widths), height, fill=fill)
        if last:
            canvas.line([(x, top), (x + sum(widths), top)], color=INK, width=1.4)
        left = x
        for j, (cell, width) in enumerate(zip(row, widths, strict=True)):
            color = "#ffffff" if head else CORAL if cell.startswith("-") else INK
            place = left + 18 if j == 0 else left + width - 18
            canvas.text(
                place,
                top + height / 2 + 5,
                cell,
                size=13 if head else 15,
                color=color,
                font="hebo" if head or last or j == 0 else "helv",
                align="left" if j == 0 else "right",
            )
            left += width
    bottom = y + height * len(rows)
    canvas.line([(x, bottom), (x + sum(widths), bottom)], color=GRID)


def _axes(canvas: Canvas, frame: Frame, scale: Scale) -> None:
    value = scale.low
    while value <= scale.high:
        y = scale.y(frame, value)
        color = MUTED if value == scale.low else GRID
        canvas.line([(frame.x, y), (frame.x + frame.width, y)], color=color)
        number = f"{value:g}{scale.unit}"
        canvas.text(frame.x - 10, y + 4, number, size=11, color=MUTED, align="right")
        value += scale.step
    canvas.text(frame.x - 40, frame.y - 18, scale.label, size=12, color=MUTED)


def _legend(canvas: Canvas, frame: Frame, names: Sequence[str]) -> None:
    x = frame.x + frame.width - 170 * len(names)
    for name, color in zip(names, SERIES, strict=False):
        canvas.box(x, frame.y - 28, 12, 12, fill=color, radius=2)
        canvas.text(x + 19, frame.y - 18, name, size=12)
        x += 170


def _line_with_dots(canvas: Canvas, points: Sequence[Point], color: str) -> None:
    canvas.line(points, color=color, width=2.6)
    for x, y in points:
        canvas.disc(x, y, 4.6, fill="#ffffff")
        canvas.disc(x, y, 3.2, fill=color)
