"""A typed maintenance log that went through a scanner: pictures of pages, and no text layer."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageFilter

from tools.demo_samples.canvas import Canvas, new_document

WIDTH, HEIGHT, ZOOM = 612.0, 792.0, 2.0
TYPE, RULE = "#2a2d38", "#6b6f7c"


def write_scan(path: Path) -> None:
    """Write the two pages as a PDF that holds nothing but JPEG pictures."""
    document = new_document()
    for number, (boat, entries) in enumerate(_PAGES, start=1):
        scanned = _through_the_scanner(_typed_page(number, boat, entries), seed=number)
        buffer = io.BytesIO()
        scanned.save(buffer, "JPEG", quality=62)
        page = document.new_page(width=WIDTH, height=HEIGHT)
        page.insert_image(page.rect, stream=buffer.getvalue())
    document.save(path, garbage=3, no_new_id=True)
    document.close()


def _typed_page(number: int, boat: str, entries: Sequence[tuple[str, str, str]]) -> PIL.Image.Image:
    canvas = Canvas.single(WIDTH, HEIGHT)
    canvas.text(62, 76, "GULL HARBOR FERRIES", size=11, color=TYPE, font="cobo")
    canvas.text(62, 104, "MAINTENANCE LOG", size=20, color=TYPE, font="cobo")
    canvas.text(550, 76, f"Sheet {number} of 2", size=11, color=TYPE, font="cour", align="right")
    canvas.text(550, 104, f"Boat: {boat}", size=13, color=TYPE, font="cobo", align="right")
    canvas.line([(62, 118), (550, 118)], color=RULE, width=1.4)
    y = 150.0
    for date, job, signed in entries:
        canvas.text(62, y, date, size=12.5, color=TYPE, font="cobo")
        below = canvas.paragraph(150, y, 396, job, size=12.5, color=TYPE, font="cour")
        canvas.text(150, below, f"Signed: {signed}", size=12.5, color=TYPE, font="cobo")
        y = below + 38
        canvas.line([(62, y - 23), (550, y - 23)], color="#b9bcc6", width=0.7)
    canvas.text(62, 746, "Keep for five years. Form GH-12.", size=10, color=RULE, font="cour")
    return canvas.picture(ZOOM)


def _through_the_scanner(page: PIL.Image.Image, *, seed: int) -> PIL.Image.Image:
    crooked = page.filter(PIL.ImageFilter.GaussianBlur(0.5)).rotate(
        0.6 if seed % 2 else -0.5,
        resample=PIL.Image.Resampling.BICUBIC,
        fillcolor=(255, 255, 255),
    )
    height, width = crooked.height, crooked.width
    noise = np.random.default_rng(seed).normal(0, 5, (height, width, 1))
    # The lid did not close: the paper gets darker towards its right edge.
    shade = np.linspace(0, 1, width)[None, :, None] ** 6 * -38
    paper = np.asarray(crooked, dtype=np.float64) * np.array([0.975, 0.955, 0.905])
    return PIL.Image.fromarray(np.clip(paper + shade + noise, 0, 255).astype(np.uint8))


_PAGES = (
    (
        "Plover",
        (
            (
                "July 6",
                "Port engine: oil and oil filter changed at 14,220 hours. Old oil clean, "
                "no metal in the filter.",
                "M. Okafor",
            ),
            (
                "July 19",
                "Starboard engine ran hot, 97 degrees. Cause: a plastic bag in the sea water "
                "intake. Intake cleared, rubber impeller of the cooling pump replaced. Ran one "
                "hour under load, 78 degrees.",
                "M. Okafor",
            ),
            (
                "August 3",
                "Bow ramp closes slowly. Hydraulic hose was worn through at the hinge. New hose "
                "fitted, two liters of fluid added.",
                "L. Brandt",
            ),
            (
                "August 22",
                "Radar picture unsteady in rain. Plug on the mast was wet. Dried, greased and "
                "taped.",
                "L. Brandt",
            ),
            (
                "Sept 9",
                "Both batteries for starting are four years old and weak. New ones on order, "
                "delivery in three weeks.",
                "M. Okafor",
            ),
            (
                "Sept 30",
                "New starter batteries installed. Old ones returned to the dealer.",
                "M. Okafor",
            ),
        ),
    ),
    (
        "Kestrel",
        (
            (
                "July 2",
                "Monthly check of the steering gear. No leaks, full travel in 11 seconds.",
                "S. Lindqvist",
            ),
            (
                "July 11",
                "Battery room: fan number two noisy. Bearing replaced. Temperature in the room "
                "back to 24 degrees.",
                "S. Lindqvist",
            ),
            (
                "August 14",
                "Propeller shaft vibrates above 9 knots. Diver found fishing line around the "
                "shaft and cut it off. No damage to the seal.",
                "S. Lindqvist",
            ),
            (
                "August 29",
                "Window of the wheelhouse cracked by a gull. Taped for now; glass ordered.",
                "L. Brandt",
            ),
            (
                "Sept 2",
                "Toilet on the lower deck blocked. Pipe cleaned; sign put up in three languages.",
                "M. Okafor",
            ),
            (
                "Sept 25",
                "Yearly test of the fire pump: 6.2 bar at the forward hydrant. One nozzle "
                "missing, ordered.",
                "L. Brandt",
            ),
        ),
    ),
)
