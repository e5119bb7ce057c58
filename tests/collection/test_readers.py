"""One process adds, another one searches all the time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mm_rag import Collection
from tests.collection.conftest import segment

COUNT, BATCH = 2_000, 100

# Not imported from a file of its own: it has to run as a process that shares nothing with this one.
ADDING = f"""
import sys
from mm_rag import Collection, Encoder
from tests.collection.conftest import BagOfWords, segment

with Collection(sys.argv[1], encoder=Encoder(modules=[BagOfWords()])) as collection:
    for start in range(0, {COUNT}, {BATCH}):
        numbers = range(start, start + {BATCH})
        collection.add(segment(f"harbour number{{n}}", n) for n in numbers)
"""


def start_adding(place: Path) -> subprocess.Popen[str]:
    root = str(Path(__file__).parents[2])
    places = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", ADDING, str(place)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": places, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
@pytest.mark.heavy
def test_searches_while_another_process_adds(collection: Collection) -> None:
    real = {segment(f"harbour number{n}", n).id: f"harbour number{n}" for n in range(COUNT)}
    sizes: set[int] = set()
    with start_adding(collection.path) as adding:
        asked = 0
        while adding.poll() is None:
            asked += 1
            found = collection.search(f"harbour number{asked * 37 % COUNT}", 20)
            texts = {hit.segment.id: hit.segment.text for hit in found}
            assert texts.items() <= real.items()
            assert len(texts) == len(found)
            size = len(collection)
            assert size % BATCH == 0, "part of a batch is seen"
            assert size >= max(sizes, default=0), "what was there is gone"
            sizes.add(size)
        told = adding.stderr.read() if adding.stderr else ""
    assert adding.returncode == 0, told
    assert len(sizes) > 2, "nobody searched while it added"

    last = f"number{COUNT - 1}"
    assert collection.search(last, 1)[0].segment.text == f"harbour {last}"
    assert len(collection) == COUNT
    report = collection.verify()
    assert report.ok, report
