"""A collection that is copied, renamed or mounted elsewhere has its pictures there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from mm_rag import Collection, Encoder, Hit
from mm_rag_loaders import LoadOptions
from tests.collection.conftest import BagOfWords, segment
from tests.media_made import make_pdf

pytestmark = pytest.mark.slow

HERE = LoadOptions(workers=0)


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("documents")
    make_pdf(made / "ferry.pdf", ["The ferry to the northern island leaves at seven."])
    return made


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, documents: Path) -> Path:
    folder = tmp_path_factory.mktemp("sound") / "kept"
    with Collection(folder, encoder=Encoder(modules=[BagOfWords()])) as collection:
        collection.sync(documents, options=HERE)
    return folder


def owned(hits: Sequence[Hit]) -> list[Path]:
    found = [
        Path(path)
        for hit in hits
        for one in (hit.segment, *hit.matched)
        for path in (one.media, one.preview, one.boxes)
        if path is not None
    ]
    assert found
    return found


def test_a_copy_has_its_own_pictures(sound: Path, tmp_path: Path, encoder: Encoder) -> None:
    place = Path(shutil.copytree(sound, tmp_path / "copied"))
    with Collection(place, encoder=encoder) as copy:
        for path in owned(copy.search("the ferry", k=3)):
            assert place in path.parents
            assert path.is_file()
        for one in copy.contents:
            assert one.media is None or Path(one.media).is_file()
        assert copy.verify().ok


def test_a_renamed_collection_tells_other_programs_at_the_next_write(
    sound: Path, tmp_path: Path, encoder: Encoder, documents: Path
) -> None:
    place = Path(shutil.copytree(sound, tmp_path / "one")).rename(tmp_path / "other")
    with Collection(place, encoder=encoder) as moved:
        assert moved.verify().ok
        moved.add([segment("another one", 1)])
        held = moved._session.store._collection.get(include=["metadatas", "uris"])  # pyright: ignore
        previews = [str(data["preview"]) for data in held["metadatas"] if "preview" in data]
        assert previews
        assert all(str(place) in preview for preview in previews)
        assert {one.state for one in moved.sync(documents, options=HERE).files} == {"unchanged"}
        assert moved.verify().ok


def test_a_collection_of_format_2_that_was_moved_finds_its_pictures(
    sound: Path, tmp_path: Path, encoder: Encoder
) -> None:
    place = Path(shutil.copytree(sound, tmp_path / "old"))
    as_format_2(place, Path("/elsewhere/kept"))
    with Collection(place, encoder=encoder) as old:
        assert all(path.is_file() for path in owned(old.search("the ferry", k=3)))
        assert old.verify().ok
        old.add([segment("another one", 1)])
        assert old.verify().ok


def as_format_2(folder: Path, was_at: Path) -> None:
    """Make a catalog as an older mm_rag wrote it in another folder."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(folder / "default" / "ledger.sqlite3")) as catalog, catalog:
        for id_, record in catalog.execute("SELECT id, record FROM segments").fetchall():
            told = json.loads(record)
            for name in ("media", "preview", "boxes"):
                if str(told.get(name, "")).startswith("assets/"):
                    told[name] = str(was_at / told[name])
            catalog.execute("UPDATE segments SET record = ? WHERE id = ?", (json.dumps(told), id_))
        for table in ("segments", "drafts", "reindexed"):
            catalog.execute(f"ALTER TABLE {table} DROP COLUMN checksums")
        catalog.execute("UPDATE meta SET value = '2' WHERE key = 'format'")
        catalog.execute("DELETE FROM meta WHERE key = 'folder'")


READ = """
import json, sys
from pathlib import Path
from mm_rag import Collection, Encoder
from mm_rag.errors import CollectionError
from tests.collection.conftest import BagOfWords, segment

with Collection(sys.argv[1], encoder=Encoder(modules=[BagOfWords()])) as collection:
    hit = collection.search("the ferry", k=1)[0]
    try:
        collection.add([segment("more", 1)])
        said = ""
    except CollectionError as error:
        said = str(error)
    told = [hit.segment.text, Path(hit.segment.preview).is_file(), collection.verify().ok, said]
print(json.dumps(told))
"""

MOUNT = 'mount --bind "$1" "$2" && mount -o remount,ro,bind "$2" && shift 2 && exec "$@"'


def test_a_collection_that_is_mounted_read_only_is_searched(sound: Path, tmp_path: Path) -> None:
    place = tmp_path / "mounted"
    place.mkdir()
    unshare = ["unshare", "-m", "sh", "-c", MOUNT, "sh", str(sound), str(place)]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*unshare, "true"], check=False).returncode
    ):
        pytest.skip("this user may not mount anything")
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in sound.rglob("*")}
    ended = subprocess.run(
        [*unshare, sys.executable, "-c", READ, str(place)],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    text, has_preview, is_whole, said = json.loads(ended.stdout)
    assert "ferry" in text
    assert has_preview
    assert is_whole
    assert "read-only" in said
    assert {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in sound.rglob("*")} == before
    assert not list(tmp_path.glob("mm-rag-*"))  # nothing is left
