"""What comes before and after a hit in its file."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from mm_rag import Collection, Encoder, Segment
from mm_rag.errors import InputError
from tests.collection.conftest import segment

PAGES = [segment(f"page {n}", 1, page=n) for n in range(1, 13)]
PASSAGES = [segment(f"passage {n}", 2, part=n) for n in range(12)]
TWICE = [segment(f"{n} of 7", 3, page=7, part=n) for n in range(3)]
CLIPS = [
    segment(f"clip {n}", 4, modality="audio", media="/a.wav", start=9.0 * n, end=9.0 * n + 9)
    for n in range(12)
]


@pytest.fixture
def rows(encoder: Encoder) -> Iterator[Collection]:
    given = [*PAGES, *PASSAGES, *TWICE, *CLIPS]
    random.Random(5).shuffle(given)
    with Collection(":memory:", encoder=encoder) as collection:
        collection.add(given)
        yield collection


def ids(segments: list[Segment]) -> list[str]:
    return [each.id for each in segments]


@pytest.mark.parametrize("row", [PAGES, PASSAGES, TWICE, CLIPS])
def test_neighbours_are_in_order(rows: Collection, row: list[Segment]) -> None:
    for n, each in enumerate(row):
        assert ids(rows.neighbours(each)) == ids(row[max(0, n - 1) : n] + row[n + 1 : n + 2])
    assert ids(rows.neighbours(row[1], before=0, after=99)) == ids(row[2:])
    assert ids(rows.neighbours(row[1], before=99, after=0)) == ids(row[:1])
    assert rows.neighbours(row[1], before=0, after=0) == []


def test_the_neighbours_of_a_hit(rows: Collection) -> None:
    [hit] = rows.search("clip 5", 1)
    assert [each.text for each in rows.neighbours(hit)] == ["clip 4", "clip 6"]


def test_whose_neighbours_there_are_none(rows: Collection) -> None:
    with pytest.raises(InputError, match="is not in"):
        rows.neighbours(segment("page 99", 1, page=99))
    with pytest.raises(InputError, match="before = -1"):
        rows.neighbours(PAGES[0], before=-1)


def test_pages_of_a_document(collection: Collection, folder: Path) -> None:
    collection.sync(folder)
    [hit] = collection.search("ferry northern island", 1)
    assert [(each.page, each.modality) for each in collection.neighbours(hit)] == [(2, "image")]
