"""What a ranking set is, and the real sets in a folder."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mm_rag import Segment
from mm_rag.evaluation import read_beir

Right = frozenset[tuple[str, int | None]]
"""Sources and pages that answer a question; empty if nothing does."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question.

    Attributes:
        text: As a person types it.
        kind: Such as `code` or `paraphrase`.
        right: All places that answer it.
        half: 0 to choose on, 1 to report; by the document of the answer.
    """

    text: str
    kind: str
    right: Right
    half: int


@dataclass(frozen=True, kw_only=True)
class RankingSet:
    """Segments, and questions about them."""

    name: str
    segments: Sequence[Segment]
    questions: Sequence[Asked]


def half_of(set_name: str, document: str) -> int:
    """The half that a document belongs to."""
    return hashlib.sha256(f"{set_name}|{document}".encode()).digest()[0] % 2


def asked(set_name: str, text: str, kind: str, right: Iterable[tuple[str, int | None]]) -> Asked:
    """A question in the half of the first document that answers it, or of its own text."""
    places = frozenset(right)
    document = min((source for source, _ in places), default=text)
    return Asked(text=text, kind=kind, right=places, half=half_of(set_name, document))


def beir_set(folder: Path, most: int, halves: Sequence[int] = (0, 1)) -> RankingSet:
    """A set in BEIR's layout.

    Args:
        folder: The set.
        most: Number of questions, evenly spaced; the others are left out.
        halves: Which halves of these are asked.
    """
    beir = read_beir(folder)
    step = max(1.0, len(beir.questions) / most)
    chosen = [beir.questions[int(n * step)] for n in range(min(most, len(beir.questions)))]
    questions = [
        asked(folder.name, one.query, _kind(one.id), ((place.file, None) for place in one.relevant))
        for one in chosen
    ]
    return RankingSet(
        name=folder.name,
        segments=beir.segments,
        questions=[one for one in questions if one.half in halves],
    )


def _kind(id_: str) -> str:
    """The language of a question, if its id begins with one, as in `de_17`."""
    language = re.match(r"([a-z]{2})[_-]", id_)
    return f"question ({language[1]})" if language else "question"
