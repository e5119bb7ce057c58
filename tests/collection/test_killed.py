"""A run that is killed, not asked to stop, is finished by running it again."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mm_rag import Collection
from mm_rag.collection.lexical import LexicalIndex
from tests.collection.conftest import segment
from tests.media_made import make_pdf

FILES = 6
MM_RAG = [sys.executable, "-c", "from mm_rag.cli import app; app()"]


def start(folder: Path, collection: Path) -> subprocess.Popen[bytes]:
    command = [*MM_RAG, "index", str(folder), "-c", str(collection), "--json"]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, stdout=quiet, env=os.environ | {"OMP_NUM_THREADS": "1"})


def files_begun(collection: Path) -> int:
    catalog = collection / "default" / "ledger.sqlite3"
    if not catalog.is_file():
        return 0
    try:
        with sqlite3.connect(f"file:{catalog}?mode=ro", uri=True) as connection:
            return int(connection.execute("SELECT count(*) FROM files").fetchone()[0])
    except sqlite3.OperationalError:  # it is just being made
        return 0


def kill_after(files: int, folder: Path, collection: Path) -> None:
    with start(folder, collection) as running:
        while files_begun(collection) < files and running.poll() is None:
            time.sleep(0.005)
        running.kill()
    assert running.returncode != 0, "it was done before it could be killed"


@pytest.mark.slow
def test_killed_runs_are_finished_by_the_next(tmp_path: Path) -> None:
    folder, collection = tmp_path / "documents", tmp_path / "collection"
    folder.mkdir()
    for number in range(FILES):
        pages = [
            f"Page {page} of report {number}, about topic {number * 7 + page}." for page in (1, 2)
        ]
        make_pdf(folder / f"report-{number}.pdf", pages)
    for files in (1, 3, FILES - 1):
        kill_after(files, folder, collection)
    with start(folder, collection) as last:
        assert last.wait() == 0
    with Collection(tmp_path / "undisturbed") as undisturbed, Collection(collection) as killed:
        undisturbed.sync(folder)
        assert killed.verify().ok
        assert killed.segment_counts() == undisturbed.segment_counts()
        for query in ("topic 8", "report 5 page 2"):
            expected = [hit.segment.id for hit in undisturbed.search(query)]
            assert [hit.segment.id for hit in killed.search(query)] == expected


def test_words_can_be_written_after_a_kill_in_the_middle_of_writing_them(tmp_path: Path) -> None:
    index = LexicalIndex(tmp_path)
    index.put([segment(f"passage {n}", n) for n in range(3)])
    written = (tmp_path / "meta.json").read_bytes()  # the last file that a commit writes
    index.drop([segment("", 0).id])
    (tmp_path / "meta.json").write_bytes(written)
    again = LexicalIndex(tmp_path)
    assert len(again) == 3
    again.drop([segment("", 0).id])
    assert again.ids() == {segment("", n).id for n in (1, 2)}
