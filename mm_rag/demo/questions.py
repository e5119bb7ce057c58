"""Eight questions about the sample files, each with its one right answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mm_rag.segment import Hit


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question, and the place of its answer.

    Attributes:
        text: As a person would ask it.
        file: Name of the file that answers it.
        page: Of that file, 1-based; None where it has no pages.
        start: Where the answer begins in a recording or video, in seconds; None where there is no
            time.
        end: Where it ends, in seconds.
    """

    text: str
    file: str
    page: int | None = None
    start: float | None = None
    end: float | None = None


def is_right(question: Question, hit: Hit) -> bool:
    """Whether a hit is the place: the file, its page, and for a clip an overlap in time."""
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
        text="How many people took the boat to Mill Island in August?",
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
)
