"""What was deleted does not count in the search by words, and what is equal has a fixed order."""

from __future__ import annotations

import random

from mm_rag.collection.lexical import LexicalIndex
from tests.collection.conftest import segment

QUERIES = ("ferry north", "island ferry AB-123", "nor* tide", "bread")
WORDS = ("ferry", "north", "northern", "island", "tide", "bread", "AB-123", "AB-124", "harbour")


def texts(n: int, seed: int, most: int = 40) -> list[str]:
    chance = random.Random(seed)
    return [" ".join(chance.choices(WORDS, k=chance.randint(3, most))) for _ in range(n)]


def found(index: LexicalIndex, query: str) -> list[tuple[str, float]]:
    return [(id_, round(match.share, 5)) for id_, match in index.search(query, 20)]


def test_deleted_texts_do_not_count() -> None:
    kept = [segment(text, n, title=f"Log {n}") for n, text in enumerate(texts(60, 1))]
    gone = [segment(text, 1_000 + n) for n, text in enumerate(texts(90, 2, most=400))]
    never, once = LexicalIndex(None), LexicalIndex(None)
    never.put(kept)
    mixed = [*kept, *gone]
    random.Random(3).shuffle(mixed)
    once.put(mixed)
    once.drop([one.id for one in gone])
    for query in QUERIES:
        assert found(never, query)
        assert found(once, query) == found(never, query)


def test_equals_have_an_order_that_does_not_depend_on_when_they_were_written() -> None:
    same = [segment("the ferry leaves at seven", n) for n in range(60)]
    one, other = LexicalIndex(None), LexicalIndex(None)
    one.put(same)
    for part in (same[40:], same[:15], same[15:40]):
        other.put(reversed(part))
    assert one.search("ferry", 7) == other.search("ferry", 7)
    assert [id_ for id_, _ in one.search("ferry", 7)] == sorted(each.id for each in same)[:7]
