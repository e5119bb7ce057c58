"""Places are found by vectors and by words, merged, filtered and ranked."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from mm_rag import Collection
from mm_rag.collection.catalog import Catalog
from mm_rag.collection.search.scaling import min_max
from mm_rag.collection.store import VectorStore
from mm_rag.errors import InputError
from tests.collection.conftest import segment


def test_a_page_is_one_hit_with_all_that_matched(collection: Collection, folder: Path) -> None:
    collection.sync(folder)
    hits = collection.search("ferry northern island", k=10)
    places = [(hit.segment.source, hit.segment.page) for hit in hits]
    assert len(places) == len(set(places)) == 3
    assert hits[0].segment.modality == "image"
    assert {found.modality for found in hits[0].matched} == {"image", "text"}
    assert [hit.rank for hit in hits] == [1, 2, 3]
    assert {"vector:words", "lexical"} <= set(hits[0].scores) or "lexical" in hits[0].scores
    assert hits[0].score >= hits[1].score >= hits[2].score


def test_rare_words_are_found_that_vectors_do_not_know(collection: Collection) -> None:
    passages = [f"spare part number {n} of the pump" for n in range(50)]
    passages[31] = "spare part XJ-9 40/B of the pump"
    collection.add(segment(text, number) for number, text in enumerate(passages))
    assert "XJ-9" in collection.search("XJ-9 40/B", k=1)[0].segment.text


def test_words_are_stemmed(collection: Collection) -> None:
    collection.add([segment("The valves were leaking", 1), segment("A quiet garden", 2)])
    hits = collection.search("leak valve")
    by_words = {hit.segment.text for hit in hits if "lexical" in hit.scores}
    assert by_words == {"The valves were leaking"}


def test_query_syntax_is_only_words(collection: Collection) -> None:
    collection.add([segment("alpha beta", 1)])
    assert collection.search('alpha AND (beta" OR -title:x \\ : *', k=1)


def test_where_filters_both_vectors_and_words(collection: Collection, folder: Path) -> None:
    collection.sync(folder)
    hits = collection.search("ferry", k=10, where={"page": 2})
    assert [hit.segment.page for hit in hits] == [2]


def test_modalities_filter(collection: Collection, folder: Path) -> None:
    collection.sync(folder)
    hits = collection.search("ferry", k=10, modalities=["text"], where={"page": 1})
    assert {found.modality for hit in hits for found in hit.matched} == {"text"}


def test_a_filter_that_chroma_refuses_is_an_input_error(
    collection: Collection, folder: Path
) -> None:
    collection.sync(folder)
    with pytest.raises(InputError, match="filter"):
        collection.search("ferry", where={"$and": [{"page": 1}]})


@pytest.mark.parametrize("query", ["", "   ", "\n"])
def test_no_words_find_nothing(collection: Collection, query: str) -> None:
    collection.add([segment("alpha", 1)])
    assert collection.search(query) == []


def test_an_empty_collection_finds_nothing(collection: Collection) -> None:
    assert collection.search("anything") == []


@pytest.mark.slow
def test_a_very_long_query_is_a_query(collection: Collection) -> None:
    collection.add([segment("alpha", 1)])
    assert collection.search("alpha " * 20_000)


def test_k_below_one_is_an_error(collection: Collection) -> None:
    with pytest.raises(InputError, match="k = 0"):
        collection.search("alpha", k=0)


def test_a_str_is_words_even_when_it_names_a_file(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plan.png").write_bytes(b"not a picture")
    monkeypatch.chdir(tmp_path)
    collection.add([segment("look at plan png", 1)])
    assert collection.search("plan.png", k=1)[0].segment.text == "look at plan png"


def test_min_max_stretches() -> None:
    assert min_max({"a": 2.0, "b": 4.0, "c": 3.0}) == {"a": 0.0, "b": 1.0, "c": 0.5}
    assert min_max({"a": 7.0}) == {"a": 1.0}
    assert min_max({}) == {}


def test_a_list_that_knows_one_word_of_many_is_not_sure(collection: Collection) -> None:
    """BM25's best page counts for what it matches, not for being the best of its list."""
    collection.add(segment(f"filler about topic{n}", n) for n in range(30))
    one_word = collection.search("topic7 and seven words that no text has", k=1)[0]
    all_words = collection.search("filler about topic7", k=1)[0]
    assert one_word.segment.text == all_words.segment.text == "filler about topic7"
    assert all_words.score > one_word.score


@pytest.mark.slow
def test_the_lexical_score_survives_deletions(collection: Collection) -> None:
    """tantivy counts deleted documents in some statistics and not in others."""
    collection.add(segment(f"common words and rare{n}", n) for n in range(60))
    for _ in range(3):
        collection.add(segment(f"common words and rare{n}", n) for n in range(55))
    hits = collection.search("common words rare3", k=60, rerank=False)
    lexical = [hit.scores["lexical"] for hit in hits if "lexical" in hit.scores]
    assert hits[0].segment.text == "common words and rare3"
    assert hits[0].scores["lexical"] == max(lexical)
    assert all(0.0 <= score <= 1.0 for score in lexical)


def test_repeating_a_word_changes_nothing(collection: Collection) -> None:
    collection.add(segment(f"york minster {n}", n) for n in range(5))
    [once, thrice] = (
        collection.search(query, k=1, rerank=False)[0].scores["lexical"]
        for query in ("york", "york york york")
    )
    assert once == pytest.approx(thrice)


@pytest.mark.slow
def test_k_may_be_larger_than_the_usual_depth(collection: Collection) -> None:
    collection.add(segment(f"report number {n}", n) for n in range(400))
    assert len(collection.search("report", k=300, rerank=False)) == 300


@pytest.mark.parametrize("modalities", [[], ["picture"], "photo"])
def test_modalities_that_do_not_exist_are_an_error(
    collection: Collection, modalities: list[str] | str
) -> None:
    with pytest.raises(InputError, match="modalities"):
        collection.search("alpha", modalities=modalities)  # pyright: ignore[reportArgumentType]


def test_half_a_surrogate_pair_is_no_crash(collection: Collection) -> None:
    collection.add([segment("alpha", 1)])
    assert collection.search("alpha \ud83d", k=1)


@pytest.mark.slow
def test_searching_while_another_thread_writes(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Slowed down, so that a reader that takes the writer's own count for another process's and
    # closes the vectors does it while the writer is using them.
    _linger(monkeypatch, Catalog, "advance", 0.02)
    _linger(monkeypatch, VectorStore, "close", 0.1)
    collection.add(segment(f"passage {n}", n) for n in range(50))
    failures: list[BaseException] = []
    done = threading.Event()

    def search() -> None:
        try:
            while not done.is_set():
                assert collection.search("passage 7", k=3, rerank=False)
        except BaseException as error:  # noqa: BLE001 - tantivy panics are no Exceptions
            failures.append(error)

    readers = [threading.Thread(target=search) for _ in range(4)]
    for reader in readers:
        reader.start()
    try:
        for start in range(50, 90, 4):
            collection.add(segment(f"passage {n}", n) for n in range(start, start + 4))
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert failures == []


def _linger(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, seconds: float) -> None:
    method = getattr(owner, name)

    def slow(self: object, *args: object) -> object:
        result = method(self, *args)
        time.sleep(seconds)
        return result

    monkeypatch.setattr(owner, name, slow)
