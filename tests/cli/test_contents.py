"""`mm-rag list`, `info`, `remove`, and what `index` and `search` take besides."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from mm_rag.cli.options import span_of, where_of
from mm_rag.errors import InputError
from tests.cli.typed import run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of two tagged texts, one that is not, and a file that is not read."""
    files = tmp_path_factory.mktemp("kept") / "files"
    (files / "2024").mkdir(parents=True)
    for name in ("2024/lease.txt", "2024/memo.txt", "other.txt"):
        (files / name).write_text(f"The ferry {name} is about bicycles.")
    (files / "odd.bin").write_bytes(bytes(range(256)))
    place = files.parent / "collection"
    assert run("index", files, "-c", place).exit_code == 0
    tagged = run("index", files / "2024", "-c", place, "--tag", "2024", "--tag", "lease")
    assert tagged.exit_code == 0
    return place


def names(output: str) -> list[str]:
    return [Path(record["source"]).name for record in json.loads(output)]


def test_list_has_a_line_for_each_file(kept: Path) -> None:
    done = run("list", "-c", kept)
    lines = done.output.splitlines()
    assert (done.exit_code, len(lines)) == (0, 4)
    [lease] = [line for line in lines if "lease.txt" in line]
    assert lease.startswith("indexed")
    assert lease.endswith("lease.txt #2024 #lease")
    [odd] = [line for line in lines if "odd.bin" in line]
    assert odd.startswith("unsupported")
    assert "mm_rag does not read" in odd
    assert names(run("list", "-c", kept, "--tag", "2024", "--json").stdout) == [
        "lease.txt",
        "memo.txt",
    ]
    assert run("list", "-c", kept, "--tag", "none").output.strip() == "Nothing there."


def test_info_is_a_collection_in_short(kept: Path) -> None:
    told = json.loads(run("info", "-c", kept, "--json").stdout)
    assert told["sources"] == {"indexed": 3, "unsupported": 1}
    assert told["tags"] == {"2024": 2, "lease": 2}
    assert told["segments"] == {"text": 3}
    shown = run("info", "-c", kept).output
    assert "4 (3 indexed, 1 unsupported)" in shown
    assert "2024 (2), lease (2)" in shown


@pytest.mark.parametrize("command", ["list", "info", "remove"])
def test_no_collection_is_an_error_and_makes_none(tmp_path: Path, command: str) -> None:
    extra = ["x.txt"] if command == "remove" else []
    done = run(command, *extra, "-c", tmp_path / "nowhere")
    assert done.exit_code == 2
    assert "There is no collection" in " ".join(done.output.split())
    assert not (tmp_path / "nowhere").exists()


def test_remove_says_what_went(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for name in ("a.txt", "b.txt"):
        (files / name).write_text(f"The ferry {name}.")
    place = tmp_path / "collection"
    assert "2 files: 2 indexed" in run("index", files, "-c", place).output
    done = run("remove", files / "a.txt", "-c", place)
    assert done.exit_code == 0
    assert "1 file removed. The collection holds 1 segment: 1 text." in done.output
    assert run("remove", files / "a.txt", "-c", place).exit_code == 2
    parsed = json.loads(run("remove", files, "-c", place, "--json").stdout)
    assert [(Path(f["path"]).name, f["state"]) for f in parsed["files"]] == [("b.txt", "removed")]
    assert (files / "a.txt").exists()
    one = run("index", files / "a.txt", "-c", place)
    assert "1 file: 1 indexed" in one.output
    assert run("verify", "-c", place).output.strip() == "All 1 segment is whole."


@pytest.mark.parametrize("source", ["nowhere", "https://example.org/a.pdf"])
def test_what_cannot_be_indexed_leaves_no_collection(tmp_path: Path, source: str) -> None:
    given = tmp_path / source if source == "nowhere" else source
    done = run("index", given, "-c", tmp_path / "collection")
    assert done.exit_code == 2
    assert not list(tmp_path.iterdir())


def test_a_missing_corpus_leaves_no_collection(tmp_path: Path) -> None:
    questions = tmp_path / "questions.jsonl"
    questions.write_text('{"query": "x", "relevant": [{"file": "a.txt"}]}\n')
    place = tmp_path / "collection"
    done = run("eval", "--corpus", tmp_path / "nowhere", "--queries", questions, "-c", place)
    assert done.exit_code == 2
    assert not place.exists()


def test_index_excludes_and_asks_before_it_removes_most(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for number in range(5):
        (files / f"n{number}.txt").write_text(f"The ferry number {number}.")
    (files / "draft.md").write_text("A draft.")
    place = tmp_path / "collection"
    assert "5 files: 5 indexed" in run("index", files, "-c", place, "--exclude", "*.md").output
    for path in files.glob("*.txt"):
        path.unlink()
    refused = run("index", files, "-c", place)
    assert refused.exit_code == 2
    assert "--delete-missing" in refused.output
    done = run("index", files, "-c", place, "--delete-missing", "--checksum", "--json")
    states = [file["state"] for file in json.loads(done.stdout)["files"]]
    assert sorted(states) == ["indexed", *["removed"] * 5]


def found(collection: Path, *options: object) -> set[str]:
    done = run("search", "bicycles", "-c", collection, "--no-rerank", "--json", *options)
    assert done.exit_code == 0, done.output
    return {Path(hit["segment"]["source"]).name for hit in json.loads(done.stdout)}


def test_search_filters(kept: Path) -> None:
    assert found(kept) == {"lease.txt", "memo.txt", "other.txt"}
    assert found(kept, "--tag", "lease") == {"lease.txt", "memo.txt"}
    assert found(kept, "--where", "tags!=lease") == {"other.txt"}
    assert found(kept, "--where", "title=lease", "--where", "modality=text") == {"lease.txt"}
    assert found(kept, "--where", '{"title": {"$in": ["other"]}}') == {"other.txt"}
    assert found(kept, "--threshold", 1.0) == set()
    assert found(kept, "--time", "0:10-0:20") == set()


@pytest.mark.parametrize(
    "options", [["--where", "nope"], ["--where", "{"], ["--time", "soon"], ["--tag", " "]]
)
def test_filters_that_make_no_sense_are_errors(kept: Path, options: list[str]) -> None:
    done = run("search", "bicycles", "-c", kept, *options)
    assert done.exit_code == 2
    assert len(done.output.strip().splitlines()) <= 4
    assert done.exception is None or isinstance(done.exception, SystemExit)


def test_a_reranker_that_is_not_there_is_an_error(kept: Path, tmp_path: Path) -> None:
    done = run("search", "bicycles", "-c", kept, "--reranker", tmp_path / "nowhere")
    assert done.exit_code == 2


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], None),
        (["author=Ada"], {"author": {"$eq": "Ada"}}),
        (["author = Ada Lovelace"], {"author": {"$eq": "Ada Lovelace"}}),
        (["page=3"], {"$or": [{"page": {"$eq": 3}}, {"page": {"$eq": "3"}}]}),
        (["page!=3"], {"$and": [{"page": {"$ne": 3}}, {"page": {"$ne": "3"}}]}),
        (["start>=2.5"], {"start": {"$gte": 2.5}}),
        (["a=b=c"], {"a": {"$eq": "b=c"}}),
        (["a=nan"], {"a": {"$eq": "nan"}}),
        (["tags=x"], {"tags": {"$contains": "x"}}),
        (['{"a": 1}', "b=x"], {"$and": [{"a": 1}, {"b": {"$eq": "x"}}]}),
    ],
)
def test_conditions(given: list[str], expected: Any) -> None:
    assert where_of(given) == expected


@pytest.mark.parametrize("given", ["", "author", "=x", "page>soon", "{'a': 1}"])
def test_conditions_that_are_none(given: str) -> None:
    with pytest.raises(InputError, match="--where"):
        where_of([given])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("30-60", (30, 60)),
        ("0:30-1:15.5", (30, 75.5)),
        ("1:00:00-", (3600, math.inf)),
        ("-90", (0, 90)),
        ("1:15", (75, 75)),
        ("30 \u2013 60", (30, 60)),
    ],
)
def test_spans(given: str, expected: tuple[float, float]) -> None:
    assert span_of(given) == expected


@pytest.mark.parametrize("given", ["", "-", "soon", "1-2-3", "1:2:3:4", "1h"])
def test_spans_that_are_none(given: str) -> None:
    with pytest.raises(InputError, match="--time"):
        span_of(given)


# As a process.


def mm_rag(*arguments: object, **more: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from mm_rag.cli import app; app()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **more)


def test_version_and_help() -> None:
    told = mm_rag("--version")
    assert (told.returncode, told.stdout.strip()) == (0, f"mm-rag {version('mm-rag')}")
    for arguments in (["-h"], ["index", "-h"], ["search", "--help"]):
        assert "Usage" in mm_rag(*arguments).stdout


@pytest.mark.workers
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send")
def test_ctrl_c_is_a_line_and_leaves_no_process(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for number in range(3000):
        (files / f"n{number}.txt").write_text(f"Note {number} is about the ferry. " * 20)
    place = tmp_path / "collection"
    index = [sys.executable, "-c", "from mm_rag.cli import app; app()", "index", files, "-c", place]
    with subprocess.Popen(
        index, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while not (place / "assets").exists() and not (place / "default").exists():
            assert process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Interrupted." in said
    assert "Traceback" not in said
    with pytest.raises(ProcessLookupError):  # of its group none is left
        os.killpg(process.pid, 0)
    assert mm_rag("verify", "-c", place).returncode == 0
