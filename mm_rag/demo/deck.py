"""The quarterly review of Gull Harbor Ferries: a slide deck with charts, tables and bullets."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from mm_rag.demo.canvas import (
    AMBER,
    BLUE,
    CORAL,
    GRID,
    INK,
    MIST,
    MUTED,
    NAVY,
    TEAL,
    Canvas,
    new_document,
)
from mm_rag.demo.charts import (
    Frame,
    Scale,
    bar_chart,
    donut_chart,
    line_chart,
    row_chart,
    table,
)
from mm_rag.demo.ferry import draw_ferry

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
