"""The quarterly review of Gull Harbor Ferries: a slide deck with charts, tables and bullets."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.demo_samples.canvas import (
    AMBER,
    BLUE,
    CORAL,
    GRID,
    INK,
    MIST,
    MUTED,
    NAVY,
    SERIES,
    TEAL,
    Canvas,
    Point,
    arc,
    draw_ferry,
    new_document,
)

WIDTH, HEIGHT, MARGIN = 960.0, 540.0, 64.0


def write_deck(path: Path) -> None:
    """Write the ten slides as a PDF with a text layer."""
    document = new_document()
    document.set_metadata({"title": "Quarterly review, July to September 2026"})
    for number, draw in enumerate(_SLIDES, start=1):
        canvas = Canvas(document, WIDTH, HEIGHT)
        draw(canvas)
        if number > 1:
            _foot(canvas, number)
        canvas.finish()
    # A fresh id would make every copy of the same deck a different file.
    document.save(path, garbage=3, deflate=True, no_new_id=True)
    document.close()


def _head(canvas: Canvas, section: str, title: str) -> None:
    canvas.box(0, 0, 8, HEIGHT, fill=TEAL)
    canvas.text(MARGIN, 54, section.upper(), size=11, color=TEAL, font="hebo")
    canvas.text(MARGIN, 90, title, size=28, font="hebo")


def _foot(canvas: Canvas, number: int) -> None:
    canvas.line([(MARGIN, HEIGHT - 42), (WIDTH - MARGIN, HEIGHT - 42)])
    footer = "Gull Harbor Ferries  |  Quarterly review, July to September 2026"
    canvas.text(MARGIN, HEIGHT - 22, footer, size=10, color=MUTED)
    canvas.text(WIDTH - MARGIN, HEIGHT - 22, str(number), size=10, color=MUTED, align="right")


def _title(canvas: Canvas) -> None:
    canvas.box(0, 0, WIDTH, HEIGHT, fill=NAVY)
    for depth, (color, height) in enumerate([("#123765", 400), ("#17497f", 436), (TEAL, 474)]):
        if depth == 1:
            draw_ferry(canvas, 660, 436, 230)
        wave = [
            (x, height + 7 * math.sin(x / 58 + depth * 1.9)) for x in range(0, int(WIDTH) + 1, 8)
        ]
        canvas.polygon([*wave, (WIDTH, HEIGHT), (0, HEIGHT)], fill=color)
    canvas.text(MARGIN, 130, "GULL HARBOR FERRIES", size=14, color=AMBER, font="hebo")
    canvas.text(MARGIN, 196, "Quarterly review", size=52, color="#ffffff", font="hebo")
    canvas.text(MARGIN, 240, "July to September 2026", size=24, color="#c9d6e8")
    words = "Prepared for the board meeting on October 20, 2026"
    canvas.text(MARGIN, 276, words, size=14, color="#c9d6e8")


def _numbers(canvas: Canvas) -> None:
    _head(canvas, "Summary", "The quarter in four numbers")
    cards = [
        ("412,600", "passengers", "6% more than last summer", BLUE),
        ("94.1%", "of departures on time", "the best quarter since 2019", TEAL),
        ("$2.31 m", "revenue", "4% above the budget", AMBER),
        ("31%", "less diesel burned", "since the Heron runs on batteries", CORAL),
    ]
    for i, (value, what, note, color) in enumerate(cards):
        x, y = MARGIN + 426 * (i % 2), 128 + 172 * (i // 2)
        canvas.box(x, y, 406, 152, fill=MIST, radius=8)
        canvas.box(x, y + 20, 6, 112, fill=color)
        canvas.text(x + 32, y + 64, value, size=42, font="hebo")
        canvas.text(x + 32, y + 96, what, size=17)
        canvas.text(x + 32, y + 122, note, size=13, color=MUTED)


def _passengers(canvas: Canvas) -> None:
    _head(canvas, "Demand", "August was the busiest month on every line")
    bar_chart(
        canvas,
        Frame(x=110, y=160, width=780, height=276),
        Scale(low=0, high=80, step=20, label="Passengers per month, in thousands"),
        ["July", "August", "September"],
        {
            "Mill Island line": [62.4, 71.8, 58.3],
            "Lighthouse line": [48.1, 66.9, 29.7],
            "Airport line": [24.6, 26.2, 24.6],
        },
    )


def _punctuality(canvas: Canvas) -> None:
    title = "Boats leave on time again after the winter gales"
    _head(canvas, "Service", title)
    line_chart(
        canvas,
        Frame(x=110, y=160, width=710, height=276),
        Scale(low=75, high=100, step=5, label="Departures on time, by month", unit="%"),
        ["Oct", "Nov", "Dec", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep"],
        {
            "Battery and hybrid": [94, 93, 92, 90, 86, 91, 94, 95, 96, 95, 95, 96],
            "Diesel": [91, 90, 88, 86, 79, 87, 90, 92, 93, 92, 92, 93],
        },
        target=93,
    )
    canvas.text(436, 428, "February: nine days of storm", size=12, color=MUTED)


def _income(canvas: Canvas) -> None:
    _head(canvas, "Finance", "Where the revenue comes from")
    shares = {
        "Season passes": 38.0,
        "Single tickets": 34.0,
        "Charters and weddings": 12.0,
        "Bicycles and freight": 9.0,
        "Coffee bar on board": 7.0,
    }
    donut_chart(canvas, 256, 296, 156, shares)
    canvas.text(256, 294, "$2.31 m", size=28, font="hebo", align="center")
    canvas.text(256, 318, "this quarter", size=13, color=MUTED, align="center")
    canvas.text(482, 444, "Share of the quarter's revenue, in percent", size=12, color=MUTED)


def _result(canvas: Canvas) -> None:
    _head(canvas, "Finance", "Two lines earn money, one loses it")
    rows = [
        ("Line", "Revenue", "Cost", "Result", "Seats filled"),
        ("Mill Island", "$1,062,000", "$871,000", "$191,000", "68%"),
        ("Lighthouse Point", "$850,000", "$702,000", "$148,000", "71%"),
        ("Airport", "$398,000", "$441,000", "-$43,000", "41%"),
        ("All lines", "$2,310,000", "$2,014,000", "$296,000", "62%"),
    ]
    table(canvas, MARGIN, 134, (232, 150, 150, 150, 150), rows, total=True)
    canvas.box(MARGIN, 386, 832, 76, fill=MIST, radius=8)
    words = (
        "The Airport line sails half empty outside the holidays. With one boat an hour instead "
        "of two on weekdays it would break even."
    )
    canvas.paragraph(MARGIN + 24, 418, 784, words, size=15)


def _complaints(canvas: Canvas) -> None:
    _head(canvas, "Passengers", "What the 214 complaints were about")
    points = [
        ("63", "The shelter at Lighthouse Point leaks when it rains and has no heating."),
        ("51", "The ticket app signs people out while they stand at the gate."),
        ("38", "The last evening boat leaves before the concerts in the park end."),
        ("34", "Bicycles block the gangway when the boat is full."),
        ("28", "Announcements are too quiet to be understood on the open deck."),
    ]
    _bullets(canvas, points)


def _fleet(canvas: Canvas) -> None:
    _head(canvas, "Fleet", "Our four boats")
    rows = [
        ("Boat", "Built", "Drive", "Seats", "Next dry dock"),
        ("Heron", "2021", "Battery", "180", "March 2027"),
        ("Kestrel", "2014", "Hybrid", "240", "November 2026"),
        ("Plover", "1998", "Diesel", "210", "January 2027"),
        ("Sandpiper", "1987", "Diesel", "150", "None, to be sold"),
    ]
    table(canvas, MARGIN, 134, (212, 120, 160, 120, 220), rows, height=50)
    words = "Dry dock: two weeks each, at the yard in Port Ellis. The Sandpiper stands in."
    canvas.text(MARGIN, 424, words, size=13, color=MUTED)


def _energy(canvas: Canvas) -> None:
    title = "A crossing on batteries costs a third of one on diesel"
    _head(canvas, "Fleet", title)
    costs = {
        "Heron (battery)": 11.4,
        "Kestrel (hybrid)": 19.8,
        "Plover (diesel)": 34.1,
        "Sandpiper (diesel)": 37.6,
    }
    frame = Frame(x=230, y=136, width=550, height=280)
    label = "Fuel or electricity for one crossing to Mill Island, in dollars"
    row_chart(canvas, frame, costs, unit="$", label=label)


def _decisions(canvas: Canvas) -> None:
    _head(canvas, "Outlook", "Four decisions for the board")
    points = [
        ("1", "Order a second battery ferry for $6.4 million, to be delivered in May 2028."),
        ("2", "Sell the Sandpiper this winter; a diving school has offered $210,000."),
        ("3", "Run a trial of late crossings at 11:30 pm on Fridays and Saturdays."),
        ("4", "Hire two deckhands and train them before the season starts in April."),
    ]
    _bullets(canvas, points)


def _bullets(canvas: Canvas, points: Sequence[tuple[str, str]]) -> None:
    for i, (mark, words) in enumerate(points):
        y = 158 + 66 * i
        canvas.disc(MARGIN + 22, y - 6, 22, fill=MIST)
        canvas.text(MARGIN + 22, y, mark, size=17, color=BLUE, font="hebo", align="center")
        canvas.text(MARGIN + 66, y, words, size=18, color=INK)
        if i + 1 < len(points):
            canvas.line([(MARGIN + 66, y + 27), (WIDTH - MARGIN, y + 27)], color=GRID)


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


_SLIDES: tuple[Callable[[Canvas], None], ...] = (
    _title,
    _numbers,
    _passengers,
    _punctuality,
    _income,
    _result,
    _complaints,
    _fleet,
    _energy,
    _decisions,
)
