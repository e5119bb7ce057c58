"""Whatever happens in whatever order, the collection is what a simple model says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collection.chroma_server import ChromaServer
from tests.collection.conftest import segment
from tests.collection.model import operations
from tests.collection.model.driver import new_world, run
from tests.collection.model.expected import Document, Model, loose_segment
from tests.collection.model.operations import OPTIONS, World

pytestmark = pytest.mark.slow


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.heavy)])
def test_it_is_what_the_model_says(tmp_path: Path, seed: int) -> None:
    outcome = run(tmp_path, seed=seed, operations=150)
    assert outcome.difference is None, outcome.difference
    assert outcome.operations == 152
    assert outcome.syncs
    assert outcome.segments


@pytest.mark.slow
@pytest.mark.heavy
@pytest.mark.enable_socket
def test_it_is_what_the_model_says_on_a_chroma_server(tmp_path: Path) -> None:
    server = ChromaServer(tmp_path / "chroma")
    try:
        outcome = run(tmp_path, seed=3, operations=60, chroma=server.address)
        assert outcome.difference is None, outcome.difference
        assert outcome.syncs
        assert outcome.kills
    finally:
        server.stop()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = new_world(tmp_path, seed=1)
    made.model.root.mkdir(exist_ok=True)
    yield made
    made.collection.close()


def test_files_that_change_places_stay(world: World) -> None:
    one, other = world.model.root / "one.txt", world.model.root / "other.txt"
    world.put(one, world.document())
    world.put(other, world.document())
    operations.sync(world)
    one.replace(world.model.root / "aside.txt")
    other.replace(one)
    (world.model.root / "aside.txt").replace(other)
    disk = world.model.disk
    disk[one], disk[other] = disk[other], disk[one]
    operations.sync(world)


@pytest.mark.parametrize("newest_first", [False, True])
def test_rotated_files_stay(world: World, newest_first: bool) -> None:
    """As logs are: 2 becomes 3, 1 becomes 2, and there is a new 1."""
    names = ["a.txt", "b.txt", "c.txt"]
    oldest, middle, newest = (
        world.model.root / name for name in (names if newest_first else names[::-1])
    )
    world.put(middle, world.document())
    world.put(newest, world.document())
    operations.sync(world)
    middle.replace(oldest)
    newest.replace(middle)
    disk = world.model.disk
    disk[oldest], disk[middle] = disk[middle], disk[newest]
    world.put(newest, world.document())
    operations.sync(world)


def test_a_large_file_gets_another_suffix_and_its_name_goes_to_a_small_one(world: World) -> None:
    """The large one is read anew in several batches, and the small one is in before the last."""
    text = " ".join(f"word{number}" for number in range(280 * 150))
    small, large = world.model.root / "a.txt", world.model.root / "b.md"
    world.put(small, Document(text, "word7"))
    operations.sync(world)
    small.replace(large)
    world.model.disk[large] = world.model.disk.pop(small)
    world.put(small, world.document())
    operations.sync(world)
    operations.verify(world)


def test_the_model_sees_what_is_wrong(tmp_path: Path) -> None:
    """Lost, doubled, stale and strange Segments are differences."""
    model = Model(tmp_path)
    model.disk = {tmp_path / name: Document("one two three", "two") for name in ("a.txt", "b.txt")}
    for path, document in model.disk.items():
        path.write_text(document.text)
    model.synced(tmp_path, OPTIONS)
    loose = loose_segment(1, "four")
    model.added[loose.id] = ("four", loose)
    twins = [segments for _, segments in model.held.values()]
    for [one] in twins:
        assert model.difference([one, loose]) is None
        assert model.difference([one]) is not None
        assert model.difference([one, one, loose]) is not None
        assert model.difference([one, loose, segment("five")]) is not None
    assert model.difference([*twins[0], *twins[1], loose]) is not None
    assert model.words() == {"two": set(map(str, model.disk)), "four": {"/nowhere/1.txt"}}
