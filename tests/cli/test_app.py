"""The commands, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mm_rag.cli import app
from tests.media_made import make_pdf, make_picture

PAGES = (
    "The ferry to the northern island leaves at seven in the morning.",
    "Bicycles travel free of charge on weekdays.",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "documents"
    made.mkdir()
    make_pdf(made / "ferry.pdf", PAGES)
    return made


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def indexed(folder: Path) -> Path:
    collection = folder.parent / "collection"
    assert run("index", folder, "-c", collection, "--json").exit_code == 0
    return collection


def test_index_reports_files_segments_and_what_could_not_be_read(folder: Path) -> None:
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    done = run("index", folder, "--collection", folder.parent / "collection")
    assert done.exit_code == 0
    assert "2 files: 1 indexed, 1 unreadable" in done.output
    assert "4 segments: 2 image, 2 text" in done.output
    [line] = [line for line in done.output.splitlines() if "broken.pdf" in line]
    assert "unreadable" in line


def test_a_second_run_says_that_there_is_nothing_to_do(folder: Path) -> None:
    collection = indexed(folder)
    again = run("index", folder, "-c", collection)
    assert "1 unchanged" in again.output
    assert "Nothing to do." in again.output


def test_search_shows_the_page(folder: Path) -> None:
    done = run("search", "may I bring my bicycle?", "-c", indexed(folder), "-k", 1)
    assert done.exit_code == 0
    assert "ferry.pdf" in done.output
    assert "page 2" in done.output


def test_search_prints_json(folder: Path) -> None:
    done = run("search", "bicycles", "-c", indexed(folder), "-k", 2, "--json")
    hits = json.loads(done.stdout)
    assert [hit["rank"] for hit in hits] == [1, 2]
    assert hits[0]["segment"]["page"] == 2
    assert Path(hits[0]["segment"]["preview"]).is_file()


@pytest.mark.slow
def test_search_with_a_picture_reads_it(folder: Path, tmp_path: Path) -> None:
    picture = make_picture(tmp_path / "sign.png", "Bicycles travel\nfree of charge")
    done = run("search", "--image", picture, "-c", indexed(folder), "-k", 1, "--json")
    assert json.loads(done.stdout)[0]["segment"]["page"] == 2


def test_verify_says_that_all_is_well_and_exits_1_when_not(folder: Path) -> None:
    collection = indexed(folder)
    well = run("verify", "-c", collection)
    assert (well.exit_code, well.output.strip()) == (0, "All 4 segments are whole.")
    next((collection / "assets").rglob("*.jpg")).unlink()
    ill = run("verify", "-c", collection)
    assert ill.exit_code == 1
    assert "missing files: 1" in " ".join(ill.output.split())
    assert "--repair" in ill.output


def test_a_locked_document_wants_its_password(folder: Path) -> None:
    make_pdf(folder / "locked.pdf", ["The vault code is nine."], password="sesame")
    collection = folder.parent / "collection"
    assert "--password" in run("index", folder, "-c", collection).output
    opened = run("index", folder, "-c", collection, "--password", "sesame", "--json")
    states = {Path(f["path"]).name: f["state"] for f in json.loads(opened.stdout)["files"]}
    assert states == {"ferry.pdf": "unchanged", "locked.pdf": "indexed"}


def test_an_empty_folder_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = run("index", tmp_path / "empty", "-c", tmp_path / "collection")
    assert done.exit_code == 0
    assert "Nothing to index" in done.output


def test_odd_names_are_shown_on_terminals_that_do_not_know_them(folder: Path) -> None:
    for name in ("gr\u00f6\u00dfe.pdf", "red\x1b[31m.pdf", "two\nlines.pdf", "[bold]a.pdf"):
        (folder / name).write_bytes(b"%PDF-1.7 and then nothing")
    collection = folder.parent / "collection"
    command = ["index", str(folder), "-c", str(collection)]
    done = CliRunner(charset="ascii").invoke(app, command)
    assert done.exit_code == 0, done.exception
    assert "\x1b" not in done.output
    assert sum("unreadable" in line for line in done.output.splitlines()) == 5  # with the summary
    assert "[bold]a.pdf: " in done.output
    parsed = json.loads(CliRunner(charset="ascii").invoke(app, [*command, "--json"]).stdout)
    assert str(folder / "gr\u00f6\u00dfe.pdf") in [file["path"] for file in parsed["files"]]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    done = run("index", tmp_path / "nowhere", "-c", tmp_path / "collection")
    assert done.exit_code == 2
    assert "There is no file or folder" in " ".join(done.output.split())


def test_searching_what_was_never_indexed_is_an_error(tmp_path: Path) -> None:
    done = run("search", "anything", "-c", tmp_path / "nowhere")
    assert done.exit_code == 2
    assert "mm-rag index FOLDER" in " ".join(done.output.split())


def test_searching_for_nothing_is_an_error(folder: Path) -> None:
    assert run("search", "-c", indexed(folder)).exit_code == 2


def test_eval_scores_questions(folder: Path) -> None:
    queries = folder.parent / "queries.jsonl"
    rows = [
        {"id": "1", "query": "bring a bicycle", "relevant": [{"file": "ferry.pdf", "page": 2}]},
        {"id": "2", "query": "first boat north", "relevant": [{"file": "gone.pdf"}], "kind": "x"},
    ]
    queries.write_text("\n".join(map(json.dumps, rows)))
    done = run("eval", "--corpus", folder, "--queries", queries, "--json")
    outcome = json.loads(done.stdout)
    assert outcome["overall"]["questions"] == 2
    assert outcome["overall"]["ndcg_at_10"] == pytest.approx(0.5)
    assert outcome["by_kind"]["x"]["ndcg_at_10"] == 0.0


def test_eval_refuses_a_file_without_questions(folder: Path) -> None:
    queries = folder.parent / "queries.jsonl"
    queries.write_text('{"id": "1"}')
    done = run("eval", "--corpus", folder, "--queries", queries)
    assert done.exit_code == 2
    assert "Line 1" in done.output
