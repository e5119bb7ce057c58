"""Pictures beside a document: a sync notices when they change."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from mm_rag import Collection
from mm_rag.collection import SyncReport


def states(report: SyncReport) -> dict[str, str]:
    return {Path(file.path).name: file.state for file in report.files}


@pytest.mark.slow
def test_a_picture_that_changes_is_read_with_its_document(
    collection: Collection, tmp_path: Path
) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "pier.md").write_text("# Pier\n\n![The pier](<my pier.gif>)\n")
    assert states(collection.sync(folder))["pier.md"] == "indexed"
    Image.new("RGB", (64, 64), "teal").save(folder / "my pier.gif")
    assert states(collection.sync(folder))["pier.md"] == "indexed"
    Image.new("RGB", (80, 64), "red").save(folder / "my pier.gif")
    assert states(collection.sync(folder))["pier.md"] == "indexed"
    assert states(collection.sync(folder)) == {"pier.md": "unchanged", "my pier.gif": "unchanged"}
    (folder / "my pier.gif").unlink()
    assert states(collection.sync(folder))["pier.md"] == "indexed"
    assert collection.verify().ok
