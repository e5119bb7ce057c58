"""Whatever happens in whatever order, the collection is what a simple model says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.collection.conftest import segment
from tests.collection.model.driver import run
from tests.collection.model.expected import Document, Model, loose_segment
from tests.collection.model.operations import OPTIONS


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_it_is_what_the_model_says(tmp_path: Path, seed: int) -> None:
    outcome = run(tmp_path, seed=seed, operations=150)
    assert outcome.difference is None, outcome.difference
    assert outcome.operations == 152
    assert outcome.syncs
    assert outcome.segments


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
