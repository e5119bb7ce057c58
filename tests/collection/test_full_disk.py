"""Nothing can be written: an error that says so, and nothing of what was there is lost."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mm_rag import Collection, Encoder
from mm_rag.errors import CollectionError
from tests.collection.conftest import BagOfWords, segment

pytestmark = pytest.mark.slow

FULL = """
import resource, sys
from mm_rag import Collection, Encoder
from mm_rag.errors import CollectionError
from tests.collection.conftest import BagOfWords, segment

with Collection(sys.argv[1], encoder=Encoder(modules=[BagOfWords()])) as collection:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
    try:
        collection.add(segment(f"new {n} " + "word " * 200, n) for n in range(600))
    except CollectionError as error:
        said = str(error)
    else:
        said = "nothing"
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    assert "disk" in said, said
    assert collection.search("old", k=1)[0].segment.text == "old"
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs setrlimit")
@pytest.mark.parametrize("limit", [50_000, 400_000])
def test_a_full_disk_is_an_error_and_the_next_run_finishes(tmp_path: Path, limit: int) -> None:
    encoder = Encoder(modules=[BagOfWords()])
    with Collection(tmp_path, encoder=encoder) as collection:
        collection.add([segment("old", -1)])
    command = [sys.executable, "-c", FULL, str(tmp_path), str(limit)]
    subprocess.run(command, cwd=Path(__file__).parents[2], check=True)
    with Collection(tmp_path, encoder=encoder) as collection:
        assert collection.search("old", k=1)[0].segment.text == "old"
        collection.add(segment(f"new {n}", n) for n in range(600))
        assert len(collection) == 601
        assert collection.verify().ok


def test_a_lock_that_cannot_be_made_is_an_error(collection: Collection) -> None:
    lock = collection.path / "writer.lock"
    lock.unlink(missing_ok=True)
    lock.mkdir()
    with pytest.raises(CollectionError, match="cannot be written to"):
        collection.add([segment("alpha", 1)])
    assert collection.search("alpha") == []


def test_a_removed_folder_of_pictures_is_made_again(collection: Collection, folder: Path) -> None:
    collection.sync(folder)
    shutil.rmtree(collection.path / "assets")
    report = collection.verify()
    assert len(report.missing_files) > 0
    assert report.unfinished == ()
    assert collection.search("sourdough bread", k=1)
    collection.repair()
    collection.sync(folder)
    assert collection.verify().ok
