"""A search sees one state of a collection, and what is equal has a fixed order."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from mm_rag import Collection, Encoder
from mm_rag.collection.catalog import Catalog
from mm_rag.collection.pipeline import BATCH
from mm_rag_loaders import LoadOptions
from tests.collection.conftest import segment
from tests.collection.test_parallel_searches import in_threads

pytestmark = pytest.mark.slow

ADDED = 3 * BATCH
HERE = LoadOptions(workers=0)
QUERIES = ("ferry north", "island ferry AB-123", "nor* tide", "bread")
WORDS = [
    "ferry",
    "north",
    "northern",
    "island",
    "tide",
    "bread",
    "AB-123",
    "AB-124",
    "harbour",
    "mast",
]


def texts(n: int, seed: int, most: int = 40) -> list[str]:
    chance = random.Random(seed)
    return [" ".join(chance.choices(WORDS, k=chance.randint(3, most))) for _ in range(n)]


def answers(collection: Collection, queries: Sequence[str], k: int = 10) -> tuple[object, ...]:
    return tuple(
        tuple(
            (hit.segment.id, hit.segment.text, round(hit.score, 6))
            for hit in collection.search(query, k=k, rerank=False)
        )
        for query in queries
    )


def test_searches_beside_a_sync_are_of_the_state_before_or_after(
    tmp_path: Path, encoder: Encoder
) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    for n, text in enumerate(texts(12, 4)):
        (folder / f"{n}.txt").write_text(text)
    with Collection(tmp_path / "kept", encoder=encoder) as collection:
        collection.sync(folder, options=HERE)
        seen: set[tuple[object, ...]] = set()
        states = {query: {answers(collection, [query])} for query in QUERIES}
        done, errors = threading.Event(), list[BaseException]()

        def search() -> None:
            while not done.is_set():
                for query in QUERIES:
                    seen.add((query, answers(collection, [query])))

        def write() -> None:
            try:
                for n in range(4):
                    # One file is replaced by a much longer one of the same words, in one commit.
                    (folder / f"{n}.txt").write_text(texts(1, 50 + n, most=900)[0])
                    collection.sync(folder, options=HERE)
                    for query in QUERIES:
                        states[query].add(answers(collection, [query]))
            finally:
                done.set()

        errors = in_threads([write, *[search] * 4])
        assert errors == []
        assert seen
        strange = [(query, answer) for query, answer in seen if answer not in states[str(query)]]
        assert strange == []


ADDING = """
import sys
from pathlib import Path
from mm_rag import Collection, Encoder
from tests.collection.conftest import BagOfWords, segment
from tests.collection.test_one_state import ADDED, texts

with Collection(Path(sys.argv[1]), encoder=Encoder(modules=[BagOfWords()])) as collection:
    collection.add(segment(text, 100 + n) for n, text in enumerate(texts(ADDED, 7)))
"""


@pytest.mark.slow
def test_another_process_sees_every_commit_whole(tmp_path: Path, encoder: Encoder) -> None:
    """What Chroma's client here does not know yet is found by its vector nevertheless."""
    before = [segment(text, n) for n, text in enumerate(texts(60, 6))]
    added = [segment(text, 100 + n) for n, text in enumerate(texts(ADDED, 7))]
    with Collection(":memory:", encoder=encoder) as twin:
        twin.add(before)
        states = [answers(twin, QUERIES)]
        for start in range(0, ADDED, BATCH):
            twin.add(added[start : start + BATCH])
            states.append(answers(twin, QUERIES))
    assert len(set(states)) == len(states)
    with Collection(tmp_path / "kept", encoder=encoder) as collection:
        collection.add(before)
        assert answers(collection, QUERIES) == states[0]
        seen: set[tuple[int, object]] = set()
        with in_a_process(ADDING, collection.path) as adding:
            while adding.poll() is None:
                for n, query in enumerate(QUERIES):
                    seen.add((n, answers(collection, [query])))
            told = adding.stderr.read() if adding.stderr else ""
        assert adding.returncode == 0, told
        assert answers(collection, QUERIES) == states[-1]
    known = {(n, (state[n],)) for state in states for n in range(len(QUERIES))}
    assert seen
    assert seen <= known


def in_a_process(code: str, place: Path) -> subprocess.Popen[str]:
    root = str(Path(__file__).parents[2])
    places = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", code, str(place)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": places, "OMP_NUM_THREADS": "1"},
    )


def test_a_write_that_could_not_begin_is_over(
    tmp_path: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Afterwards Chroma is reopened as before when another one has written."""
    place = tmp_path / "kept"
    with Collection(place, encoder=encoder) as failed, Collection(place, encoder=encoder) as other:
        other.add([segment("ferry", 1)])
        assert len(failed.search("tide", rerank=False)) == 1
        monkeypatch.setattr(Catalog, "advance", _full_disk)
        with pytest.raises(OSError, match="full"):
            failed.add([segment("harbour", 2)])
        monkeypatch.undo()
        other.add([segment("mast", 3)])
        assert len(failed.search("tide", rerank=False)) == 2


def _full_disk(*_: object) -> None:
    raise OSError("The disk is full.")


def test_openings_give_equal_answers(tmp_path: Path, encoder: Encoder) -> None:
    """Every text is a word of its own, and no query shares one: only vectors find anything."""
    place = tmp_path / "kept"
    with Collection(place, encoder=encoder) as made:
        made.add(segment(f"word{n}", n) for n in range(1_700))
    with closing(sqlite3.connect(place / "chroma" / "chroma.sqlite3")) as chroma:
        [(left,)] = chroma.execute("SELECT count(*) FROM embeddings_queue").fetchall()
    assert left <= 1, "every opening adds these to the index in another way"
    told: set[object] = set()
    for _ in range(3):
        with Collection(place, encoder=encoder) as collection:
            told.add(answers(collection, [f"query{n}" for n in range(30)], k=100))
    assert len(told) == 1


def test_a_page_counts_as_what_a_quota_has_room_for(collection: Collection, folder: Path) -> None:
    collection.sync(folder, options=HERE)
    for modality in ("image", "text"):
        hits = collection.search("sourdough bread", modalities={modality: 3}, rerank=False)
        assert {hit.segment.modality for hit in hits} == {modality}
    hits = collection.search("bicycles ferry bread", modalities={"image": 2, "text": 1})
    assert sorted(hit.segment.modality for hit in hits) == ["image", "image", "text"]
    assert len({hit.segment.place for hit in hits}) == 3
