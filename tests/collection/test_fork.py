"""A forked child searches, encodes and reranks as its parent does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
]

SECONDS = 900  # a child that hangs never ends

IN_CHILD = """
import os, sys, threading, traceback
from mm_rag import Collection, Encoder, Reranker
from tests.collection.conftest import segment

def forked(task):
    child = os.fork()
    if not child:
        try:
            task()
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

def answers(collection):
    return [(hit.segment.text, round(hit.score, 4)) for hit in collection.search("the ferry", k=3)]
"""

SEARCH = """
collection = Collection(sys.argv[1])
collection.add(segment(f"what there is to say about ferry {n}", n) for n in range(5))
before = answers(collection)
assert before

def child():
    assert answers(collection) == before
    collection.add([segment("bread from the child", 99)])
    assert len(collection) == 6
    assert collection.search("bread from the child", k=1)[0].segment.id == segment("", 99).id
    forked(lambda: answers(collection))  # and its own child
    collection.close()

forked(child)
assert len(answers(collection)) == 3
assert len(collection) == (5 if sys.argv[1] == ":memory:" else 6)
collection.close()
"""

THREADS = """
collection = Collection(sys.argv[1])
collection.add(segment(f"what there is to say about ferry {n}", n) for n in range(5))
before, stop = answers(collection), threading.Event()

def search():
    while not stop.is_set():
        answers(collection)

threads = [threading.Thread(target=search) for _ in range(3)]
for thread in threads:
    thread.start()
for _ in range(3):  # whatever locks they hold
    forked(lambda: [answers(collection) for _ in range(2)] == [before] * 2 or 1 / 0)
stop.set()
for thread in threads:
    thread.join()
collection.close()
"""

MODELS = """
encoder, reranker = Encoder(), Reranker(encoder=Encoder())
vector = encoder.encode_query("the ferry")
scores = reranker.predict([("the ferry", "a ship"), ("the ferry", "a loaf")])

def child():
    assert abs(encoder.encode_query("the ferry") - vector).max() < 1e-5
    again = reranker.predict([("the ferry", "a ship"), ("the ferry", "a loaf")])
    assert abs(again - scores).max() < 1e-4

forked(child)
"""


def run(script: str, where: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", IN_CHILD + script, where],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def test_a_forked_child_searches_and_writes(tmp_path: Path) -> None:
    run(SEARCH, str(tmp_path / "kept"))


def test_a_forked_child_has_a_collection_in_memory_of_its_own() -> None:
    run(SEARCH, ":memory:")


def test_a_process_forks_while_its_threads_search(tmp_path: Path) -> None:
    run(THREADS, str(tmp_path / "kept"))


def test_models_work_in_a_forked_child() -> None:
    run(MODELS, "")
