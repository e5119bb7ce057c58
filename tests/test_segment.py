"""Segments and Hits as they are printed."""

from __future__ import annotations

from pathlib import Path

from mm_rag import Collection, Segment
from mm_rag.segment import Hit


def passage(text: str, source: str = "/files/report.pdf") -> Segment:
    return Segment(modality="text", source=source, sha256="0" * 64, text=text, page=3)


def test_a_segment_is_printed_in_one_line() -> None:
    assert repr(passage("Revenue\ngrew.")) == "Segment(text, report.pdf page 3, 'Revenue grew.')"
    photo = Segment(modality="image", source="/a/b.png", sha256="0", media="/a/b.png")
    assert repr(photo) == "Segment(image, b.png)"
    assert len(repr(passage("word " * 10_000))) < 140


def test_a_hit_is_printed_with_what_was_found() -> None:
    page = passage("All of the page.")
    hit = Hit(segment=page, rank=1, score=0.8765, matched=(passage("The best passage."),))
    assert repr(hit) == f"Hit(rank=1, score=0.876, {page!r})"
    assert str(hit) == "1. report.pdf page 3 (0.88): The best passage."
    photo = Segment(modality="image", source="/a.png", sha256="0", media="/a.png", title="a sunset")
    assert str(Hit(segment=photo, rank=2, score=0.5)) == "2. a.png (0.50): a sunset"


def test_what_is_printed_commands_no_terminal() -> None:
    hit = Hit(segment=passage("a\x1b[31m\u202eb", "/a\x1b]0;b\n.pdf"), rank=1, score=0.5)
    assert repr(hit).isprintable()
    assert str(hit).isprintable()


def test_a_collection_is_printed_with_its_place_and_size(tmp_path: Path) -> None:
    collection = Collection(tmp_path)
    assert repr(collection) == f"Collection({str(tmp_path)!r}, name='default', 0 segments)"
    collection.close()
    assert repr(collection).endswith("closed or damaged)")
