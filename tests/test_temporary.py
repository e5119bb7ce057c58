"""Temporary folders go with what made them, and those of killed processes with the next one."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mm_rag._temporary import TemporaryFolder
from mm_rag.collection import Collection

needs_locks = pytest.mark.skipif(sys.platform == "win32", reason="folders cannot be locked there")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that temporary ones are made in, by child processes too."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_a_folder_goes_when_it_is_closed_and_when_it_is_forgotten(place: Path) -> None:
    with TemporaryFolder() as folder:
        (folder.path / "a").write_text("a")
        assert [folder.path] == list(place.iterdir())
    assert not list(place.iterdir())
    forgotten = TemporaryFolder()
    del forgotten
    assert not list(place.iterdir())


@pytest.mark.parametrize("end", ["", "raise KeyError", "raise SystemExit(3)"])
def test_a_folder_goes_with_its_process(place: Path, end: str) -> None:
    made = "from mm_rag._temporary import TemporaryFolder; a = TemporaryFolder(); assert a\n"
    run(f"{made}{end}")
    assert not list(place.iterdir())


@needs_locks
@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM"])
def test_what_a_killed_process_left_goes_with_the_next_folder(place: Path, how: str) -> None:
    kill = f"import os, signal; os.kill(os.getpid(), signal.{how})"
    made = "from mm_rag._temporary import TemporaryFolder; a = TemporaryFolder()"
    assert run(f"{made}; (a.path / 'big').write_text('b'); {kill}").returncode < 0
    (left,) = place.iterdir()
    somebody_elses = place / "mm-rag-notes"
    somebody_elses.mkdir()
    with TemporaryFolder() as mine:
        assert sorted(place.iterdir()) == sorted([somebody_elses, mine.path])
    assert not left.exists()


@needs_locks
def test_a_folder_in_use_is_not_swept(place: Path) -> None:
    with TemporaryFolder() as mine:
        run("from mm_rag._temporary import TemporaryFolder; TemporaryFolder()")
        assert mine.path.is_dir()


@needs_locks
def test_a_forked_process_leaves_the_folder_to_its_owner(place: Path) -> None:
    code = (
        "import os, sys; from mm_rag._temporary import TemporaryFolder; a = TemporaryFolder()\n"
        "child = os.fork()\n"
        "if child == 0: sys.exit()\n"
        "os.waitpid(child, 0); print(a.path.is_dir())"
    )
    assert run(code).stdout.strip() == "True"


@needs_locks
def test_a_link_among_the_temporary_folders_is_not_followed(place: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (place / "mm-rag-tmp-link").symlink_to(kept)
    with TemporaryFolder():
        assert kept.is_dir()


@needs_locks
@pytest.mark.heavy
def test_a_killed_program_with_a_collection_leaves_nothing_for_long(place: Path) -> None:
    code = (
        "from mm_rag import Collection; import os, signal\n"
        "c = Collection(':memory:'); print(c, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert run(code).returncode == -signal.SIGKILL
    assert list(place.glob("mm-rag-*"))
    with Collection(":memory:"):
        pass
    assert not list(place.glob("*mm-rag-*"))
