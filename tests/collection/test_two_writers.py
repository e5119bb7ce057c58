"""One writes at a time: two that write without knowing of each other would lose vectors."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from benchmarks.collections.writers import write_together
from mm_rag import Collection, Encoder
from mm_rag.errors import CollectionLocked
from tests.collection.conftest import BagOfWords, segment
from tests.collection.model.victim import forking

pytestmark = pytest.mark.slow


@pytest.mark.slow
def test_two_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    together = write_together(tmp_path / "collection", each=300)
    assert together.written == 600
    assert together.lost == together.doubled == 0
    assert together.sound


def hold(path: Path, folder: Path, holding: Event, released: Event) -> None:
    """Sync, and stop in the middle of it."""

    def wait(_: object) -> None:
        holding.set()
        released.wait(60.0)

    with Collection(path, encoder=Encoder(modules=[BagOfWords()])) as collection:
        collection.sync(folder, on_progress=wait)


@contextmanager
def held(path: Path, folder: Path) -> Generator[tuple[int, Event]]:
    """Another process that is writing, until the event is set; its id."""
    holding, released = forking().Event(), forking().Event()
    process = forking().Process(target=hold, args=(path, folder, holding, released))
    process.start()
    try:
        assert holding.wait(60.0)
        yield process.pid or 0, released
        released.set()
        process.join()
        assert process.exitcode == 0
    finally:
        process.kill()


def test_who_does_not_wait_is_told_who_writes(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "tide.txt").write_text("High tide is at nine.")
    path, encoder = tmp_path / "collection", Encoder(modules=[BagOfWords()])
    with (
        held(path, tmp_path / "files") as (pid, released),
        Collection(path, encoder=encoder, wait=0.0) as other,
    ):
        assert pid != os.getpid()
        with pytest.raises(CollectionLocked, match=str(pid)):
            other.add([segment("alpha", 1)])
        assert other.search("tide") == []  # reading needs no lock, and nothing is half in
        released.set()


def test_who_waits_has_its_turn(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "tide.txt").write_text("High tide is at nine.")
    path, encoder = tmp_path / "collection", Encoder(modules=[BagOfWords()])
    with (
        held(path, tmp_path / "files") as (_, released),
        Collection(path, encoder=encoder, wait=60.0) as other,
    ):
        threading.Timer(0.3, released.set).start()
        other.add([segment("alpha", 1)])
        assert {hit.segment.text for hit in other.search("alpha tide")} == {
            "alpha",
            "High tide is at nine.",
        }
        assert other.verify().ok


def add_many(path: Path) -> None:
    with Collection(path, encoder=Encoder(modules=[BagOfWords()])) as collection:
        collection.add(segment(f"theirs {n}", n) for n in range(1_500))


@pytest.mark.slow
def test_two_that_are_open_in_one_process_both_find_what_another_one_wrote(tmp_path: Path) -> None:
    """Chroma would share one stale index among all who open a folder in a process."""
    encoder = Encoder(modules=[BagOfWords()])
    with (
        Collection(tmp_path, encoder=encoder) as first,
        Collection(tmp_path, encoder=encoder, name="beside") as second,
    ):
        first.add([segment("ours", -1)])
        second.add([segment("beside", -2)])
        process = forking().Process(target=add_many, args=(tmp_path,))
        process.start()
        process.join()
        assert process.exitcode == 0
        hit = first.search("theirs 700", k=1, rerank=False)[0]
        assert (hit.segment.text, "vector:words" in hit.scores) == ("theirs 700", True)
        first.add(segment(f"ours {n}", 5_000 + n) for n in range(1_500))
        assert first.verify().ok
        assert second.search("beside", k=1)[0].segment.text == "beside"
        assert second.verify().ok
