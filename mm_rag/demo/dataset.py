"""The sample files, and ten questions about them, each with its one right answer."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from shutil import copyfile

from mm_rag.errors import InputError
from mm_rag.segment import Hit

_NAMES = (
    "quarterly_review.pdf",
    "maintenance_log_scan.pdf",
    "receipt.png",
    "booking_screenshot.png",
    "radio_briefing.opus",
    "safety_video.mkv",
    "IMG_2041.jpg",
)


def make_samples(folder: Path) -> list[Path]:
    """Copy the seven sample files of Gull Harbor Ferries, a made-up company, to a folder.

    Args:
        folder: Made if it does not exist; files of the same names are overwritten.

    Returns:
        A slide deck, a scan, a receipt, a screenshot, a recording, a video and a photo.

    Raises:
        InputError: The folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in _NAMES:
            with as_file(files("mm_rag.demo") / "samples" / name) as sample:
                copyfile(sample, folder / name)
    except OSError as error:
        raise InputError(
            f"The sample files could not be written to {folder} ({error}). Choose another folder."
        ) from error
    return [folder / name for name in _NAMES]


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question and the location of its answer.

    Attributes:
        text: The question in a user's words.
        file: Name of the file that answers it.
        page: 1-based page of that file; None for files without pages.
        start: Where the answer begins in a recording or video, in seconds; None for other files.
        end: Where it ends, in seconds.
        meaning: The question in English, if it is in another language; else empty.
    """

    text: str
    file: str
    page: int | None = None
    start: float | None = None
    end: float | None = None
    meaning: str = ""


def is_right(question: Question, hit: Hit) -> bool:
    """Whether a hit has the right file and page, or for a clip overlaps the right time span."""
    found = hit.segment
    if Path(found.source).name != question.file:
        return False
    if question.page is not None and found.page != question.page:
        return False
    if question.start is None or question.end is None:
        return True
    if found.start is None or found.end is None:
        return False
    return found.start < question.end and question.start < found.end


QUESTIONS = (
    Question(
        text="How many passengers did the Mill Island line have in August?",
        file="quarterly_review.pdf",
        page=3,
    ),
    Question(
        text="Which route loses money, and how much?",
        file="quarterly_review.pdf",
        page=6,
    ),
    Question(
        text="What do people dislike about the place where they wait at Lighthouse Point?",
        file="quarterly_review.pdf",
        page=7,
    ),
    Question(
        text="Why did the engine of the Plover get too hot?",
        file="maintenance_log_scan.pdf",
        page=1,
    ),
    Question(
        text="How much was the mooring rope we bought?",
        file="receipt.png",
    ),
    Question(
        text="Why could the school class not be booked on the boat it wanted?",
        file="booking_screenshot.png",
    ),
    Question(
        text="Where can we buy diesel while the fuel station is shut?",
        file="radio_briefing.opus",
        start=26.0,
        end=33.3,
    ),
    Question(
        text="Where are the life vests for kids kept?",
        file="safety_video.mkv",
        start=5.5,
        end=11.5,
    ),
    Question(
        text="Is there a photo of a cat?",
        file="IMG_2041.jpg",
    ),
    Question(
        text="Сколько стоит рейс на батареях?",
        meaning="How much does a crossing on batteries cost?",
        file="quarterly_review.pdf",
        page=9,
    ),
)
