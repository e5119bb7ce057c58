"""make_samples: a small folder of files of one made-up company."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import as_file, files
from pathlib import Path
from shutil import copyfile

from mm_rag.demo.deck import write_deck
from mm_rag.demo.receipt import write_receipt
from mm_rag.demo.scan import write_scan
from mm_rag.demo.screenshot import write_screenshot
from mm_rag.demo.video import write_video
from mm_rag.errors import InputError


def make_samples(folder: Path) -> list[Path]:
    """Write the six sample files of Gull Harbor Ferries; the same bytes every time.

    Args:
        folder: Made if it does not exist; files of the same names are overwritten.

    Returns:
        A slide deck, a scan, a receipt, a screenshot, a recording and a video.

    Raises:
        InputError: The folder cannot be written to.
        MissingExtra: PyMuPDF or PyAV is not installed.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, write in _SAMPLES.items():
            write(folder / name)
    except OSError as error:
        raise InputError(
            f"The sample files could not be written to {folder} ({error}). Choose another folder."
        ) from error
    return [folder / name for name in _SAMPLES]


def _write_recording(path: Path) -> None:
    with as_file(files("mm_rag.demo") / "data" / path.name) as recording:
        copyfile(recording, path)


_SAMPLES: Mapping[str, Callable[[Path], None]] = {
    "quarterly_review.pdf": write_deck,
    "maintenance_log_scan.pdf": write_scan,
    "receipt.png": write_receipt,
    "booking_screenshot.png": write_screenshot,
    "radio_briefing.opus": _write_recording,
    "safety_video.mkv": write_video,
}
