"""Searches run at the same time, while one thread writes and other processes have written."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mm_rag import Collection, Encoder, Reranker
from mm_rag.collection.readers_writer_lock import ReadersWriterLock
from mm_rag.preprocessing.chat_template import PairOrChat
from mm_rag.rerankers.model import RerankerModel, ScoreOptions
from tests.collection.conftest import segment
from tests.media_made import make_pdf

pytestmark = pytest.mark.slow

PATIENCE = 30.0


class Judge(RerankerModel):
    """A judge that is never asked."""

    is_cross_encoder = True

    @property
    def modalities(self) -> tuple[str, ...]:
        return ("text",)

    def score(self, pairs: Sequence[PairOrChat], options: ScoreOptions) -> Tensor:
        return torch.zeros(len(pairs), 1)

    def save(self, folder: Path) -> None:
        pass


def in_threads(tasks: Sequence[Callable[[], object]]) -> list[BaseException]:
    failures: list[BaseException] = []

    def run(task: Callable[[], object]) -> None:
        try:
            task()
        except BaseException as error:  # noqa: BLE001 - tantivy panics are no Exceptions
            failures.append(error)

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return failures


def test_a_slow_reranker_holds_up_nobody(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two searches are within reranking at once, or this times out."""
    barrier = threading.Barrier(2)
    reranker = Reranker(modules=[Judge()], activation_fn=torch.nn.Identity())

    def predict(self: Reranker, pairs: Sequence[object]) -> Tensor:
        barrier.wait(PATIENCE)
        return torch.zeros(len(pairs))

    monkeypatch.setattr(Reranker, "predict", predict)
    with Collection(":memory:", encoder=collection.encoder, reranker=reranker) as reranked:
        reranked.add([segment("alpha", 1)])
        assert in_threads([lambda: reranked.search("alpha")] * 2) == []


def test_a_slow_query_holds_up_nobody(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.add([segment("alpha", 1)])
    barrier, encode = threading.Barrier(2), Encoder.encode_query

    def slowly(self: Encoder, query: object) -> object:
        barrier.wait(PATIENCE)
        return encode(self, query)

    monkeypatch.setattr(Encoder, "encode_query", slowly)
    assert in_threads([lambda: collection.search("alpha")] * 2) == []


def test_eight_search_while_one_adds_and_syncs(collection: Collection, folder: Path) -> None:
    """Each addition is of two that are seen together; each version of a file replaces the other."""
    collection.add(segment(f"pair 0 {side}", side) for side in range(2))
    collection.sync(folder)
    done, seen_pairs = threading.Event(), set[int]()

    def search() -> None:
        while not done.is_set():
            hits = collection.search("pair", 100)
            found = [hit.segment.text for hit in hits if hit.segment.text.startswith("pair")]
            assert len(found) == len(set(found))
            numbers = [text.split()[1] for text in found]
            assert all(numbers.count(number) == 2 for number in numbers), found
            seen_pairs.add(len(found))
            versions = {h.segment.sha256 for h in hits if h.segment.source.endswith("moving.pdf")}
            assert len(versions) <= 1

    def write() -> None:
        try:
            for n in range(1, 6):
                collection.add(segment(f"pair {n} {side}", 2 * n + side) for side in range(2))
                make_pdf(folder / "moving.pdf", [f"Version {n} of the pair."])
                collection.sync(folder)
        finally:
            done.set()

    assert in_threads([write, *[search] * 8]) == []
    assert max(seen_pairs) > 2


def test_searches_go_on_while_the_store_is_opened_anew(
    collection: Collection, encoder: Encoder
) -> None:
    """Another Collection on the folder writes: this one opens its vectors again and again."""
    collection.add([segment("alpha 0", 0)])
    done = threading.Event()

    def search() -> None:
        while not done.is_set():
            assert collection.search("alpha", 50)

    def write() -> None:
        try:
            with Collection(collection.path, encoder=encoder) as other:
                for n in range(1, 6):
                    other.add([segment(f"alpha {n}", n)])
                    time.sleep(0.05)
        finally:
            done.set()

    assert in_threads([write, *[search] * 4]) == []
    assert len(collection.search("alpha", 50)) == 6


def test_a_writer_excludes_readers_and_other_writers() -> None:
    shared = ReadersWriterLock()
    inside, most, lock = [0, 0], [0, 0], threading.Lock()

    def use(kind: int) -> None:
        for _ in range(30):
            with shared.write() if kind else shared.read():
                with lock:
                    inside[kind] += 1
                    most[kind] = max(most[kind], inside[kind])
                    assert inside[1] == 0 or (inside[0] == 0 and inside[1] == 1)
                time.sleep(0.001)
                with lock:
                    inside[kind] -= 1

    assert in_threads([lambda kind=kind: use(kind) for kind in (0, 0, 0, 0, 1, 1)]) == []
    assert most[0] > 1
    assert most[1] == 1
