from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mm_rag import Hit, Image, Segment, Text
from mm_rag.record import content_of_record, hit_to_metadata


class Sighted:
    """A model that sees pictures."""

    def supports(self, modality: str, /) -> bool:
        return modality in ("text", "image")

    def encodes_as_text(self, modality: str, /) -> bool:
        return False


@pytest.mark.parametrize(
    "metadata",
    [
        {"modality": "image"},
        {"modality": "image", "media": None},
        {"modality": "table", "media": "/data/table.html"},
        {"modality": ["text", "image"]},
        {"modality": "text", "mime_type": "image/png"},
    ],
)
def test_records_of_others_are_words(metadata: dict[str, Any]) -> None:
    assert content_of_record("some words", metadata, Sighted()) == Text("some words")


def test_a_record_of_a_picture_is_seen() -> None:
    content = content_of_record("", {"modality": "image", "media": "/a/b.png"}, Sighted())

    assert isinstance(content, Image)
    assert content.source == Path("/a/b.png")


def test_a_hit_keeps_what_the_search_knew_and_stays_flat() -> None:
    page = Segment(modality="image", source="/a.pdf", sha256="0", text="all", media="/a.png")
    passage = Segment(modality="text", source="/a.pdf", sha256="0", text="the best passage")
    scores = {"vector:words": 0.5, "lexical": 3.0}
    hit = Hit(
        segment=page,
        rank=1,
        score=0.9,
        scores=scores,
        evidence={"base": -3.0, "meaning": 2.5},
        matched=(passage, page),
        also=("/b.pdf", "/c.pdf"),
    )

    found = hit_to_metadata(hit)

    assert found["score_vector_words"] == 0.5
    assert found["score_lexical"] == 3.0
    assert (found["score"], found["evidence_base"], found["evidence_meaning"]) == (0.9, -3.0, 2.5)
    assert found["matched"] == "the best passage"
    assert found["also"] == "/b.pdf\n/c.pdf"
    assert all(isinstance(value, str | int | float | bool) for value in found.values())
    assert not {"matched", "also"} & set(hit_to_metadata(Hit(segment=page, rank=1, score=0.9)))
    itself = Hit(segment=passage, rank=1, score=0.9, matched=(passage,))
    assert "matched" not in hit_to_metadata(itself)  # its words are the record's text already


def test_models_are_given_tables_without_the_line_of_dashes() -> None:
    text = "Fares\n\n| Line | Price |\n|---|---|\n| North | $4 |\n\nAll taxes included."
    segment = Segment(modality="text", source="/f.pdf", sha256="0", text=text, title="Prices")
    expected = "Prices\nFares\n\n| Line | Price |\n| North | $4 |\n\nAll taxes included."
    assert segment.content == Text(expected)
    assert segment.text == text
