"""Pages and passages with the same words in several files stand in the list once."""

from __future__ import annotations

from pathlib import Path

from mm_rag import Collection
from mm_rag.evaluation import Place
from mm_rag.evaluation.questions import place_of
from mm_rag.record import hit_to_metadata
from tests.collection.conftest import segment

FEES = "The notice period is three months, and the fee is due on the first day of each month."


def test_copies_fill_only_the_end_of_the_list(collection: Collection) -> None:
    """They differ in case and spacing, which no reader takes for another text."""
    copies = [segment(FEES.replace(" fee", "  FEE") if n % 2 else FEES, n) for n in range(12)]
    others = [segment(f"The notice board number {n} hangs in the hall.", 20 + n) for n in range(3)]
    collection.add([*copies, *others])

    everything = collection.search("notice period fee", 15)
    first = everything[0].segment.source
    assert {hit.segment.source for hit in everything[1:4]} == {*_sources(20, 21, 22)}
    short = collection.search("notice period fee", 3)
    assert [hit.segment.id for hit in short] == [hit.segment.id for hit in everything[:3]]
    assert {one.source for one in everything[0].same_words} | {first} == {*_sources(*range(12))}
    assert [hit.same_words for hit in everything[1:]] == [()] * 14
    scores = [hit.score for hit in everything]
    assert min(scores[4:]) > max(scores[1:4])


def test_versions_that_differ_in_a_word_both_stay(collection: Collection) -> None:
    collection.add([segment(FEES, 0), segment(FEES.replace("three", "six"), 1)])
    collection.add(
        segment(f"The notice board number {n} hangs in the hall.", 20 + n) for n in range(5)
    )

    hits = collection.search("notice period fee of six months", 2)

    assert {hit.segment.source for hit in hits} == {*_sources(0, 1)}
    assert [hit.same_words for hit in hits] == [(), ()]


def test_pages_of_the_same_file_may_repeat(collection: Collection) -> None:
    pages = [segment(FEES, 0, source="/nowhere/a.pdf", page=page) for page in (1, 2)]
    collection.add([*pages, segment("The notice board hangs in the hall.", 20)])

    hits = collection.search("notice period fee", 2)

    assert {hit.segment.page for hit in hits} == {1, 2}


def test_a_filter_decides_which_copy_is_shown(collection: Collection) -> None:
    collection.add([segment(FEES, 0), segment(FEES, 1, metadata={"version": 2})])

    (hit,) = collection.search("notice period fee", 5, where={"version": 2})

    assert (hit.segment.source, hit.same_words) == ("/nowhere/1.txt", ())


def test_the_copy_is_named_in_metadata_and_right_in_an_evaluation(collection: Collection) -> None:
    collection.add([segment(FEES, n, page=4) for n in range(2)])

    (hit,) = collection.search("notice period fee", 1)

    (copy,) = hit.same_words
    assert hit_to_metadata(hit)["same_words"] == f"{copy.source} page 4"
    found = place_of(hit, Path("/nowhere"))
    assert all(Place(file=f"{n}.txt", page=4).matches(found) for n in range(2))


def _sources(*numbers: int) -> list[str]:
    return [f"/nowhere/{number}.txt" for number in numbers]
