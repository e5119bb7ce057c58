"""`mm-rag index`, `verify` and `reindex`."""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import chromadb
import pymupdf
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from typer.testing import CliRunner

from mm_rag import Encoder
from mm_rag.cli import app
from mm_rag.collection.lock import writer_lock
from mm_rag.modules import Normalize, StaticEmbedding
from tests.cli.typed import indexed, run
from tests.media_made import make_pdf

pytestmark = pytest.mark.slow


def test_index_reports_files_segments_and_what_could_not_be_read(folder: Path) -> None:
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    done = run("index", folder, "--collection", folder.parent / "collection")
    assert done.exit_code == 0
    assert "2 files: 1 indexed, 1 unreadable" in done.output
    assert "4 segments: 2 image, 2 text" in done.output
    [line] = [line for line in done.output.splitlines() if "broken.pdf" in line]
    assert "unreadable" in line


def test_the_report_counts_what_was_left_out_or_changed(folder: Path) -> None:
    (folder / "old.txt").write_bytes("Die Größe des Hafens".encode("cp1252"))
    (folder / "older.txt").write_bytes("Die Höhe des Hafens".encode("cp1252"))
    with pymupdf.open(folder / "ferry.pdf") as document:
        document.new_page()
        document.save(folder / "blank page.pdf")
    done = run("index", folder, "--collection", folder.parent / "collection")
    assert "Left out or changed: 1 blank, 2 encoding." in " ".join(done.output.split())
    [line] = [line for line in done.output.splitlines() if "blank page.pdf" in line]
    assert line.endswith("blank: page 3")


def test_explain_prints_all_that_is_taken_from_files_and_indexes_nothing(folder: Path) -> None:
    (folder / "old.txt").write_bytes("Die Größe des Hafens".encode("cp1252"))
    collection = folder.parent / "collection"
    done = run("index", "--explain", folder, "-c", collection)
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert [line for line in lines if line.startswith("ferry.pdf page")] == [
        f"ferry.pdf page {page} {what} pages=2" for page in (1, 2) for what in ("image", "passage")
    ]
    assert lines.count("  Bicycles travel free of charge on weekdays.") == 2
    assert lines.index("old.txt passage") + 1 == lines.index("  Die Größe des Hafens")
    assert any(line.split()[:1] == ["encoding"] for line in lines)
    assert not collection.exists()
    as_json = run("index", "--explain", folder, "--json").stdout.splitlines()
    kinds = [json.loads(line).get("modality", "outcome") for line in as_json]
    assert kinds == ["image", "text", "image", "text", "outcome", "text", "outcome"]


def test_a_second_run_says_that_there_is_nothing_to_do(folder: Path) -> None:
    collection = indexed(folder)
    again = run("index", folder, "-c", collection)
    assert "1 unchanged" in again.output
    assert "Nothing to do." in again.output


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


def test_it_waits_for_another_writer_as_long_as_it_is_told(folder: Path) -> None:
    collection = indexed(folder)
    with writer_lock(collection / "writer.lock"):
        refused = run("index", folder, "-c", collection, "--wait", 0.1)
    assert refused.exit_code == 2
    assert "is being written to" in " ".join(refused.output.split())
    with ExitStack() as holding:
        holding.enter_context(writer_lock(collection / "writer.lock"))
        threading.Timer(0.3, holding.pop_all().close).start()
        assert run("index", folder, "-c", collection, "--wait", 30).exit_code == 0


def test_several_collections_share_a_folder(folder: Path, tmp_path: Path) -> None:
    collection = indexed(folder)
    make_pdf(tmp_path / "bakery.pdf", ["Bakers ride bicycles."])
    other = ("-c", collection, "--name", "bakery")
    assert run("index", tmp_path / "bakery.pdf", *other).exit_code == 0
    assert "All 2 segments" in run("verify", *other).output
    assert "All 4 segments" in run("verify", "-c", collection).output
    [hit] = json.loads(run("search", "bicycles", *other, "--json").stdout)
    assert Path(hit["segment"]["source"]).name == "bakery.pdf"


def test_a_name_that_no_collection_has_is_an_error(folder: Path) -> None:
    done = run("search", "bicycles", "-c", indexed(folder), "--name", "bakery")
    assert done.exit_code == 2
    assert "bakery" in done.output


def test_what_is_no_folder_stays_as_it_was_typed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    done = run("index", folder, "-c", ":memory:", "--json")
    assert json.loads(done.stdout)["segments"] == {"image": 2, "text": 2}
    assert not Path(":memory:").exists()


def words_only(folder: Path) -> Path:
    """A model that is a table of words, on disk."""
    words = ["[UNK]", "ferry", "island", "morning", "bicycles", "travel", "free", "weekdays"]
    ids = {word: number for number, word in enumerate(words)}
    tokenizer: Any = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    table = StaticEmbedding(tokenizer, torch.eye(len(words)))
    Encoder(modules=[table, Normalize()], device="cpu").save(folder)
    return folder


def test_reindex_moves_a_collection_to_another_model(folder: Path, tmp_path: Path) -> None:
    collection, model = indexed(folder), words_only(tmp_path / "model")
    with_it = ("-c", collection, "--model", model)
    refused = run("search", "bicycles", *with_it)
    assert refused.exit_code == 2
    assert "mm-rag reindex" in " ".join(refused.output.split())
    (folder / "ferry.pdf").unlink()  # what is read is not read again

    done = run("reindex", *with_it)
    assert done.exit_code == 0, done.output
    assert "4 segments" in " ".join(done.output.split())
    [first, *_] = json.loads(run("search", "bicycles travel", *with_it, "--json").stdout)
    assert first["segment"]["page"] == 2
    assert run("search", "bicycles", "-c", collection).exit_code == 2  # the model of before
    assert json.loads(run("reindex", "-c", collection, "--json").stdout)["segments"] == 4
    assert run("search", "bicycles", "-c", collection).exit_code == 0


def test_reindexing_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    done = run("reindex", "-c", tmp_path / "nowhere")
    assert done.exit_code == 2
    assert not (tmp_path / "nowhere").exists()


def test_repair_heals_what_is_damaged(folder: Path) -> None:
    collection = indexed(folder)
    client: Any = chromadb.PersistentClient(str(collection / "chroma"))
    records = client.get_collection("default", embedding_function=None)
    records.delete(ids=records.get(limit=1)["ids"])  # all of them would be noticed on opening
    client.close()
    ill = run("verify", "-c", collection)
    assert ill.exit_code == 1
    assert "missing vectors: 1" in " ".join(ill.output.split())
    healed = run("verify", "-c", collection, "--repair")
    assert (healed.exit_code, healed.output.strip()) == (0, "All 4 segments are whole.")
