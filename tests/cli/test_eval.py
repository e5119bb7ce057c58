"""`mm-rag eval`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from mm_rag._optional import install_command
from tests.cli.typed import run


@pytest.mark.slow
def test_eval_scores_questions(folder: Path) -> None:
    queries = folder / "queries.jsonl"  # in the corpus, and not indexed
    rows = [
        {"id": "1", "query": "bring a bicycle", "relevant": [{"file": "ferry.pdf", "page": 2}]},
        {"id": "2", "query": "first boat north", "relevant": [{"file": "gone.pdf"}], "kind": "x"},
    ]
    queries.write_text("\n".join(map(json.dumps, rows)))
    collection = folder.parent / "collection"
    done = run("eval", "--corpus", folder, "--queries", queries, "-c", collection, "--json")
    assert "queries.jsonl" not in run("list", "-c", collection).output
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


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    """Two documents, a question that finds one, and a question about which nothing is known."""
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    documents = [
        {"_id": "ferry", "title": "", "text": "The ferry leaves at seven in the morning."},
        {"_id": "bread", "title": "", "text": "Sourdough bread rests for eighteen hours."},
    ]
    queries = [{"_id": "q1", "text": "ferry"}, {"_id": "q2", "text": "nothing"}]
    for name, rows in (("corpus", documents), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "qrels" / "test.tsv").write_text("q1\tferry\t2\nq1\tbread\t1\n")
    (folder / "qrels" / "dev.tsv").write_text("q1\tbread\t1\n")
    return folder


@pytest.mark.slow
def test_a_folder_in_beirs_layout_needs_no_other_questions(beir: Path) -> None:
    done = run("eval", "--corpus", beir, "--recall-at", 1, "--json")
    outcome = json.loads(done.stdout)
    assert outcome["overall"] == {
        "questions": 1,
        "ndcg_at_10": pytest.approx(1.0),
        "recall_at_1": 0.5,
        "mrr_at_10": 1.0,
    }
    seconds = outcome["seconds"]
    assert 0.0 < seconds["p50"] <= seconds["p95"] <= seconds["p99"]


def test_another_split_and_other_depths_are_asked_for(beir: Path) -> None:
    depths = ("--ndcg-at", 1, "--mrr-at", 2, "--no-rerank")
    done = run("eval", "--corpus", beir, "--split", "dev", *depths, "--json")
    overall = json.loads(done.stdout)["overall"]
    assert (overall["ndcg_at_1"], overall["mrr_at_2"]) == (0.0, 0.5)


@pytest.mark.slow
def test_it_prints_a_table_and_how_long_a_search_took(beir: Path) -> None:
    printed = run("eval", "--corpus", beir, "--ndcg-at", 3).output
    assert "2 documents (2 passages), 1 question, 1 left out" in " ".join(printed.split())
    assert all(name in printed for name in ("nDCG@3", "recall@5", "MRR@10"))
    rows = [line.split() for line in printed.splitlines()]
    assert rows.count(["all", "1", "1.000", "1.000", "1.000"]) == 1
    assert "p95" in printed


@pytest.mark.slow
def test_a_named_collection_is_kept(beir: Path) -> None:
    kept = beir.parent / "kept"
    assert run("eval", "--corpus", beir, "-c", kept, "--json").exit_code == 0
    found = run("search", "ferry", "-c", kept, "-k", 1, "--json")
    assert json.loads(found.stdout)[0]["segment"]["source"] == "ferry"


def test_a_corpus_that_is_no_beir_folder_wants_questions(folder: Path) -> None:
    done = run("eval", "--corpus", folder)
    assert done.exit_code == 2
    assert "corpus.jsonl" in done.output


@pytest.mark.slow
def test_a_corpus_is_named_from_where_one_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queries = folder.parent / "queries.jsonl"
    row = {"id": "1", "query": "bicycles", "relevant": [{"file": "ferry.pdf", "page": 2}]}
    queries.write_text(json.dumps(row))
    monkeypatch.chdir(folder)
    done = run("eval", "--corpus", "../documents", "--queries", queries, "--no-rerank", "--json")
    assert json.loads(done.stdout)["overall"]["mrr_at_10"] == 1.0


def test_a_missing_package_is_said_before_anything_is_indexed(
    beir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ir_measures", None)
    done = run("eval", "--corpus", beir, "-c", beir.parent / "kept")
    assert done.exit_code == 2
    assert "".join(install_command("eval").split()) in "".join(done.output.split())
    assert not (beir.parent / "kept").exists()
