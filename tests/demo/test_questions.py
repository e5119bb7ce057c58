"""What counts as a right answer."""

from __future__ import annotations

import pytest

from mm_rag import Hit, Segment
from mm_rag.demo import Question, is_right

PAGE = Question(text="?", file="deck.pdf", page=3)
CLIP = Question(text="?", file="radio.opus", start=26.0, end=33.0)
PICTURE = Question(text="?", file="receipt.png")


def _hit(
    name: str,
    page: int | None = None,
    start: float | None = None,
    end: float | None = None,
) -> Hit:
    segment = Segment(
        modality="text", source=f"/a/{name}", sha256="0" * 64, page=page, start=start, end=end
    )
    return Hit(segment=segment, rank=1, score=1.0)


@pytest.mark.parametrize(
    ("question", "hit", "right"),
    [
        (PAGE, _hit("deck.pdf", page=3), True),
        (PAGE, _hit("deck.pdf", page=4), False),
        (PAGE, _hit("deck.pdf"), False),
        (PAGE, _hit("other.pdf", page=3), False),
        (CLIP, _hit("radio.opus", start=20.0, end=27.0), True),
        (CLIP, _hit("radio.opus", start=28.0, end=29.0), True),
        (CLIP, _hit("radio.opus", start=33.0, end=40.0), False),
        (CLIP, _hit("radio.opus", start=0.0, end=26.0), False),
        (CLIP, _hit("radio.opus"), False),
        (PICTURE, _hit("receipt.png"), True),
        (PICTURE, _hit("receipt.jpg"), False),
    ],
)
def test_a_hit_is_right_when_file_and_place_match(
    question: Question, hit: Hit, right: bool
) -> None:
    assert is_right(question, hit) is right
