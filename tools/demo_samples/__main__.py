"""`python -m tools.demo_samples [folder]`: draw the demo's sample files again.

Draws everything but the recording, which was spoken once, and the photo, which was taken from a
package (see mm_rag/demo/samples/NOTICE.md). With the versions in constraints.txt the files are the
same bytes every time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tools.demo_samples.deck import write_deck
from tools.demo_samples.receipt import write_receipt
from tools.demo_samples.scan import write_scan
from tools.demo_samples.screenshot import write_screenshot
from tools.demo_samples.video import write_video

COMMITTED = Path(__file__).parents[2] / "mm_rag" / "demo" / "samples"
WRITERS: Mapping[str, Callable[[Path], None]] = {
    "quarterly_review.pdf": write_deck,
    "maintenance_log_scan.pdf": write_scan,
    "receipt.png": write_receipt,
    "booking_screenshot.png": write_screenshot,
    "safety_video.mkv": write_video,
}


def draw(folder: Path) -> list[Path]:
    """Write the five drawn files to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, write in WRITERS.items():
        write(folder / name)
    return [folder / name for name in WRITERS]


if __name__ == "__main__":
    for path in draw(Path(sys.argv[1]) if len(sys.argv) > 1 else COMMITTED):
        sys.stdout.write(f"{path}\n")
